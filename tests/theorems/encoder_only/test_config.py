"""What may be set: defaults, what goes together, and files that can or cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from ntkbound.core.errors import InputError
from ntkbound.core.registry import find
from ntkbound.theorems.encoder_only import initial
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.run import prepare
from ntkbound.theorems.encoder_only.start import Source, problem_of, start
from tests.theorems.encoder_only.support import WORKERS

THEOREM = find("encoder-only")


def configured(**fields):
    return THEOREM.configure({"theorem": "encoder-only", **fields})


def refusal(**fields):
    with pytest.raises(InputError) as told:
        prepare(configured(**fields))
    line = str(told.value)
    assert "\n" not in line
    return line


def test_the_defaults_of_the_specification():
    config = Config()
    assert (config.init, config.scaling, config.pooling, config.loss) == (
        "lecun", "half", "mean", "mean"
    )  # fmt: skip
    assert tuple(config.sizes) == (256, 100, 10, 100)
    assert (config.tokens, config.step, config.gamma, config.gamma_of) == (
        "unit", "kernel", 1.0, "own"
    )  # fmt: skip
    assert (config.tau, config.records, config.hessian, config.kernel_every) == (
        400, 32, False, None
    )  # fmt: skip
    assert config.data_seed == config.init_seed == 0


def test_the_defaults_of_the_images():
    config = Config(task="images")
    assert (config.lr, config.momentum, config.batch, config.epochs, config.d) == (
        0.1, 0.9, 64, 20, 64
    )  # fmt: skip
    assert config.tau is None
    assert config.N is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"lr": 0.1}, "lr: only used by task images"),
        ({"epochs": 3}, "epochs: only used by task images"),
        ({"task": "images", "tokens": "raw"}, "tokens: only used by tasks gaussian"),
        ({"task": "images", "N": 3}, "N: only used by tasks gaussian"),
        ({"task": "images", "hessian": True}, "hessian: only used by tasks gaussian"),
        ({"step": "fixed", "gamma_of": "half"}, "gamma_of: only used by steps kernel"),
        ({"dm": 4096, "hessian": True}, "hessian: dm = 4096 is more than 2048"),
        ({"dm": 16385}, "dm: input should be less than or equal to 16384"),
        ({"task": "guassian"}, "did you mean 'gaussian'?"),
        ({"initial": "weights.npz"}, "initial: 'weights.npz' is no FILE.safetensors"),
        ({"scaling": "two"}, "scaling: input should be 'half' or 'one'"),
        ({"gamma": 0}, "gamma: input should be greater than 0"),
        ({"momentum": 1.0, "task": "images"}, "momentum: input should be less than 1"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_one_line(fields, told):
    assert told in refusal(**fields)


@pytest.fixture
def arrays(tmp_path):
    """A file of data and one of weights that go together."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((7, 3, 5)), rng.standard_normal(7)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    weights = {name: rng.standard_normal((12, 5)) for name in ("W_Q", "W_K", "W_V")}
    weights["w_O"] = rng.standard_normal(12)
    save_file(weights, tmp_path / "start.safetensors")
    return tmp_path / "data.npz", tmp_path / "start.safetensors", X, y, weights


def test_sizes_follow_from_files(arrays):
    data, start, X, y, weights = arrays
    prepared = prepare(configured(task=str(data), initial=str(start), tokens="raw", init="ntk"))
    assert tuple(prepared.config.sizes) == (12, 7, 3, 5)
    problem = problem_of(prepared.config, prepared.data)
    assert np.array_equal(problem.X.numpy(), X)
    assert np.array_equal(problem.y.numpy(), y)
    assert problem.tau1 == pytest.approx(12**-0.5)
    assert all(np.array_equal(prepared.data.weights[name], weights[name]) for name in weights)
    alone = prepare(configured(task=str(data))).config
    assert tuple(alone.sizes) == (256, 7, 3, 5)
    assert tuple(prepare(configured(initial=str(start))).config.sizes) == (12, 100, 10, 5)


@pytest.mark.parametrize(("field", "size"), [("N", 8), ("ds", 4), ("d", 6), ("dm", 16)])
def test_a_size_that_contradicts_a_file_is_refused(arrays, field, size):
    data, start, *_ = arrays
    told = refusal(task=str(data), initial=str(start), **{field: size})
    assert told.startswith(f"{field}: {size} contradicts ")
    same = {"N": 7, "ds": 3, "d": 5, "dm": 12}
    prepare(configured(task=str(data), initial=str(start), **same))


def test_files_whose_sizes_disagree_are_refused(arrays, tmp_path):
    np.savez(tmp_path / "other.npz", X=np.ones((2, 3, 4)), y=np.ones(2))
    told = refusal(task=str(tmp_path / "other.npz"), initial=str(arrays[1]))
    assert told.startswith("d: 4 contradicts ")
    assert told.endswith("which has d = 5")


