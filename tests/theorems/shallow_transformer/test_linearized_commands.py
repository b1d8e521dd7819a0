"""``kernel`` and ``membership`` through the command line: tables, JSON, curves, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ntkbound.machine import memory
from ntkbound.runs.record import PARAMS
from ntkbound.theorems.shallow_transformer.tangent import report as kernel
from tests.support.problems import TRAIN, small_arrays, tamper

SMALL = ["--m=64", "--n=32", "--T=3", "--d=2", "--inputs=ball", "--teacher-heads=2048"]


@pytest.fixture
def trained(command, folder):
    """The folder of one finished run."""

    def call(*training):
        assert command(*TRAIN, "-q", *training)[0] == 0
        (path,) = folder.glob("results/st-*")
        return path

    return call


def in_json(command, path, *options):
    code, out, err = command("kernel", path, "--threads=1", "--json", *options)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_kernel_predicts_a_wide_short_run(trained, command):
    """A small step leaves the kernel where it was: the curves agree, at every recorded step."""
    path = trained("--method=gd", "--m=64", "--eta=0.01", "--dtype=float64")
    found = in_json(command, path, "--infinite-heads=64")
    assert found["parting_step"] is None
    assert found["predicted"] == pytest.approx(found["measured"], rel=1e-3)
    assert found["steps"][0] == 0 and found["steps"][-1] == 20
    assert 0 < found["drift"] < 0.01
    assert found["notes"] == []
    spectrum = found["spectrum"]
    assert spectrum["condition"] == pytest.approx(spectrum["largest"] / spectrum["smallest"])
    assert 1 <= spectrum["effective_rank"] <= 12
    wide = found["infinite_width"]
    assert wide["heads"] == 64
    assert wide["relative_distance"] > 0 and wide["relative_standard_error"] > 0


def test_matrix_free_says_the_same(trained, command):
    path = trained("--query=fixed")
    dense, free = (in_json(command, path, option) for option in ("--dense", "--matrix-free"))
    assert (dense["method"], free["method"]) == ("eigendecomposition", "lanczos")
    assert free["predicted"] == pytest.approx(dense["predicted"], rel=1e-9)
    assert free["drift"] == dense["drift"]
    assert free["spectrum"]["largest"] == pytest.approx(dense["spectrum"]["largest"], rel=1e-6)
    assert free["spectrum"]["smallest"] is free["infinite_width"] is None


def test_large_n_and_scarce_memory_go_matrix_free(trained, command, monkeypatch):
    path = trained()
    monkeypatch.setattr(kernel, "DENSE_SAMPLES", 11)
    assert in_json(command, path)["method"] == "lanczos"
    monkeypatch.undo()
    monkeypatch.setattr(kernel, "kernel_bytes", lambda n, copies: 1 << 60)
    assert in_json(command, path)["method"] == "lanczos"


def test_a_kernel_that_does_not_fit_is_refused(trained, refused, monkeypatch):
    path = trained()
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    assert refused("kernel", path, "--dense") == (
        "the tangent kernel of 12 × 12 samples needs 0.1 GiB of memory and 0.0 GiB are available; "
        "use fewer samples, or matrix-free products"
    )


def test_kernel_tells_what_stands_between_run_and_prediction(trained, command):
    path = trained("--rho=0.001")
    (note,) = in_json(command, path)["notes"]
    assert "the prediction is for plain gradient descent, but the projection is active: c " in note


@pytest.mark.parametrize(("training", "words"), [
    (["--method=projsgd", "--batch=3"], "the run took mini-batches"),
    (["--method=decay"], "leaves out the decay 0.01 toward φ_0"),
    (["--method=gd", "--eta=1e9"], "≥ 1: descent on the linear model diverges"),
])  # fmt: skip
def test_kernel_notes(trained, command, training, words):
    found = in_json(command, trained(*training))
    assert any(words in note for note in found["notes"]), found["notes"]


def test_kernel_prints_a_table_and_draws_both_curves(trained, command, folder):
    path = trained("--eta=0.5")
    code, out, _ = command("kernel", path, "--curve=c.svg", "--tolerance=1e-9", "--threads=1")
    assert code == 0
    for words in ("λ_max", "drift", "distance to infinite width", "predicted R̂", "curves part at"):
        assert words in out
    assert "linearized" in (folder / "c.svg").read_text()
    code, out, err = command("kernel", path, "--quiet", "--threads=1")
    assert (code, err) == (0, "")
    assert "predicted R̂" in out


def test_kernel_refuses_what_it_cannot_use(trained, refused):
    path = trained()
    assert refused("kernel", path, "--curve=c.gif") == (
        "--curve c.gif: unknown format; accepted: .pdf, .svg, .png"
    )
    assert refused("kernel", "nowhere").startswith("nowhere/run.json: no such record")
    (path / PARAMS).write_bytes(b"")
    tamper(path)
    assert "cannot be read" in refused("kernel", path)


def test_kernel_needs_saved_inputs(trained, refused):
    path = trained("--no-save-inputs")
    assert refused("kernel", path).startswith(f"{path.name}: saved without X, q, y; run it again")


def test_membership_tells_a_teacher_from_random_labels(command, folder):
    """The two verdicts the command exists for, at small sizes: inside and outside."""
    code, out, err = command("membership", *SMALL, "--m=256", "--threads=1", "--json")
    assert (code, err) == (0, "")
    teacher = json.loads(out)
    assert teacher["verdict"] == "inside", teacher["reason"]
    assert 1 < teacher["norm"] < 3**0.5 + 0.1, "the target has |ν| = √3"
    assert teacher["growth"]["high"] < 0.25
    assert {(row["m"], row["n"]) for row in teacher["rows"]} == {
        (64, 8), (64, 32), (128, 16), (128, 32), (256, 4), (256, 8), (256, 16), (256, 32),
    }  # fmt: skip
    assert max(row["residual"] for row in teacher["rows"] if row["ridge"] == 0) < 1e-9
    code, out, _ = command("membership", *SMALL, "--labels=random", "--threads=1", "--strict")
    assert code == 0
    assert "outside the class" in out
    assert list(folder.iterdir()) == [], "nothing is written"


def test_membership_of_a_file_and_its_ridge_path(command, folder):
    arrays = small_arrays(40)
    np.savez(folder / "data.npz", **arrays)
    options = ["--task=data.npz", "--m=32", "--seeds=3", "--ridges=1e-3,1", "--threads=1"]
    found = json.loads(command("membership", *options, "--json")[1])
    last = [row for row in found["rows"] if (row["m"], row["n"]) == (32, 40)]
    by_ridge = {r: [row for row in last if row["ridge"] == r] for r in (1e-3, 1.0)}
    assert all(len(rows) == 3 for rows in by_ridge.values())
    for small, large in zip(*by_ridge.values(), strict=True):
        assert small["norm"] > large["norm"] and small["residual"] < large["residual"]
        assert small["norm"] <= small["rkhs_norm"]
    code, out, _ = command("membership", *options)
    assert code == 0 and "RKHS norm" in out and "ridge" in out


@pytest.mark.parametrize(("arguments", "text"), [
    (["--labels=shuffled"], "--labels: 'shuffled' is unknown; accepted: task, random"),
    (["--ridges=0,x"], "--ridges: '0,x' is not numbers separated by commas"),
    (["--ridges=0,-1"], "--ridges: expected different numbers from 0 on"),
    (["--ridges=0,0"], "--ridges: expected different numbers from 0 on"),
    (["--ridges=nan"], "--ridges: expected different numbers from 0 on"),
    (["--m=6"], "--m: 6 is too few; m/4 must be at least 2"),
    (["--n=15"], "--n: 15 samples are too few; 16 are needed"),
    (["--init-seed=3"], "--init-seed: follows the seed here"),
    (["--tau=3"], "--tau: no such option"),
    (["--nu=0"], "--task teacher: all labels are 0, which every class contains"),
    (["--seeds=0"], "Invalid value for '--seeds'"),
], ids=str)  # fmt: skip
def test_membership_refuses(refused, arguments, text):
    assert refused("membership", *SMALL, *arguments, "--threads=1").startswith(text)


def test_an_inconclusive_verdict_is_exit_3_only_when_strict(command):
    options = ["membership", *SMALL, "--n=16", "--seeds=1", "--threads=1", "--json"]
    assert json.loads(command(*options)[1])["verdict"] == "inconclusive"
    assert [command(*options, *more)[0] for more in ([], ["--strict"])] == [0, 3]
