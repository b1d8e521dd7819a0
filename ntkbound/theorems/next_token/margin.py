"""Max-margin directions: min ‖w‖² subject to w_o − w_b ≥ 1 for every compared pair (o, b).

Solved as least-distance programming through non-negative least squares (Lawson, Hanson, *Solving
Least Squares Problems*, ch. 23), written out here: where columns depend on each other, as those of
complete sets of pairs do, ``scipy.optimize.nnls`` of 1.15 to 1.17 may return a point that is not
the minimiser (scipy issue 25389). Sources: arXiv 2409.17335, Eqs. (2), (14), (15); what is said of
the closed forms is derived in docs/next-token.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.theorems.next_token.sentences import ABSENT, Pairs, Sentences

SLOPE = 1e-13  # what rounding leaves of a gradient or a coefficient that is 0, entries being ±1
MANY = 1000  # pairs beyond which a complete set takes its closed form: the solver is quadratic
INFEASIBLE = 1e-12  # residual below which no w has all margins 1


@dataclass(frozen=True)
class Column:
    """The solution of one query: ``values`` of its ``tokens``, and the residual of its optimality
    conditions, max(‖w − Aᵀλ‖_∞, (1 − Aw)_+, |λ∘(Aw − 1)|)."""

    tokens: tuple[int, ...]
    values: np.ndarray
    kkt: float


@dataclass(frozen=True)
class MaxMargin:
    """W_kq*, column by column; tokens that are in no pair have 0."""

    columns: Mapping[int, Column]
    closed_form_error: float

    @property
    def norm(self) -> float:
        """‖W_kq*‖."""
        return math.sqrt(sum(float(c.values @ c.values) for c in self.columns.values()))

    @property
    def kkt(self) -> float:
        """The largest residual of any column."""
        return max(column.kkt for column in self.columns.values())


def max_margin(sentences: Sentences) -> MaxMargin:
    """W_kq* of the order of these sentences.

    Raises InputError where the order has a cycle, so that no w has all margins.
    """
    columns, error = {}, 0.0
    for query, order in sentences.order.items():
        given = order.complete and len(order.pairs) > MANY
        column = _of_complete(order) if given else _solved(order)
        if column is None:
            told = "its tokens win against each other in a circle, so that no margin is possible"
            raise InputError(f"query {sentences.words[query]!r}: {told}")
        columns[query] = column
        error = max(error, float(np.abs(closed_form(order, column.tokens) - column.values).max()))
    return MaxMargin(columns, error)


def _of_complete(order: Pairs) -> Column:
    """One column where every winner was compared with every loser: the closed form, since all
    λ = 1/(k + m) meet the optimality conditions with it."""
    tokens = tuple(sorted({*order.wins, *order.loses}))
    values = closed_form(order, tokens)
    wins = np.isin(tokens, order.wins)
    k, m = len(order.wins), len(order.loses)
    multiplier = 1 / (k + m)
    slack = np.abs(values[wins][:, None] - values[~wins] - 1).max()
    apart = np.abs(values - np.where(wins, m, -k) * multiplier).max()
    return Column(tokens, values, float(max(slack, apart)))


def _solved(order: Pairs) -> Column | None:
    """One column by least-distance programming, None where the margins contradict each other."""
    tokens = tuple(sorted({*order.wins, *order.loses}))
    place = {token: i for i, token in enumerate(tokens)}
    A = np.zeros((len(order.pairs), len(tokens)))
    for row, (winner, loser) in enumerate(order.pairs):
        A[row, place[winner]], A[row, place[loser]] = 1.0, -1.0
    E = np.vstack([A.T, np.ones(len(A))])
    f = np.append(np.zeros(len(tokens)), 1.0)
    u = non_negative_least_squares(E, f)
    residual = E @ u - f
    if np.linalg.norm(residual) < INFEASIBLE:
        return None
    w, multipliers = -residual[:-1] / residual[-1], -u / residual[-1]
    slack = A @ w - 1
    parts = (w - A.T @ multipliers, np.maximum(-slack, 0), multipliers * slack)
    return Column(tokens, w, max(float(np.abs(part).max()) for part in parts))


def non_negative_least_squares(E: np.ndarray, f: np.ndarray) -> np.ndarray:
    """argmin ‖Eu − f‖ over u ≥ 0, by the active-set method of Lawson and Hanson.

    Columns may depend on each other: what would enter with a coefficient that is not positive has
    the pull of rounding alone, and the solution stands.
    """
    u, inside = np.zeros(E.shape[1]), np.zeros(E.shape[1], dtype=bool)
    while True:
        pull = np.where(inside, -np.inf, E.T @ (f - E @ u))
        entering = int(pull.argmax())
        if pull[entering] <= SLOPE:
            return u
        inside[entering] = True
        found = _on(E, f, inside)
        if found[entering] <= 0:
            return u
        while (found[inside] <= 0).any():
            leaving = inside & (found <= 0)
            step = (u[leaving] / (u[leaving] - found[leaving])).min()
            u += step * (found - u)
            inside &= u > SLOPE
            u[~inside] = 0.0
            found = _on(E, f, inside)
        u = found


def _on(E: np.ndarray, f: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Least squares with the columns ``inside`` alone, 0 elsewhere."""
    found = np.zeros(E.shape[1])
    found[inside] = np.linalg.lstsq(E[:, inside], f, rcond=None)[0]
    return found


def closed_form(order: Pairs, tokens: tuple[int, ...]) -> np.ndarray:
    """Proposition 2 of the paper: m/(k + m) on O_q and −k/(k + m) on N_q, k and m their sizes.

    It is the solution iff the pairs carry λ ≥ 0 with equal sums at the winners and equal sums at
    the losers; the paper does not ask for that.
    """
    k, m = len(order.wins), len(order.loses)
    return np.array([m / (k + m) if token in order.wins else -k / (k + m) for token in tokens])


def first_direction(sentences: Sentences) -> np.ndarray:
    """(V, V) W_ov*, column x equal to e_{n(x)} − 1/V, or 0 where n(x) is not known.

    Its margins are all 1 and its norm is √(M(V − 1)/V) for M tokens with a next one.
    """
    V = sentences.V
    known = np.flatnonzero(sentences.next != ABSENT)
    found = np.zeros((V, V))
    found[:, known] = -1 / V
    found[sentences.next[known], known] += 1
    return found


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """½‖A/‖A‖ − B/‖B‖‖² = 1 − cos, without the cancellation of 1 − ⟨A, B⟩/(‖A‖‖B‖)."""
    difference = one / np.linalg.norm(one) - other / np.linalg.norm(other)
    return float(0.5 * (difference * difference).sum())