def test_files_count_by_content(arrays, tmp_path):
    data, start, *_ = arrays
    copies = tmp_path / "copy.npz", tmp_path / "copy.safetensors"
    for path, copy in zip((data, start), copies, strict=True):
        copy.write_bytes(path.read_bytes())

    def identity(task, weights):
        prepared = prepare(configured(task=str(task), initial=str(weights)))
        return THEOREM.identity(prepared.config, prepared.digest)

    assert identity(data, start) == identity(*copies)
    with np.load(data) as found:
        np.savez(copies[0], X=2 * found["X"], y=found["y"])
    assert identity(data, start) != identity(copies[0], start)
    assert THEOREM.identity(configured()) != identity(data, start)


GOOD = {"X": np.ones((2, 3, 4)), "y": np.ones(2)}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"X": np.ones((2, 3))}, "X has shape (2, 3); (N, ds, d) with no zero is needed"),
        ({"X": np.ones((2, 0, 4))}, "X has shape (2, 0, 4)"),
        ({"y": np.ones(3)}, "y has shape (3,); (2,) is needed"),
        ({"y": np.array([1, np.nan])}, "array 'y' holds NaN or infinity"),
        ({"X": np.full((2, 3, 4), "a")}, "array 'X' is not numeric"),
        ({"y": None}, "array 'y' is missing"),
    ],
    ids=str,
)
def test_arrays_that_cannot_be_used_are_one_line(tmp_path, changed, told):
    found = {name: a for name, a in {**GOOD, **changed}.items() if a is not None}
    np.savez(tmp_path / "bad.npz", **found)
    line = refusal(task=str(tmp_path / "bad.npz"))
    assert told in line
    assert line.startswith(f"task {tmp_path / 'bad.npz'}: ")


def test_files_that_are_none_are_one_line(tmp_path):
    (tmp_path / "no.npz").write_bytes(b"no archive")
    (tmp_path / "no.safetensors").write_bytes(b"no tensors")
    assert "not a readable .npz" in refusal(task=str(tmp_path / "no.npz"))
    assert "cannot be read (No such file" in refusal(task=str(tmp_path / "none.npz"))
    assert "not a readable .safetensors" in refusal(initial=str(tmp_path / "no.safetensors"))
    assert "cannot be read (No such file" in refusal(initial=str(tmp_path / "none.safetensors"))


WEIGHTS = {**{name: np.ones((4, 3)) for name in ("W_Q", "W_K", "W_V")}, "w_O": np.ones(4)}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"W_Q": np.ones((4, 3), np.float32)}, "'W_Q' is float32; float64 is needed"),
        ({"w_O": np.ones(5)}, "'w_O' has shape (5,); (4,) is needed"),
        ({"W_V": np.ones((3, 4))}, "'W_V' has shape (3, 4); (4, 3) is needed"),
        ({"W_Q": np.ones(4)}, "'W_Q' has shape (4,)"),
        ({"W_K": np.full((4, 3), np.inf)}, "'W_K' holds NaN or infinity"),
        ({"w_O": None}, "'w_O' is missing"),
    ],
    ids=str,
)
def test_weights_that_cannot_be_used_are_one_line(tmp_path, changed, told):
    found = {name: a for name, a in {**WEIGHTS, **changed}.items() if a is not None}
    save_file(found, tmp_path / "bad.safetensors")
    line = refusal(initial=str(tmp_path / "bad.safetensors"))
    assert told in line
    assert line.startswith(f"initial {tmp_path / 'bad.safetensors'}: ")


def test_more_weights_than_asked_for_are_left_alone(tmp_path):
    save_file({**WEIGHTS, "bias": np.ones(2)}, tmp_path / "more.safetensors")
    found, _ = initial.read(tmp_path / "more.safetensors")
    assert set(found) == set(WEIGHTS)


def test_tokens_of_a_file(tmp_path):
    X = np.array([[[3.0, 4.0], [0.0, 2.0]]])
    np.savez(tmp_path / "two.npz", X=X, y=np.ones(1))

    def tokens(kind):
        prepared = prepare(configured(task=str(tmp_path / "two.npz"), tokens=kind))
        return problem_of(prepared.config, prepared.data).X.numpy()

    assert np.array_equal(tokens("raw"), X)
    assert np.allclose(tokens("unit"), [[[0.6, 0.8], [0, 1]]])
    assert np.allclose(tokens("centred"), [[[1.5, 1], [-1.5, -1]]])


def test_a_zero_token_has_no_direction(tmp_path):
    X = np.ones((2, 3, 4))
    X[1, 2] = 0
    np.savez(tmp_path / "zero.npz", X=X, y=np.ones(2))
    assert "tokens: token 2 of sample 1 is zero" in refusal(task=str(tmp_path / "zero.npz"))
    assert prepare(configured(task=str(tmp_path / "zero.npz"), tokens="raw")).config.N == 2


def test_what_a_record_says_can_be_overridden(arrays):
    data, start, *_ = arrays
    fields = prepare(configured(task=str(data), initial=str(start), seed=3)).config.model_dump()
    kept = Config.underived(fields)
    assert not {"N", "ds", "d", "dm", "data_seed", "init_seed"} & set(kept)
    assert Config.underived(configured(seed=3, init_seed=4).model_dump())["init_seed"] == 4


def test_a_run_that_does_not_fit_is_refused_before_it_starts():
    told = "this run needs .* GiB of memory .*; take fewer samples"
    with pytest.raises(InputError, match=told):
        start(Config(N=10**6), Source(), WORKERS)
