"""The bounds inverted: how many heads and steps guarantee a target RMSE before a head is drawn.

**Unknown norms.** The closed-form bounds depend on u_i = ‖U_i(0)‖ through means over heads of
polynomials of degree 2 with non-negative coefficients, so mean u ≤ √(mean u²) lets one number stand
for all of them. The m/2 independent pairs have Σ ‖U_i‖² ~ χ² with D = md/2 degrees of freedom, and
P(χ²_D ≥ D + 2√(Dt) + 2t) ≤ e^{−t} (Laurent, Massart, 2000, Lemma 1), so with probability ≥ 1 − δ'

    mean_i u_i² ≤ u*² = d + 2√(2dt/m) + 4t/m,   t = log(1/δ').

**Splitting δ.** 1 % for these norms, 1 % for the labels where they average finitely many heads, the
rest for ε_app.

**Inversion.** With η = eta_scale/√τ the bound decreases in m (through ε and L²) and in τ (k grows,
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

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer.bounds import LABEL_SHARE, Norms, Setting, rmse_root
from ntkbound.theorems.shallow_transformer.certificates import a_priori

NORM_SHARE = 0.01  # of δ, spent on mean u²
LARGEST = 1 << 60  # neither more heads nor more steps are searched


@dataclass(frozen=True)
class Problem:
    """What is known before a head is drawn. T is not among it: no bound depends on it."""

    n: int
    d: int
    activation: str
    rho: Norms
    nu: Norms
    delta: float
    eta_scale: float = 1.0
    teacher_heads: int | None = None  # heads averaged into the labels; None: y = f̃ exactly
    B_x: float = 1.0
    B_q: float = 1.0


@dataclass(frozen=True)
class Ingredients:
    """What one level of bound says at one m."""

    epsilon: float
    squared_feature_norm: float


Level = Callable[[Problem, int], Ingredients]


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


def closed_form(problem: Problem, m: int) -> Ingredients:
    """ε_lin + ε_app + ε_cof and L² of docs/theory.md §4, with probability ≥ 1 − δ over φ_0."""
    p, sigma = problem, ACTIVATIONS[problem.activation].constants
    assert sigma is not None  # no bound without constants: the config refuses it
    setting = Setting(
        n=p.n, m=m, d=p.d, sigma=sigma, rho=p.rho, nu=p.nu, delta=p.delta, B_x=p.B_x,
        B_q=p.B_q, u=np.array([math.sqrt(mean_square_norm(p.d, m, NORM_SHARE * p.delta))]),
        eta=p.eta_scale, tau=1,
    )  # fmt: skip
    labels = 0.0 if p.teacher_heads is None else LABEL_SHARE
    app = theorem.approximation(setting, m // 2, (1 - NORM_SHARE - labels) * p.delta)
    if p.teacher_heads is not None:
        app += theorem.label_error(setting, p.teacher_heads, labels * p.delta)
    lin = theorem.linearization(setting, p.rho)
    epsilon = lin + app + theorem.change_of_feature(setting)
    return Ingredients(epsilon, theorem.squared_feature_norm(setting))


def tightened(problem: Problem, m: int) -> Ingredients:
    """ε and L² of docs/certificates.md §5, which know no more than the closed forms here."""
    p = problem
    known = a_priori.Problem(m, p.n, p.d, p.activation, p.rho, p.nu, p.delta, p.B_x, p.B_q)
    return Ingredients(*a_priori.ingredients(known, p.teacher_heads))


LEVELS: Mapping[str, Level] = {
    "closed-form": functools.cache(closed_form),
    "a-priori": functools.cache(tightened),
}


def guaranteed_rmse(problem: Problem, level: Level, m: int, tau: int) -> float:
    """The bound on √min R̂ at (m, τ), infinite where vacuous."""
    found = level(problem, m)
    eta = problem.eta_scale / math.sqrt(tau)
    return rmse_root(found.epsilon, found.squared_feature_norm, problem.nu.squared, eta, tau)


def plan(
    problem: Problem, target: float, name: str, *, m: int | None = None, tau: int | None = None
) -> Plan:
    """Smallest τ for a given m, smallest m for a given τ, or the pair with the least m·τ.

    What was free is minimal: bound(m, τ) ≤ target < bound(m − 2, τ), bound(m, τ − 1).
    """
    level = LEVELS[name]
    if not problem.nu.inside(problem.rho):
        reason = "needs ν ≤ ρ: the target must lie inside the projection ball"
        return Plan(name, None, None, None, None, f"no finite m and τ: {reason}")

    def suits(width: int, time: int) -> bool:
        return guaranteed_rmse(problem, level, width, time) <= target

    def fewest(steps: int) -> int | None:
        half = _smallest(lambda h: suits(2 * h, steps))
        return None if half is None else 2 * half

    heads = fewest_heads(problem, target, name)
    if heads is None:
        limit = level(problem, 2 * LARGEST).epsilon
        reason = f"no finite m and τ: ε stays above {limit:.3g} however large m is"
        if problem.teacher_heads is not None:
            reason += f", the error of labels that average {problem.teacher_heads} heads"
        return Plan(name, None, None, None, None, reason)
    if m is not None and tau is not None:
        value = guaranteed_rmse(problem, level, m, tau)
        if value <= target:
            return Plan(name, m, tau, heads, value)
        told = "is vacuous" if math.isinf(value) else f"is {value:.4g}"
        return Plan(name, None, None, heads, None, f"at m = {m}, τ = {tau} the bound {told}")
    if m is not None:
        steps = _smallest(functools.partial(suits, m)) if m >= heads else None
        if steps is None:
            reason = f"no finite τ at m = {m}: ε = {level(problem, m).epsilon:.4g} is too large"
            return Plan(name, None, None, heads, None, reason)
    elif tau is not None:
        m, steps = fewest(tau), tau
        if m is None:
            reason = f"no finite m at τ = {tau}: the bound's part in τ alone is too large"
            return Plan(name, None, None, heads, None, reason)
    else:
        pair = _least_work(heads, suits)
        if pair is None:
            reason = f"no finite m and τ: more than {LARGEST:.1e} would be needed"
            return Plan(name, None, None, heads, None, reason)
        steps = pair[1]
        m = fewest(steps)
        assert m is not None
    return Plan(name, m, steps, heads, guaranteed_rmse(problem, level, m, steps))


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
    half = _smallest(lambda h: LEVELS[name](problem, 2 * h).epsilon < target)
    return None if half is None else 2 * half
