"""The command line as a user meets it: what is printed, written and returned.

Most cases run in process, where a launch costs nothing; ``test_cli_process`` runs the real command.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ntkbound import read
from ntkbound.core.outcome import Bound
from ntkbound.runs.execute import Execution, run
from ntkbound.theorems.shallow_transformer.config import Config
from tests.support.problems import SMALL_RUN, TRAIN, small_arrays, tamper


def test_train_prints_the_table_and_writes_the_record(command, folder):
    code, out, err = command(*TRAIN)
    assert code == 0
    for word in ("linearization", "approximation", "change_of_feature", "optimization", "gradient",
                 "random", "aligned", "trajectory", "worst", "transported", "measured", "bound",
                 "slack", "verdict", "holds", "heads on the boundary"):  # fmt: skip
        assert word in out, word
    assert max(len(line) for line in out.splitlines()) <= 100, "reads at 100 columns"
    assert "vacuous" in out
    assert "R̂(φ_0) = " in out
    assert err.startswith("record written: results/st-m8-tau20-n12-s0-")
    (path,) = (p for p in (folder / "results").iterdir() if p.name != "cache")
    assert read(path).config == Config(**SMALL_RUN).model_dump()


def test_a_second_call_reuses_the_record_and_says_so(command):
    command(*TRAIN)
    code, out, err = command(*TRAIN)
    assert code == 0
    assert "record reused (--force runs it again): results/st-m8" in err
    assert "linearization" in out
    code, _, err = command(*TRAIN, "--force")
    assert (code, err.split(":")[0]) == (0, "record written")


def test_json_is_alone_on_stdout_and_is_run_json(command, folder):
    code, out, err = command(*TRAIN, "--json")
    assert code == 0
    (path,) = (folder / "results").glob("*/run.json")
    assert json.loads(out) == json.loads(path.read_text())
    assert "record written" in err
    code, out, err = command("show", path.parent, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(path.read_text())


def test_quiet_prints_the_table_or_json_alone(command):
    code, out, err = command(*TRAIN, "--quiet")
    assert (code, err) == (0, "")
    assert "vacuous" in out and "·" not in out
    code, out, err = command(*TRAIN, "--quiet", "--json")
    assert (code, err) == (0, "")
    json.loads(out)


def test_the_api_gives_the_record_the_command_writes(command, folder):
    command(*TRAIN)
    (path,) = (folder / "results").glob("*/run.json")
    written, made = read(path), run(Config(**SMALL_RUN), Execution(folder / "api", threads=1))
    for name in ("id", "config", "terms", "bounds", "checks", "notes"):
        assert getattr(written, name) == getattr(made, name), name
    assert all(np.array_equal(written.arrays[k], v) for k, v in made.arrays.items())


def test_show_prints_the_same_table(command, folder):
    _, printed, _ = command(*TRAIN)
    (path,) = (folder / "results").glob("*/run.json")
    for given in (path, path.parent):
        assert command("show", given) == (0, printed, "")


def test_show_levels_adds_every_certificate(command, folder):
    _, printed, _ = command(*TRAIN)
    (path,) = (folder / "results").glob("*/run.json")
    code, out, err = command("show", path, "--levels")
    assert (code, err) == (0, "")
    assert out.startswith(printed)
    rows = json.loads(path.read_text())["certificates"]
    assert {row["level"] for row in rows} >= {"closed-form", "a-priori", "a-posteriori", "estimate"}
    for row in rows:
        text = f"{row['value']:.3g}"
        line = next(line for line in out.removeprefix(printed).splitlines() if row["term"] in line)
        assert (f"({text})" if row["level"] == "estimate" else text) in line.split()


def test_verify_agrees_and_notices(command, folder):
    command(*TRAIN)
    (path,) = (folder / "results").glob("*/run.json")
    code, out, err = command("verify", path.parent)
    assert (code, err) == (0, "")
    assert "linearization / worst / max" in out
    assert "differs" not in out
    terms = json.loads(path.read_text())["terms"]
    terms["linearization"]["worst"]["max"] *= 2
    tamper(path.parent, terms=terms)
    code, out, _ = command("verify", path.parent)
    assert code == 1
    assert out.count("differs") == 1
    code, out, _ = command("verify", path.parent, "--json")
    assert code == 1
    (rows,) = json.loads(out).values()
    assert [row["quantity"] for row in rows if not row["agrees"]] == ["linearization / worst / max"]


def test_config_files_and_overrides(command, folder):
    (folder / "small.toml").write_text(
        "\n".join(f"{k} = {v}" for k, v in SMALL_RUN.items()) + "\nrho = {W = 3}\n"
    )
    _, out, _ = command("train", "--config", "small.toml", "--json", "--quiet")
    assert json.loads(out)["config"]["rho"] == {"c": 1, "U": 1, "W": 3}
    (path,) = (folder / "results").glob("*/run.json")
    _, out, err = command("train", "--config", path)
    assert "record reused" in err, "a run.json as --config is the same run"
    _, out, _ = command("train", "--config", path, "--rho", "c=2", "--json", "--quiet")
    assert json.loads(out)["config"]["rho"] == {"c": 2, "U": 1, "W": 1}


def test_options_reach_the_config(command):
    _, out, _ = command(
        *TRAIN, "--query=mean", "--activation=erf", "--method=projsgd", "--batch=4", "--seed=3",
        "--dtype=float64", "--delta=0.1", "--validation=0.25", "--inputs=ball", "--eta-scale=2",
        "--nu=0.5", "--rho=1,2,3", "--transport=anchors", "--input-norm=0.5", "--no-bounds",
        "--json", "--quiet",
    )  # fmt: skip
    config = json.loads(out)["config"]
    expected = {
        "query": "mean", "activation": "erf", "method": "projsgd", "batch": 4, "seed": 3,
        "dtype": "float64", "delta": 0.1, "validation": 0.25, "inputs": "ball", "eta_scale": 2,
        "nu": {"c": 0.5, "U": 0.5, "W": 0.5}, "rho": {"c": 1, "U": 2, "W": 3},
        "transport": "anchors", "input_norm": 0.5, "bounds": False, "init_seed": 3,
    }  # fmt: skip
    assert {name: config[name] for name in expected} == expected


@pytest.mark.parametrize("task", ["npz", "csv", "digits"])
def test_tasks_without_a_transport_map_say_what_is_not_defined(command, folder, task):
    arrays = small_arrays()
    np.savez(folder / "data.npz", **arrays)
    rows = [
        f"{j},{t},{x[0]},{x[1]},{arrays['y'][j]}"
        for j in range(6)
        for t, x in enumerate(arrays["X"][j])
    ]
    (folder / "data.csv").write_text("\n".join(["sample,token,x1,x2,y", *rows]))
    name = task if task == "digits" else f"data.{task}"
    sizes = ["--n=6", "--m=4", "--tau=5", "--records=3", "--search-samples=1", "--search-steps=3"]
    code, out, _ = command("train", f"--task={name}", *sizes, "--strict")
    assert code == 0
    lines = [line for line in out.splitlines() if "condition-not-met" in line]
    assert len(lines) >= 2
    assert "no transport map is known" in out
    assert "holds" in out


def test_assumptions_that_fail_are_said(command):
    _, out, _ = command(*TRAIN, "--nu=2", "--input-norm=3", "--method=gd")
    text = " ".join(out.split())
    for words in ("token norms reach 3", "the theorem is about full-batch projected descent"):
        assert text.count(words) == 1, words


def test_divergence_is_said_and_strict_makes_it_inconclusive(command):
    arguments = [*TRAIN, "--method=gd", "--eta=1e9"]
    code, out, _ = command(*arguments)
    assert code == 0
    assert "diverged: the loss left the finite range at step 1" in " ".join(out.split())
    assert command(*arguments, "--strict")[0] == 3


def test_strict_judges_by_the_verdicts(command, monkeypatch):
    from ntkbound.theorems.shallow_transformer import judge

    assert command(*TRAIN, "--strict", "--out=a")[0] == 0

    def too_small(*arguments, true=judge.sharpened):
        return replace(true(*arguments), linearization=Bound(1e-9))

    monkeypatch.setattr(judge, "sharpened", too_small)
    code, out, _ = command(*TRAIN, "--out=b")
    assert code == 0, "train reports; only --strict judges"
    assert "bound-violated" in out
    assert command(*TRAIN, "--out=b", "--strict")[0] == 1
