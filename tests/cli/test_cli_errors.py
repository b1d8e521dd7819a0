"""Bad input on the command line: one clear line, exit 2, nothing written; Ctrl-C: exit 130."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.support.problems import TRAIN, small_arrays

BAD_OPTIONS = [
    (["--m=7"], "--m: 7 is odd; symmetric initialisation needs an even number"),
    (["--m=0"], "--m: input should be greater than or equal to 1, not 0"),
    (["--tau=-5"], "--tau: input should be greater than or equal to 1, not -5"),
    (["--n=0"], "--n: input should be greater than or equal to 1, not 0"),
    (["--T=-1"], "--T: input should be greater than or equal to 1, not -1"),
    (["--m=many"], "Invalid value for '--m'"),
    (["--m"], "Option '--m' requires an argument"),
    (["--taau=3"], "--taau: no such option; did you mean '--tau'? (see ntkbound train --help)"),
    (["--activaton", "erf"], "--activaton: no such option; did you mean '--activation'?"),
    (["--activation=tann"], "--activation: input should be 'tanh', 'erf', 'sigmoid', 'bump' or"),
    (["--activation=relu"], "--activation: relu has no bounded second derivative, so no bound"),
    (["--device=cuda:0"], "--device: 'cuda:0' is unknown; accepted: cpu, cuda"),
    (["--rho=x"], "--rho: expected a number, c,U,W or block=number pairs"),
    (["--threads=0"], "Invalid value for '--threads'"),
    (["--task=tetcher"], "--task: 'tetcher' is unknown; accepted: teacher, digits, ar, FILE"),
    (["--task=absent.npz"], "--task absent.npz: cannot be read (No such file or directory)"),
    (["--config=absent.toml"], "--config absent.toml: cannot be read (No such file"),
    (["--delta=0"], "--delta: input should be greater than 0"),
    (["--eta=nan"], "--eta: input should be"),
    (["--rescale"], "--rescale: only for a data file"),
    (["surplus"], "Got unexpected extra argument(s) (surplus)"),
]  # fmt: skip


def test_a_gpu_that_is_not_there_is_refused(refused, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    told = refused("train", "--device=cuda")
    assert told == "--device: 'cuda' needs a GPU that torch can use, and there is none here"


@pytest.mark.parametrize(("arguments", "start"), BAD_OPTIONS, ids=lambda v: str(v)[:30])
def test_bad_options_are_one_line_and_exit_2(refused, arguments, start):
    assert refused("train", *arguments).startswith(start)


def test_bad_commands(refused):
    assert "No such command 'trian'. Did you mean 'train'?" in refused("trian")
    assert refused("--bogus").startswith("--bogus: no such option")
    assert refused("show").startswith("Missing argument 'RECORD")
    assert refused("show", "nowhere") == (
        "nowhere/run.json: no such record; accepted: a folder with a run.json"
    )
    assert refused("verify", "nowhere").startswith("nowhere/run.json: no such record")


def test_no_command_prints_the_help_alone(command):
    code, out, err = command()
    assert code in (0, 2)
    assert "train" in out + err
    assert not [line for line in err.splitlines() if line.startswith("ntkbound:")]


def test_unknown_keys_of_a_preset(refused, folder):
    (folder / "p.toml").write_text("m = 8\nactivaton = 'erf'\n")
    assert refused("train", "--config=p.toml") == (
        "--config p.toml: unknown field 'activaton'; did you mean 'activation'?"
    )
    (folder / "p.toml").write_text("m = 7\n")
    assert refused("train", "--config=p.toml").startswith("--config p.toml: m: 7 is odd")


@pytest.mark.parametrize(("change", "text"), [
    ({"X": np.full((6, 3, 2), np.nan)}, "array 'X' holds NaN or infinity"),
    ({"y": np.full(6, np.inf)}, "array 'y' holds NaN or infinity"),
    ({"y": np.zeros(5)}, "y has shape (5,); (6,) is needed"),
    ({"X": np.zeros((6, 3))}, "X has shape (6, 3); (n, T, d) with no zero is needed"),
    ({"X": np.ones((6, 3, 2))}, "token norms reach 1.41421, outside the unit ball; "),
], ids=str)  # fmt: skip
def test_bad_arrays(refused, folder, change, text):
    np.savez(folder / "data.npz", **{**small_arrays(), **change})
    assert refused("train", "--task=data.npz").startswith(f"--task data.npz: {text}")


def test_missing_arrays_and_ragged_csv(refused, folder):
    np.savez(folder / "data.npz", X=small_arrays()["X"])
    assert "array 'y' is missing" in refused("train", "--task=data.npz")
    (folder / "data.csv").write_text("sample,token,x1,y\na,1,0.5,1\na,2,0.5,1\nb,1,0.5,1\n")
    assert "sample b has 1 tokens, others 2" in refused("train", "--task=data.csv")


def test_rescale_makes_large_tokens_usable(command, folder):
    np.savez(folder / "data.npz", X=np.ones((6, 3, 2)), y=np.zeros(6))
    code, out, _ = command("train", "--task=data.npz", "--rescale", "--m=2", "--tau=2",
                           "--search-steps=1")  # fmt: skip
    assert code == 0
    assert "tokens divided by 1.41421" in out


def test_contradicted_sizes(refused, folder):
    np.savez(folder / "data.npz", **small_arrays())
    assert refused("train", "--task=data.npz", "--T=9") == (
        "--T: 9 contradicts the data, which has T = 3"
    )
    assert refused("train", "--task=digits", "--n=1798") == (
        "--n: 1798 is more than the 1797 samples of digits"
    )


def test_an_out_that_is_a_file(refused, folder):
    (folder / "results").write_text("a file")
    assert refused(*TRAIN) == "--out results: results is not a folder"
    assert refused(*TRAIN, "--out=results/deeper").startswith("--out results/deeper: ")


def test_an_out_that_cannot_be_written(refused, folder, monkeypatch):
    (folder / "locked").mkdir(mode=0o555)
    if os.geteuid() == 0:  # root may write anywhere: let the system say no in its place
        real = os.access

        def access(path, mode, **more):
            return not (mode & os.W_OK and "locked" in str(path)) and real(path, mode, **more)

        monkeypatch.setattr(os, "access", access)
    for name in ("locked", "locked/deeper"):
        assert refused(*TRAIN, f"--out={name}") == (
            f"--out {name}: cannot be written; choose a folder you may write to"
        )


def test_a_folder_that_fails_only_when_written_to(command, folder, monkeypatch):
    """A full disk, a quota, a read-only mount: one line and exit 2, not a traceback."""

    def full(*arguments, **more):
        raise OSError(28, "No space left on device", "results/x")

    monkeypatch.setattr("numpy.savez", full)
    code, out, err = command(*TRAIN)
    assert (code, out) == (2, "")
    assert "No space left on device" in err
    assert err.count("\n") == 1
    assert not list((folder / "results").glob("st-*")), "no half record"


@pytest.mark.parametrize("size", [1e30, 1e200])
def test_labels_beyond_float32_are_one_line(command, folder, size):
    """Squares of such labels overflow in float32: said clearly, not met as a traceback later."""
    arrays = small_arrays()
    np.savez(folder / "data.npz", X=arrays["X"], y=size * arrays["y"])
    code, _, err = command("train", "--task=data.npz", "--m=2", "--tau=3", "--search-steps=1")
    assert code in (0, 2, 3)
    assert err.count("\n") == 1


def test_an_interrupt_leaves_no_record(command, folder, monkeypatch):
    from ntkbound.theorems.shallow_transformer import run as running

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "measure", interrupted)
    code, out, err = command(*TRAIN)
    assert (code, out) == (130, "")
    assert err.startswith("ntkbound: interrupted")
    assert err.count("\n") == 1
    assert [p.name for p in (folder / "results").iterdir()] == ["cache"]
