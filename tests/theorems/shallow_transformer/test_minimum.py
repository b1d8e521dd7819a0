"""The grid minimiser behind the bounds, and what they minimise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar

from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer.certificates import a_priori
from ntkbound.theorems.shallow_transformer.minimum import minimum
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem


@given(st.floats(-8, 3), st.floats(0.1, 10))
def test_one_valley_is_found_wherever_it_lies(at, steepness):
    found = minimum(lambda x: 2 + np.cosh(steepness * (x - at)), -9.0, 4.0)
    assert 3 <= found <= 3 * (1 + 1e-8)


def test_a_minimum_at_an_end_and_one_beside_an_overflow_are_found():
    assert minimum(np.exp, -3.0, 5.0) == pytest.approx(math.exp(-3.0), rel=1e-12)
    assert minimum(lambda x: np.exp(np.exp(x)) - 40 * x, 0.0, 50.0) == pytest.approx(
        minimize_scalar(lambda x: math.exp(math.exp(x)) - 40 * x, bounds=(0, 3)).fun, rel=1e-9
    )


@given(
    st.floats(0, 3), st.floats(0, 3), st.just(0.0) | st.floats(1e-6, 3),
    st.integers(1, 40), st.integers(1, 10_000), st.integers(1, 5000),
)  # fmt: skip
def test_the_closed_form_of_s_is_the_minimum_over_s(c, u, w, d, n, pairs):
    """ε_app against its two free parameters on a grid of both: never above, hardly below."""
    problem = Problem(
        n=n, m=2 * pairs, d=d, T=1, activation="tanh", rho=Norms(1, 1, 1), nu=Norms(c, u, w),
        eta=0.1, tau=100, delta=0.05,
    )  # fmt: skip
    bound = theorem.approximation(problem, pairs, 0.05)
    alpha, log_term = c + u, math.log(2 * n / 0.05) / pairs
    if w == 0:
        assert bound == pytest.approx(alpha * math.sqrt(8 * log_term), rel=1e-12)
        return
    s = np.exp(np.linspace(-20, 30, 400))[:, None]
    share = 1 / (1 + np.exp(-np.linspace(-25, 12, 400)))
    lam = share / math.sqrt(2) / w / np.sqrt(1 + 1 / s)
    exponent = 2 * lam**2 * (1 + s) * alpha**2 - d * np.log1p(-(share**2)) + log_term
    least = float((exponent / lam).min())
    assert least * 0.98 <= bound <= least * (1 + 1e-9)


@pytest.mark.parametrize("d", [1, 4, 8, 100])
def test_the_radial_cells_and_their_tail_are_those_of_the_chi_square_law(d):
    edges, weights = a_priori._cells(d)
    last = edges[-1]
    assert weights == pytest.approx(np.diff(stats.chi2.cdf(np.append(0, edges) ** 2, d)), abs=1e-14)
    tops = np.array([0.0, 0.1, 0.4, 0.6]) * last**2
    tails = [
        (1 - 2 * g) ** (-d / 2) * stats.chi2.sf(last**2 * (1 - 2 * g), d) for g in (0, 0.1, 0.4)
    ]
    assert a_priori._tail(d, tops)[:3] == pytest.approx(tails, rel=1e-10)
    assert a_priori._tail(d, tops)[3] == math.inf
