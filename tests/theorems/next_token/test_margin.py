"""Max-margin directions against a general solver, and when the closed form of the paper is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from ntkbound.core.errors import InputError
from ntkbound.theorems.next_token import margin, tasks
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.margin import closed_form, first_direction, gap, max_margin
from ntkbound.theorems.next_token.sentences import of_pairs
from ntkbound.theorems.next_token.verify import hildreth


def matrix(order, tokens):
    A = np.zeros((len(order.pairs), len(tokens)))
    for row, (winner, loser) in enumerate(order.pairs):
        A[row, tokens.index(winner)], A[row, tokens.index(loser)] = 1, -1
    return A


def flows(order, tokens):
    """Whether λ ≥ 0 exists with Aᵀλ equal to the closed form: only then is it optimal."""
    A = matrix(order, tokens)
    found = linprog(np.ones(len(A)), A_eq=A.T, b_eq=closed_form(order, tokens))
    return found.status == 0


@given(seed=st.integers(0, 200), k=st.integers(1, 3), m=st.integers(1, 4),
       keep=st.sampled_from([0.4, 0.7, 1.0]))  # fmt: skip
def test_columns_are_those_of_a_general_solver(seed, k, m, keep):
    data = tasks.free(Config(task="free", V=9, optimal=k, non_optimal=m, keep=keep, seed=seed))
    if not data.order:
        return
    best = max_margin(data)
    assert best.kkt <= 5e-15
    for query, column in list(best.columns.items())[:3]:
        order = data.order[query]
        A = matrix(order, column.tokens)
        solved = minimize(
            lambda w: w @ w / 2, np.zeros(A.shape[1]), jac=lambda w: w, method="SLSQP",
            constraints={"type": "ineq", "fun": lambda w, A=A: A @ w - 1, "jac": lambda w, A=A: A},
            options={"ftol": 1e-14, "maxiter": 500},
        )  # fmt: skip
        np.testing.assert_allclose(column.values, solved.x, atol=1e-6)
        dual = hildreth(order.pairs, data.V)[list(column.tokens)]
        np.testing.assert_allclose(column.values, dual, atol=1e-10)
        exact = np.abs(closed_form(order, column.tokens) - column.values).max() < 1e-9
        assert exact == flows(order, column.tokens)
        if order.complete:
            assert exact


def test_the_counterexample_satisfies_every_assumption_and_no_flow_exists():
    data = tasks.counterexample().checked()
    assert data.optimal_most_frequent
    assert sorted(data.next.tolist()) == list(range(8))
    order, column = data.order[7], max_margin(data).columns[7]
    assert not flows(order, column.tokens)
    assert max_margin(data).closed_form_error == pytest.approx(0.25, rel=1e-12)


def test_the_first_direction_is_feasible_and_smallest():
    data = tasks.rollout(Config(V=7, max_len=6, seed=1))
    W = first_direction(data)
    x = np.arange(7)
    apart = W[data.next, x] - W
    apart[data.next, x] = 1
    np.testing.assert_allclose(apart, 1, rtol=1e-14)
    assert np.linalg.norm(W) == pytest.approx(np.sqrt(6), rel=1e-14)
    target = int(data.next[0])
    solved = minimize(
        lambda w: w @ w / 2, np.zeros(7), jac=lambda w: w, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda w: np.delete(w[target] - w, target) - 1},
        options={"ftol": 1e-14},
    )  # fmt: skip
    np.testing.assert_allclose(W[:, 0], solved.x, atol=1e-6)


def test_tokens_without_a_next_one_have_no_column():
    data = of_pairs(5, [((0,), 1), ((1,), 2), ((1, 0), 2)])
    W = first_direction(data)
    assert not W[:, 2:].any()
    assert np.linalg.norm(W) == pytest.approx(np.sqrt(2 * 4 / 5))


def test_a_gap_keeps_its_digits():
    one, other = np.array([1.0, 0.0]), np.array([1.0, 1e-12])
    assert gap(one, other) == pytest.approx(5e-25, rel=1e-10, abs=0)
    assert gap(3 * one, -2 * one) == pytest.approx(2)


def test_a_circle_of_wins_allows_no_margin():
    """0 > 1 > 2 > 0 with the query 3; every token wins and loses, which checked() refuses first."""
    singles = [((x,), (x + 1) % 4) for x in range(4)]
    wins = [((0, 1, 3), 1), ((1, 2, 3), 2), ((2, 0, 3), 3)]
    data = of_pairs(4, [*singles, *wins])
    with pytest.raises(InputError, match="wins in '0 1 3' and loses in '2 0 3'"):
        data.checked()
    with pytest.raises(InputError, match="in a circle"):
        max_margin(data)


@given(seed=st.integers(0, 200), k=st.integers(1, 4), m=st.integers(1, 5))
def test_complete_pairs_need_no_solver(seed, k, m):
    """The closed form, with the residual of a solution, and what the active set comes to."""
    data = tasks.free(Config(task="free", V=9, optimal=k, non_optimal=m, seed=seed))
    for order in data.order.values():
        assert order.complete
        short, whole = margin._of_complete(order), margin._solved(order)
        assert short.tokens == whole.tokens
        np.testing.assert_allclose(short.values, whole.values, atol=1e-13)
        assert short.kkt <= 4e-16
