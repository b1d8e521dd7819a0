"""Floors: no descent goes below them, and the threshold HD = Nn is exact."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.floors import attainable, least_squares
from ntkbound.theorems.attention_kernels.kernels import SHIPPED
from ntkbound.theorems.attention_kernels.measure import terms
from ntkbound.theorems.attention_kernels.problem import Problem
from ntkbound.theorems.attention_kernels.spectrum import Spectrum
from ntkbound.theorems.attention_kernels.weights import Weights
from tests.theorems.attention_kernels.support import descended, many, one

BOUNDED = ("softmax", "gaussian", "normalised-gaussian")
NARROW = {"N": 2, "n": 3, "d": 4}


@pytest.mark.parametrize("kernel", BOUNDED)
@pytest.mark.parametrize(("H", "D"), [(1, 5), (1, 6), (1, 7), (2, 2), (2, 3), (3, 1), (3, 2)])
def test_the_threshold_is_exact(kernel, H, D):
    for run in many(5, kernel=kernel, H=H, D=D, train="V", tau=1, **NARROW):
        found = terms(run)["floor"]["least_squares"]
        assert found["threshold_agrees"] == 1
        assert (found["relative"] < 1e-12) == (H * D >= 6)


def test_the_threshold_of_the_specification():
    """Medians of the prototype: .41/.30/.03 of ½‖y‖² at D = 8/12/15, nothing at 16."""
    for kernel in ("softmax", "gaussian"):
        medians = []
        for D in (8, 12, 15, 16):
            runs = many(20, kernel=kernel, D=D, train="V", tau=1)
            values = [terms(run)["floor"]["least_squares"]["relative"] for run in runs]
            medians.append(np.median(values))
        assert 0.3 < medians[0] < 0.6 and 0.1 < medians[1] < 0.4 and 0.01 < medians[2] < 0.15
        assert medians[3] < 1e-23


@given(st.sampled_from(BOUNDED), st.sampled_from(["Q", "K", "QK"]), st.integers(1, 2),
       st.sampled_from([0.3, 1.0, 3.0]), st.integers(0, 200))  # fmt: skip
def test_no_descent_without_values_goes_below_its_floor(kernel, train, H, sv, seed):
    run = one(kernel=kernel, train=train, H=H, sv=sv, seed=seed, tau=300, **NARROW)
    assert run.floor == run.attainable
    assert run.losses.min() >= run.floor * (1 - 1e-12)


@given(st.sampled_from(BOUNDED), st.integers(0, 500), st.integers(1, 2))
def test_the_floor_is_that_of_any_attention(kernel, seed, H):
    """Random rows of the kernel's kind, instead of rows that some W_Q makes."""
    state = one(kernel=kernel, H=H, seed=seed, tau=1, **NARROW).problem.initial
    rng = np.random.default_rng(seed)
    S = rng.dirichlet(np.full(3, 0.3), size=(H, 2, 3))
    if kernel == "gaussian":
        S = rng.uniform(size=S.shape)
    r = np.einsum("hNaj,hNj->Na", S, state.v) - state.problem.y
    assert 0.5 * np.square(r).sum() >= attainable(state)


def test_softmax_of_one_head_attains_its_floor():
    """Free rows, Nn ≤ D: the infimum over W_Q is the floor."""
    run = one(train="Q", tau=4000, D=16, N=2, n=2, sv=1.0, eta=0.5, seed=3)
    assert run.floor > 0.01
    assert run.losses[-1] == pytest.approx(run.floor, rel=0.02)


@given(st.sampled_from(BOUNDED), st.integers(1, 2), st.integers(1, 8), st.booleans(),
       st.integers(0, 99))  # fmt: skip
def test_least_squares_is_the_floor_of_values(kernel, H, D, dense, seed):
    run = one(kernel=kernel, H=H, D=D, seed=seed, tau=200, train="V",
              values="dense" if dense else "block", **NARROW)  # fmt: skip
    spectrum = Spectrum(run.problem.initial)
    B, y = run.problem.initial.B, run.problem.y.reshape(-1)
    best = scipy.optimize.lsq_linear(B, y, lsmr_tol="auto").cost
    assert least_squares(spectrum) == pytest.approx(best, rel=1e-6, abs=1e-12 * float(y @ y))
    assert run.losses.min() >= least_squares(spectrum) * (1 - 1e-9) - 1e-25


def example(kernel, y, train="Q", **fields):
    """The paper's example: N = 1, n = 2, X = I, both values 3 whatever a."""
    a = 2.0
    start = Weights(
        np.array([[[1.0, 0.5], [0.2, -0.3]]]), np.array([[[0.4, 0.1], [-0.2, 0.6]]]),
        a * np.array([[[2.0, 1.0], [1.0, 2.0]]]), np.full((1, 2), 1 / a),
    )  # fmt: skip
    config = Config(kernel=kernel, train=train, N=1, n=2, D=2, d=2, H=1, **fields)
    return descended(Problem(config, SHIPPED[kernel], np.eye(2)[None], np.array([y]), start))


def test_the_papers_example():
    """Equal values: the softmax has a loss that no W_Q changes, the Gaussian scales its rows."""
    softmax = example("softmax", [1.0, 2.0])
    np.testing.assert_allclose(softmax.problem.initial.v, 3)
    assert softmax.losses[0] == softmax.losses[-1] == pytest.approx(2.5)
    assert softmax.squared_gradient.max() < 1e-25
    assert softmax.attainable == pytest.approx(2.5)
    found = terms(softmax)["optimization"]["training"]
    assert found["reached_floor"] == 1 and found["trap"] == 0 and found["success"] == 0
    assert example("softmax", [1.0, 2.0], "QK").losses[-1] == pytest.approx(2.5)
    gaussian = example("gaussian", [1.0, 2.0], tau=4000)
    assert gaussian.losses[-1] < 1e-20
    far = example("gaussian", [7.0, 1.0], tau=4000)
    assert far.attainable == pytest.approx(0.5)  # outputs stay below 6
    assert far.losses[-1] > far.attainable


def test_near_equal_values():
    """ε = 0: the Gaussian reaches zero, the softmax its floor and no lower."""
    gaussian = many(5, kernel="gaussian", labels="equal", train="Q", epsilon=0.1)
    softmax = many(5, kernel="softmax", labels="equal", train="Q", epsilon=0.0)
    for run in gaussian:
        assert terms(run)["optimization"]["training"]["success"] == 1
    for run in softmax:
        found = terms(run)
        assert found["optimization"]["training"]["success"] == 0
        assert found["optimization"]["training"]["reached_floor"] == 1
        assert found["floor"]["attainable"]["feasible"] == 0


def test_kernels_without_a_floor():
    found = terms(one(kernel="linear", train="Q", tau=5))
    assert "attainable" not in found["floor"]
    assert "reached_floor" not in found["optimization"]["training"]
    with_values = terms(one(kernel="linear", train="QV", tau=5))
    assert "reached_floor" in with_values["optimization"]["training"]  # above 0
    assert "feasible" not in terms(one(train="V", tau=1))["floor"]["attainable"]
