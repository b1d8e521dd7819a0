"""The bounds inverted: how many heads and steps guarantee a target RMSE before a head is drawn.

**Unknown norms.** The closed-form bounds depend on u_i = ‖U_i(0)‖ through means over heads of
polynomials of degree 2 with non-negative coefficients, so mean u ≤ √(mean u²) lets one number stand
for all of them. The m/2 independent pairs have Σ ‖U_i‖² ~ χ² with D = md/2 degrees of freedom, and
P(χ²_D ≥ D + 2√(Dt) + 2t) ≤ e^{−t} (Laurent, Massart, 2000, Lemma 1), so with probability ≥ 1 − δ'

    mean_i u_i² ≤ u*² = d + 2√(2dt/m) + 4t/m,   t = log(1/δ').

**Splitting δ.** 1 % for these norms, 1 % for the labels where they average finitely many heads, the
rest for ε_app.

**Inversion.** With η√τ fixed the bound decreases in m (through ε and L²) and in τ (k grows,
the right side of kx² − εx = V_0/(4ητ) shrinks), and tends to ε as τ → ∞: so bisection finds the
smallest m that some τ suits (ε(m) < target), and the smallest τ for an m or m for a τ.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer.bounds import LABEL_SHARE, OUTSIDE, rmse_root
from ntkbound.theorems.shallow_transformer.certificates import a_priori
from ntkbound.theorems.shallow_transformer.problem import Problem

NORM_SHARE = 0.01  # of δ, spent on mean u²
LARGEST = 1 << 60  # neither more heads nor more steps are searched


@dataclass(frozen=True)
class Ingredients:
    """What one level of bound says at one m."""

    epsilon: float
    squared_feature_norm: float


Level = Callable[[Problem], Ingredients]  # they depend on m, not on η and τ


@dataclass(frozen=True)
class Plan:
    """Answer of one level; null with a ``reason`` where the target cannot be guaranteed."""

    level: str
    m: int | None
    tau: int | None
    fewest_heads: int | None  # the smallest m that suits some τ
    rmse: float | None  # guaranteed at (m, τ)
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def mean_square_norm(d: int, m: int, delta: float) -> float:
    """u*²: with probability ≥ 1 − δ the mean of ‖U_i(0)‖² over m symmetric heads is below it."""
    t = math.log(1 / delta)
    return d + 2 * math.sqrt(2 * d * t / m) + 4 * t / m


def closed_form(problem: Problem) -> Ingredients:
    """ε_lin + ε_app + ε_cof and L² of docs/theory.md §4, with probability ≥ 1 − δ over φ_0."""
    m, delta = problem.m, problem.delta
    u = np.array([math.sqrt(mean_square_norm(problem.d, m, NORM_SHARE * delta))])
    labels = LABEL_SHARE if problem.label_heads else 0.0
    app = theorem.approximation(problem, m // 2, (1 - NORM_SHARE - labels) * delta)
    app += theorem.label_error(problem, labels * delta)
    lin = theorem.linearization(problem, u)
    epsilon = lin + app + theorem.change_of_feature(problem, u)
    return Ingredients(epsilon, theorem.squared_feature_norm(problem, u))


def tightened(problem: Problem) -> Ingredients:
    """ε and L² of docs/certificates.md §5, which know no more than the closed forms here."""
    return Ingredients(*a_priori.ingredients(problem))


LEVELS: Mapping[str, Level] = {
    "closed-form": functools.cache(closed_form),
    "a-priori": functools.cache(tightened),
}


def guaranteed_rmse(problem: Problem, name: str, m: int, tau: int) -> float:
    """The bound on √min R̂ with m heads after τ steps, η√τ unchanged; infinite where vacuous."""
    found, at = LEVELS[name](replace(problem, m=m)), problem.after(tau)
    return rmse_root(found.epsilon, found.squared_feature_norm, at.nu.squared, at.eta, tau)


def plan(
    problem: Problem, target: float, name: str, *, m: int | None = None, tau: int | None = None
) -> Plan:
    """Smallest τ for a given m, smallest m for a given τ, or the pair with the least m·τ.

    What was free is minimal: bound(m, τ) ≤ target < bound(m − 2, τ), bound(m, τ − 1). Of
    ``problem`` neither m nor τ counts: another τ keeps its η√τ.
    """
    if not problem.target_inside:
        return Plan(name, None, None, None, None, f"no finite m and τ: {OUTSIDE.reason}")
    heads = fewest_heads(problem, target, name)
    if heads is None:
        limit = LEVELS[name](replace(problem, m=2 * LARGEST)).epsilon
        reason = f"no finite m and τ: ε stays above {limit:.3g} however large m is"
        if problem.label_heads:
            reason += f", the error of labels that average {problem.label_heads} heads"
        return Plan(name, None, None, None, None, reason)
    search = _Search(problem, target, name, heads)
    if m is not None and tau is not None:
        return search.given(m, tau)
    if m is not None:
        return search.steps(m)
    if tau is not None:
        reason = f"no finite m at τ = {tau}: the bound's part in τ alone is too large"
        return search.width(tau, reason)
    return search.pair()


@dataclass(frozen=True)
class _Search:
    """A target that enough steps reach with ``heads`` heads, and with no fewer."""

    problem: Problem
    target: float
    name: str
    heads: int

    def bound(self, m: int, tau: int) -> float:
        return guaranteed_rmse(self.problem, self.name, m, tau)

    def suits(self, m: int, tau: int) -> bool:
        return self.bound(m, tau) <= self.target

    def given(self, m: int, tau: int) -> Plan:
        value = self.bound(m, tau)
        if value <= self.target:
            return self._found(m, tau)
        told = "is vacuous" if math.isinf(value) else f"is {value:.4g}"
        return self._none(f"at m = {m}, τ = {tau} the bound {told}")

    def steps(self, m: int) -> Plan:
        tau = _smallest(functools.partial(self.suits, m)) if m >= self.heads else None
        if tau is None:
            epsilon = LEVELS[self.name](replace(self.problem, m=m)).epsilon
            return self._none(f"no finite τ at m = {m}: ε = {epsilon:.4g} is too large")
        return self._found(m, tau)

    def width(self, tau: int, otherwise: str) -> Plan:
        half = _smallest(lambda h: self.suits(2 * h, tau))
        return self._none(otherwise) if half is None else self._found(2 * half, tau)

    def pair(self) -> Plan:
        beyond = f"no finite m and τ: more than {LARGEST:.1e} would be needed"
        pair = _least_work(self.heads, self.suits)
        return self._none(beyond) if pair is None else self.width(pair[1], beyond)

    def _found(self, m: int, tau: int) -> Plan:
        return Plan(self.name, m, tau, self.heads, self.bound(m, tau))

    def _none(self, reason: str) -> Plan:
        return Plan(self.name, None, None, self.heads, None, reason)


COARSE, FINE = 1.2, 1.02  # ratios of neighbouring widths in the search for the least work


def _least_work(heads: int, suits: Callable[[int, int], bool]) -> tuple[int, int] | None:
    """(m, τ) with the least m·τ: a coarse grid from ``heads`` to 100 times as many, then a fine one
    between the neighbours of its best width."""
    best: tuple[int, int] | None = None
    centre, ratio, reach = 10.0 * heads, COARSE, round(math.log(10) / math.log(COARSE))
    for _ in range(2):
        for power in range(-reach, reach + 1):
            m = max(heads, 2 * math.ceil(centre * ratio**power / 2))
            least = None if best is None else best[0] * best[1] // m
            if least is not None and (least < 1 or not suits(m, least)):
                continue  # cannot beat the best pair
            tau = _smallest(lambda t, m=m: suits(m, t))  # type: ignore[misc]
            if tau is not None:
                best = (m, tau)
        if best is None:
            return None
        centre, ratio, reach = best[0], FINE, round(math.log(COARSE) / math.log(FINE))
    return best


def _smallest(holds: Callable[[int], bool]) -> int | None:
    """The smallest integer ≥ 1 at which a monotone condition holds; None beyond LARGEST."""
    high = 1
    while not holds(high):
        high *= 2
        if high > LARGEST:
            return None
    low = high // 2  # does not hold there, or is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def width_curve(problem: Problem, target: float, name: str, samples: list[int]) -> list[int | None]:
    """The fewest heads that suit some τ, at every n of ``samples``: growth like log n."""
    return [fewest_heads(replace(problem, n=n), target, name) for n in samples]


def fewest_heads(problem: Problem, target: float, name: str) -> int | None:
    """The smallest even m with ε(m) < target; None where there is none."""
    half = _smallest(lambda h: LEVELS[name](replace(problem, m=2 * h)).epsilon < target)
    return None if half is None else 2 * half
