"""Constructions of labels and values, and the files that a run names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ntkbound.core.errors import InputError
from ntkbound.theorems.attention_kernels import THEOREM
from ntkbound.theorems.attention_kernels.config import Config, follows
from ntkbound.theorems.attention_kernels.files import read
from ntkbound.theorems.attention_kernels.problem import problem
from ntkbound.theorems.attention_kernels.run import prepare
from tests.theorems.attention_kernels.support import MINE, chirp, mine


def made(**fields):
    prepared = prepare(Config(**fields))
    return problem(prepared.config, prepared.data)


def test_scales_of_what_is_drawn():
    plain, scaled = made(), made(sq=2.0, sk=3.0, sv=0.5, so=10.0)
    for name, factor in (("W_Q", 2), ("W_K", 3), ("W_V", 0.5), ("W_O", 10)):
        np.testing.assert_allclose(scaled.start.arrays[name], factor * plain.start.arrays[name])
    assert made(sq=2.0).config.sk == 2.0  # follows sq
    wide = made(N=50, n=40, D=64, d=32, H=2)
    assert np.square(wide.X).sum(axis=2).mean() == pytest.approx(1, abs=0.02)  # unit tokens
    assert wide.start.W_Q.std() == pytest.approx(1, abs=0.05)
    assert wide.start.W_V.std() == pytest.approx(32**-0.5, rel=0.05)


def test_seeds_draw_what_they_name():
    base = made()
    for seed, changed in (
        ("data_seed", {"X"}), ("init_seed", {"W_Q", "W_K", "W_V", "W_O"}), ("label_seed", {"y"})
    ):  # fmt: skip
        other = made(**{seed: 7})
        arrays = [(p.start.arrays | {"X": p.X, "y": p.y}) for p in (base, other)]
        assert {k for k in arrays[0] if not np.array_equal(arrays[0][k], arrays[1][k])} == changed


def test_labels_near_the_start():
    one = made(labels="near", rho=1e-3)
    assert one.initial.residual.std() == pytest.approx(1e-3, rel=0.5)
    np.testing.assert_allclose(made(labels="near", rho=2e-3).initial.residual,
                               2 * one.initial.residual, atol=1e-15)  # fmt: skip


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
@pytest.mark.parametrize("H", [1, 2])
def test_labels_equal_make_values_near_one(epsilon, H):
    one = made(labels="equal", epsilon=epsilon, H=H)
    assert one.initial.v[0].std() == pytest.approx(epsilon, rel=0.5, abs=1e-12)
    assert one.initial.v[0].mean() == pytest.approx(1, abs=max(0.3 * epsilon, 1e-12))
    assert np.abs(one.initial.v[1:]).max(initial=0) == 0
    assert one.config.sk == 0.3 and one.y.min() >= 0.5 and one.y.max() <= 2.5
    if epsilon == 0:
        np.testing.assert_allclose(one.initial.output, 1, atol=1e-12)
    with pytest.raises(ValueError, match="D: 8 is below Nn = 16"):
        Config(labels="equal", D=8)


def test_a_teacher_differs_in_its_queries_alone():
    one, small = made(labels="teacher"), made(labels="teacher", student=0.1)
    np.testing.assert_array_equal(one.y, small.y)
    np.testing.assert_allclose(small.start.W_Q, 0.1 * one.start.W_Q)
    np.testing.assert_array_equal(small.start.W_K, one.start.W_K)
    assert one.initial.loss > 0
    wide, other = made(labels="teacher", sq=2.0), made(labels="teacher", sk=1.0, sq=2.0)
    assert not np.allclose(wide.y, one.y) and not np.allclose(wide.y, other.y)
    # The teacher's W_Q has the factor sq: in a model linear in it the labels have it, too.
    plain, twice = (made(labels="teacher", kernel="linear", sk=1.0, sq=sq) for sq in (1.0, 2.0))
    np.testing.assert_allclose(twice.y, 2 * plain.y)


@given(st.sampled_from(["random", "near", "equal", "teacher"]), st.integers(0, 50))
def test_one_matrix_starts_as_the_same_function(labels, seed):
    block, dense = (made(labels=labels, values=values, H=2, seed=seed)
                    for values in ("block", "dense"))  # fmt: skip
    np.testing.assert_allclose(block.y, dense.y, atol=1e-12)
    np.testing.assert_allclose(block.initial.output, dense.initial.output, atol=1e-12)
    assert dense.start.W_V.shape == (32, 16)


def test_labels_and_inputs_of_a_file(tmp_path):
    X, y = chirp(1, 2, 3, 5), chirp(2, 2, 3)
    np.savez(tmp_path / "both.npz", X=X, y=y)
    np.savez(tmp_path / "y.npz", y=y.astype(np.float32))
    both = made(labels=str(tmp_path / "both.npz"))
    np.testing.assert_array_equal(both.X, X)
    np.testing.assert_array_equal(both.y, y)
    assert both.config.sizes == (2, 3, 5, 8, 1)
    assert made(labels=str(tmp_path / "y.npz")).config.sizes == (2, 3, 16, 8, 1)
    for name, value in (("N", 4), ("n", 2), ("D", 16)):
        with pytest.raises(InputError, match=f"^{name}: {value} contradicts the file"):
            prepare(Config(labels=str(tmp_path / "both.npz"), **{name: value}))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"X": np.ones((1, 2, 3))}, "array 'y' is missing"),
        ({"y": np.ones(3)}, "y has shape"),
        ({"y": np.ones((0, 3))}, "nothing is in it"),
        ({"y": np.full((2, 2), np.nan)}, "holds NaN"),
        ({"y": np.array([["a"]])}, "is not numeric"),
        ({"y": np.full((2, 2), 1e200)}, "reaches 1e"),
        ({"y": np.ones((2, 2)), "X": np.ones((2, 3, 4))}, "X has shape"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_labels_that_cannot_be_used(tmp_path, arrays, told):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=told) as error:
        prepare(Config(labels=str(tmp_path / "bad.npz")))
    assert error.value.field == "labels" and error.value.value == str(tmp_path / "bad.npz")


def weights_file(folder, H=2, D=5, d=3, **changed):
    arrays = {
        "W_Q": chirp(1, H, D, d), "W_K": chirp(2, H, D, d), "W_V": chirp(3, H, D, d),
        "W_O": chirp(4, H, d),
    } | changed  # fmt: skip
    path = folder / "weights.safetensors"
    save_file({k: a for k, a in arrays.items() if a is not None}, path)
    return str(path)


def test_initial_weights_of_a_file(tmp_path):
    path = weights_file(tmp_path)
    one = made(initial=path, sq=5.0, sv=5.0, so=5.0)  # factors do not touch what is given
    assert one.config.sizes == (4, 4, 5, 3, 2)
    np.testing.assert_array_equal(one.start.W_Q, chirp(1, 2, 5, 3))
    np.testing.assert_array_equal(one.start.W_O, chirp(4, 2, 3))
    np.testing.assert_allclose(made(initial=path, values="dense").start.u, one.start.u)
    with pytest.raises(InputError, match="H: 1 contradicts the file, which has 2"):
        made(initial=path, H=1)
    np.savez(tmp_path / "both.npz", X=chirp(1, 2, 3, 6), y=chirp(2, 2, 3))
    with pytest.raises(InputError, match="D is 5 here and 6 in the labels' file"):
        made(initial=path, labels=str(tmp_path / "both.npz"))
    taught = made(initial=path, labels="teacher")
    np.testing.assert_array_equal(taught.start.W_Q, chirp(1, 2, 5, 3))
    with pytest.raises(ValueError, match="without initial"):
        Config(initial=path, labels="teacher", student=2.0)
    with pytest.raises(ValueError, match="leave initial out"):
        Config(initial=path, labels="equal")
    matrix = weights_file(tmp_path, W_V=chirp(3, 10, 6))
    assert made(initial=matrix, values="dense").start.W_V.shape == (10, 6)
    with pytest.raises(InputError, match="W_V has shape"):
        made(initial=matrix)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"W_O": None}, "'W_O' is missing"),
        ({"W_Q": np.ones((2, 5, 3), np.float32)}, "float32; float64 is needed"),
        ({"W_K": np.ones((2, 5, 4))}, "W_K has shape"),
        ({"W_Q": np.ones((5, 3))}, r"W_Q has shape \(5, 3\); \(H, D, d\)"),
        ({"W_V": np.full((2, 5, 3), np.inf)}, "holds NaN or infinity"),
    ],
    ids=["missing", "float32", "shape", "flat", "infinite"],
)
def test_weights_that_cannot_be_used(tmp_path, changed, told):
    with pytest.raises(InputError, match=told) as error:
        made(initial=weights_file(tmp_path, **changed))
    assert error.value.field == "initial"


def test_files_count_by_their_content(tmp_path):
    ids = set()
    for folder, text in (("a", MINE), ("b", MINE), ("c", MINE + "\n# other\n")):
        (tmp_path / folder).mkdir()
        prepared = prepare(Config(kernel=f"{mine(tmp_path / folder, text)}:cubic"))
        ids.add(THEOREM.identity(prepared.config, prepared.digest))
    assert len(ids) == 2
    other = prepare(Config(kernel=f"{tmp_path / 'a' / 'mine.py'}:softmax"))
    assert THEOREM.identity(other.config, other.digest) not in ids
    assert read(Config())[2] is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kernel": "sofmax"}, "did you mean 'softmax'"),
        ({"labels": "rand"}, "did you mean 'random'"),
        ({"train": "QX"}, "expected letters of QKV"),
        ({"rho": 0.1}, "only used by labels near"),
        ({"epsilon": 0.1}, "only used by labels equal"),
        ({"student": 2.0}, "only used by labels teacher"),
        ({"labels": "none.npz"}, "cannot be read"),
    ],
)
def test_what_is_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        prepare(Config(**fields))


def test_what_follows_and_what_is_derived():
    assert Config(train="VQ").train == "QV"
    assert Config(train="V", method="fixed").eta is None
    assert Config(train="V").eta == Config(train="Q", method="fixed").eta == 0.1
    assert follows(Config(sq=2.0).model_dump()) == {"sk": "sq"}
    assert follows(Config(sk=2.0).model_dump()) == {}
    fields = Config(seed=3, init_seed=5).model_dump()
    kept = Config.underived(fields)
    assert "data_seed" not in kept and kept["init_seed"] == 5 and "sk" not in kept
    assert Config(**Config.underived(fields) | {"seed": 4}).data_seed == 4
