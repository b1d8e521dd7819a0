"""The theorem by the commands of the engine, as a user calls them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from ntkbound.theorems.encoder_only import statement

TRAIN = ("train", "--theorem=encoder-only")
SMALL = ("--dm=16", "--N=6", "--ds=3", "--d=5", "--tau=30")


@pytest.fixture
def arrays(folder):
    rng = np.random.default_rng(0)
    np.savez(folder / "own.npz", X=rng.standard_normal((7, 3, 5)), y=rng.standard_normal(7))
    start = {name: rng.standard_normal((8, 5)) for name in ("W_Q", "W_K", "W_V")}
    save_file(start | {"w_O": rng.standard_normal(8)}, folder / "start.safetensors")
    return folder


def test_own_arrays_are_trained_shown_and_verified(command, arrays):
    code, out, _ = command(*TRAIN, "--task=own.npz", "--initial=start.safetensors", "--tau=30")
    assert code == 0
    assert "dm = 8  N = 7  ds = 3  d = 5" in out
    (path,) = arrays.glob("results/*/run.json")
    assert command("show", path) == (0, out, "")
    code, out, _ = command("verify", path)
    assert code == 0 and "loss ratio" in out and "differs" not in out
    data = json.loads(path.read_text())
    assert data["conditions"][statement.ASSUMPTION_3] is False
    assert data["conditions"][statement.WIDE] is True
    assert {row["verdict"] for row in data["checks"]} == {"condition-not-met", "holds"}


def test_a_sweep_over_own_arrays(command, arrays):
    (arrays / "own.toml").write_text(
        '[run]\ntheorem = "encoder-only"\ntask = "own.npz"\ntau = 20\n'
        '[sweep]\ndm = [8, 16, 32]\nscaling = ["half", "one"]\nseed = { from = 0, to = 2 }\n'
    )
    code, _, err = command("sweep", "own.toml", "--jobs=1")
    assert code == 0 and err.count("done eo-own-") == 18
    code, out, _ = command("slopes", "results", "--axis=dm", "--json")
    fits = json.loads(out)["fits"]
    assert code == 0 and {fit["axis"] for fit in fits} >= {"dm"}


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        ({"X": np.ones((2, 3, 4))}, "'y' is missing"),
        ({"X": np.ones((2, 3)), "y": np.ones(2)}, "X has shape (2, 3)"),
        ({"X": np.ones((2, 3, 4)), "y": np.ones(3)}, "y has shape (3,)"),
        ({"X": np.full((2, 3, 4), np.nan), "y": np.ones(2)}, "NaN"),
        ({"X": np.zeros((2, 3, 4)), "y": np.ones(2)}, "--tokens: token 0 of sample 0 is zero"),
        ({"X": np.full((2, 3, 4), "a"), "y": np.ones(2)}, "not numeric"),
    ],
)
def test_arrays_that_cannot_be_used_are_one_line(refused, folder, saved, told):
    np.savez(folder / "bad.npz", **saved)
    assert told in refused(*TRAIN, "--task=bad.npz")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--task=gausian",), "did you mean 'gaussian'"),
        (("--task=none.npz",), "none.npz: cannot be read"),
        (("--initial=none.safetensors",), "--initial"),
        (("--initial=none.pt",), "--initial"),
        (("--dm=0",), "--dm"),
        (("--dm=16385",), "--dm"),
        (("--N=0",), "--N"),
        (("--gamma=0",), "--gamma"),
        (("--gamma=nan",), "--gamma"),
        (("--records=1",), "--records"),
        (("--tau=0",), "--tau"),
        (("--step=fixed", "--gamma-of=half"), "--gamma-of"),
        (("--hessian", "--dm=4096"), "--hessian"),
        (("--epochs=3",), "--epochs"),
        (("--init=xavier",), "--init"),
        (("--device=cuda",), "--device"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(refused, options, told):
    assert told in refused(*TRAIN, *options)


def test_sizes_that_contradict_a_file_are_one_line(refused, arrays):
    assert "--N: 8 contradicts own.npz" in refused(*TRAIN, "--task=own.npz", "--N=8")
    told = refused(*TRAIN, "--task=own.npz", "--initial=start.safetensors", "--dm=16")
    assert "--dm: 16 contradicts start.safetensors" in told


def test_its_own_preset_holds(command):
    code, out, err = command("check", "--theorem=encoder-only", "--jobs=1")
    assert code == 0, out
    assert err.count("done eo-") == 80
    told = " ".join(out.split())
    assert "condition-not-met" in told and "drift / V /" in told


def test_a_claim_that_is_false_is_violated(command, folder):
    for seed in range(3):
        command(*TRAIN, *SMALL, f"--seed={seed}", "-q")
    (folder / "false.toml").write_text(
        "[[claim]]\nterm = 'descent'\nprobe = 'training'\nstatistic = 'lemma12_max'\n"
        "form = 'fraction'\nshare = 1.0\nbelow = 1e-6\n"
    )
    assert command("check", "results", "--claims=false.toml")[0] == 1


def test_help_teaches_in_80_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = command(*TRAIN, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    told = " ".join(out.replace("│", " ").split())
    for word in ("--gamma-of", "--kernel-every", "lecun|he|ntk", "unit|raw|centred", "FILE.npz",
                 "FILE.safetensors", "fixed|kernel|adaptive", "--momentum"):  # fmt: skip
        assert word in told
