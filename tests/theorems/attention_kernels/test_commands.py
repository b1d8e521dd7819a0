"""The theorem by the commands of the engine, and a user's own kernel through them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from ntkbound.runs.record import read
from ntkbound.theorems.attention_kernels import statement, verify
from tests.theorems.attention_kernels.support import MINE

TRAIN = ("train", "--theorem=attention-kernels", "--tau=40")


def terms_of(folder):
    (path,) = folder.glob("results/*/run.json")
    return json.loads(path.read_text())["terms"]


def test_a_run_is_trained_shown_and_verified(command, folder):
    code, out, _ = command(*TRAIN, "--seed=3", "--train=VQ", "--landscape")
    assert code == 0
    assert "softmax, N = 4, n = 4, D = 16, d = 8, H = 1; labels random, seed 3" in out
    (path,) = folder.glob("results/*/run.json")
    assert path.parent.name.startswith("ak-softmax-random-QV-D16-H1-s3-")
    assert command("show", path) == (0, out, "")
    code, out, _ = command("verify", path)
    assert code == 0 and "by autograd" in out and "differs" not in out
    with np.load(path.with_name("trace.npz")) as trace:
        assert len(trace["landscape/QK/surface"]) == 2500
        assert trace["step"][-1] == 40


@pytest.mark.parametrize("fields", [{}, {"kernel": "gaussian", "values": "dense", "H": 2},
                                    {"kernel": "linear", "train": "V", "method": "fixed"},
                                    {"kernel": "normalised-gaussian", "labels": "equal"}],
                         ids=str)  # fmt: skip
def test_every_number_declared_is_a_quantity(command, folder, fields):
    options = [f"--{name}={value}" for name, value in fields.items()]
    assert command(*TRAIN, *options, "-q")[0] == 0
    known = {one.key for one in statement.QUANTITIES}
    for term, probes in terms_of(folder).items():
        for probe, values in probes.items():
            assert {(term, probe, name) for name in values} <= known
    (path,) = folder.glob("results/*/run.json")
    assert command("verify", path, "-q")[0] == 0


@pytest.mark.parametrize("array", ["W_Q", "W_V", "y", "X", "initial.W_K"])
def test_a_record_that_was_altered_does_not_verify(command, folder, array):
    command(*TRAIN, "-q")
    (path,) = folder.glob("results/*")
    record = read(path)
    assert all(row.agrees for row in verify.verify(record))
    arrays = dict(load_file(path / "params.safetensors"))
    arrays[array] = arrays[array] + 1e-3
    altered = record.__class__(**{**vars(record), "arrays": arrays})
    assert not all(row.agrees for row in verify.verify(altered))


def test_two_stages_from_a_record(command, folder):
    """Figure 4: on from the weights of a run, with either kernel."""
    command(*TRAIN, "-q")
    (first,) = folder.glob("results/*")
    shutil.move(first, folder / "first")
    weights = folder / "first" / "params.safetensors"
    code, _, _ = command(*TRAIN, f"--initial={weights}", "--kernel=gaussian", "-q")
    assert code == 0
    (second,) = folder.glob("results/*/run.json")
    found = read(second)
    np.testing.assert_array_equal(found.arrays["initial.W_Q"], load_file(weights)["W_Q"])
    code, _, _ = command(*TRAIN, f"--initial={weights}", "-q")
    assert code == 0
    again = [read(path) for path in folder.glob("results/ak-softmax*/run.json")]
    losses = again[0].trace["optimization/training/loss_final"]
    earlier = read(folder / "first" / "run.json").trace["optimization/training/loss_final"]
    assert losses[0] == pytest.approx(earlier[-1], rel=1e-9)


@pytest.fixture
def mine(folder):
    (folder / "mine.py").write_text(MINE)
    return folder / "mine.py"


def test_a_kernel_of_a_users_own(command, folder, mine):
    code, out, _ = command(*TRAIN, "--kernel=mine.py:softmax", "--D=6")
    assert code == 0 and "mine.py:softmax" in out
    own = terms_of(folder)
    shutil.rmtree(folder / "results")
    command(*TRAIN, "--D=6", "-q")
    shipped = terms_of(folder)
    for term, probe, name in (("optimization", "training", "loss_ratio"),
                              ("floor", "attainable", "value"), ("spectrum", "B", "sigma_min"),
                              ("attention", "final", "min")):  # fmt: skip
        assert own[term][probe][name] == pytest.approx(shipped[term][probe][name], rel=1e-6)


def test_a_sweep_of_a_users_own(command, folder, mine):
    (folder / "own.toml").write_text(
        "[run]\ntheorem = 'attention-kernels'\ntau = 5\nD = 4\nd = 2\n"
        "[sweep]\nkernel = ['mine.py:cubic', 'softmax']\nseed = [0, 1]\n"
    )
    code, _, err = command("sweep", "own.toml", "--jobs=1")
    assert code == 0 and err.count("done ak-cubic") == 2 and err.count("done ak-softmax") == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def f(q, k):\n    return q @ undefined\n", "f.py, line 2: NameError"),
        ("def f(q, k):\n    return q\n", "f.py, line 1: returns (1, 4, 4, 8)"),
        ("def f(q, k)\n    pass\n", "f.py, line 1: SyntaxError"),
        ("import nowhere_to_be_found\n", "f.py, line 1: ModuleNotFoundError"),
        ("def g(q, k):\n    return q\n", "f.py defines no f"),
        ("raise SystemExit(0)\n", "f.py, line 1: SystemExit: 0"),
        ("f = 3\n", "f is a int, no function"),
        ("def f(q, k):\n    return (q @ k.mT).float()\n", "torch.float32"),
        ("def f(q, k):\n    return (q @ k.mT).log()\n", "f.py, line 1: returns NaN or infinity"),
        ("def f(q, k):\n    return q @ k.mT\nf.bounded = True\n", "is marked as bounded and"),
        (
            "import torch\ndef f(q, k):\n    return torch.sigmoid(q @ k.mT)\nf.normalised = True\n",
            "f.py, line 2: is marked as normalised and",
        ),
        ("def f(q, k):\n    return (q @ k.mT).detach().numpy()\n", "returns ndarray"),
    ],
    ids=[
        "name",
        "shape",
        "syntax",
        "import",
        "missing",
        "exit",
        "number",
        "dtype",
        "nan",
        "bounded",
        "normalised",
        "type",
    ],
)
def test_a_kernel_that_cannot_be_used(refused, folder, text, told):
    (folder / "f.py").write_text(text)
    line = refused(*TRAIN, "--kernel=f.py:f")
    assert told in line, line


def test_a_record_never_causes_a_file_to_be_run(command, folder, mine, own_code):
    """Neither verify nor --config of a record runs what the record names."""
    mine.write_text(MINE + "\nfrom pathlib import Path\nPath('was_run').touch()\n")
    assert command(*TRAIN, "--kernel=mine.py:softmax", "-q")[0] == 0
    (folder / "was_run").unlink()
    (path,) = folder.glob("results/*/run.json")
    own_code()
    code, _, err = command("verify", path)
    assert code == 2 and "was not named" in err
    code, _, err = command("train", f"--config={path}", "--tau=7")
    assert code == 2 and "was not named" in err
    assert command("show", path)[0] == 0
    assert command("slopes", "results")[0] in (0, 3)
    assert command("diff", "results", "results")[0] == 0
    assert not (folder / "was_run").exists()


def test_files_and_sizes_that_contradict(refused, folder):
    np.savez(folder / "labels.npz", y=np.ones((2, 3)))
    line = refused(*TRAIN, "--labels=labels.npz", "--n=4")
    assert line == "--n: 4 contradicts the file, which has 3"
    assert refused(*TRAIN, "--labels=none.npz").startswith("--labels none.npz: cannot be read")
    (folder / "bad.safetensors").write_bytes(b"\x01")
    assert refused(*TRAIN, "--initial=bad.safetensors").startswith("--initial bad.safetensors: not")


def test_the_audit(command):
    arguments = ("audit", "--theorem=attention-kernels", "--tau=60")
    code, out, _ = command(*arguments, "--train=V", "--method=fixed", "--H=2", "--json")
    links = json.loads(out)["links"]
    assert code == 0 and [link["verdict"] for link in links] == [
        "holds", "holds", "condition-not-met", "holds"
    ]  # fmt: skip
    code, out, _ = command(*arguments, "--train=Q", "--kernel=gaussian")
    assert code == 0 and "Theorem 3, Jacobian" in out


def test_the_bench(command):
    code, out, _ = command("bench", "--theorem=attention-kernels", "--seeds=2", "--count=5",
                           "--json")  # fmt: skip
    told = json.loads(out)
    assert code == 0 and set(told["seconds_per_step"]) == {"native", "arithmetic", "autograd"}
    for name, seconds in told["seconds_per_step"].items():
        assert told["ns_per_element"][name] == pytest.approx(1e9 * seconds / told["elements"])
    assert command("bench", "--theorem=attention-kernels", "--seeds=1", "--count=5")[0] == 0


@pytest.mark.parametrize("name", ["audit", "bench"])
def test_the_classifier_has_neither(refused, name):
    line = refused(name, "--theorem=attention-kernels", "--labels=images")
    assert line.startswith("--labels: images are classified by another model")


def test_its_own_preset_holds(command):
    code, out, err = command("check", "--theorem=attention-kernels", "--jobs=1")
    assert code == 0, out
    assert err.count("done ak-") == 70
    told = " ".join(out.split())
    assert "known to be false" in told and "Gram matrix" in told


def test_help_teaches(command):
    code, out, _ = command(*TRAIN, "--help")
    told = " ".join(out.replace("│", " ").split())
    assert code == 0
    for word in ("--kernel", "FILE.py:f", "--epsilon", "fixed|monotone", "block|dense",
                 "1/λ_max(G)", "--label-seed", "FILE.safetensors"):  # fmt: skip
        assert word in told
