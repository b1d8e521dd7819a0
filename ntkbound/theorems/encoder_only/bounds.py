"""Proved bounds beside what was measured: Proposition 1, Lemma 12, and two on the kernel.

Sources: arXiv 2311.01575, Proposition 1 as stated (γα²/2) and as its proof has it (γα²/4), and
Lemma 12; λ_min(K) ≥ α² and α² ≤ tr(FFᵀ)/N are proved in docs/encoder-only.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ntkbound.core.outcome import Bound, Certificate, Check, Terms, check
from ntkbound.core.quantity import Quantity
from ntkbound.core.tolerance import EPSILON, FACTOR
from ntkbound.theorems.encoder_only import statement
from ntkbound.theorems.encoder_only.conditions import Choice, Facts, conditions
from ntkbound.theorems.encoder_only.measure import Trained

PAPER, PROOF, EXACT = "paper", "proof", "exact"
ROUNDING = FACTOR * EPSILON["float64"]  # of the largest eigenvalue, to which all are known, or of f


@dataclass(frozen=True)
class Judged:
    """The fields of an ``Outcome`` that are about bounds."""

    checks: tuple[Check, ...]
    bounds: Mapping[str, float | None]
    certificates: tuple[Certificate, ...]
    conditions: Mapping[str, bool | None]


@dataclass(frozen=True)
class Proved:
    """One bound: its name, what it bounds and how that is called in a certificate, its value (None:
    it says nothing), and what this run misses of its conditions."""

    name: str
    quantity: Quantity
    about: str
    level: str
    source: str
    value: float | None
    missing: str = ""


def facts_of(run: Trained) -> Facts:
    """The start of a trained run."""
    return Facts.of(run.start, run.watch.norms[0], float(run.series.loss[0]))


def judge(run: Trained, facts: Facts, terms: Terms) -> Judged:
    """Every bound in the same order for every run. terms: those of the record; a quantity that is
    not among them is not measured."""
    least = float(run.ratios.min()) if len(run.ratios) else None
    met = conditions(facts, terms["similarity"]["data"], least)
    rows, certificates = [], []
    values: dict[str, float | None] = {}
    for one in proved(facts, run.series.steps, met):
        given = None if one.missing else one.value
        values[one.name] = given
        term, probe, statistic = one.quantity.key
        measured = terms.get(term, {}).get(probe, {}).get(statistic)
        rows.append(_row(one, measured))
        if given is not None:
            certificates.append(Certificate(one.about, one.level, given, one.source))
    return Judged(tuple(rows), values, tuple(certificates), met)


def _row(one: Proved, measured: float | None) -> Check:
    if one.missing:
        told = f"{one.source}: {one.missing}"
        if one.value is not None and measured is not None:
            told += f"; measured/bound {_quotient(measured, one.value)}"
        return check(one.quantity, measured, Bound(None, told, absent="condition-not-met"))
    if one.value is None:
        return check(one.quantity, measured, Bound(None, f"{one.source}: says nothing, as α = 0"))
    row = check(one.quantity, measured, Bound(one.value))
    return replace(row, reason=f"{one.source}: {row.reason}" if row.reason else "")


def _quotient(measured: float, bound: float) -> str:
    return f"{measured / bound:.2g}" if bound > 0 else "∞"


def proved(facts: Facts, steps: int, met: Mapping[str, bool | None]) -> tuple[Proved, ...]:
    """The bounds on a run of so many steps, whether its conditions are met or not."""
    tangent, missing = facts.tangent, _missing(facts, met)
    alpha, about = statement.ALPHA_SQUARED, "kernel"
    exact = max(float(tangent.eigenvalues[0]), 0.0) + ROUNDING * tangent.largest
    trace = float(tangent.O.trace())
    some = tangent.alpha_squared > 0
    return (
        *(Proved(f"loss_ratio/{level}", statement.LOSS_RATIO, "loss", level, source,
                 loss_ratio(facts, steps, divisor), missing)
          for level, divisor, source in ((PAPER, 2, "Proposition 1 as stated"),
                                         (PROOF, 4, "Proposition 1 as proved"))),
        Proved("gradient/lemma 12", statement.LEMMA_12, "gradient norms", EXACT, "Lemma 12", 1.0),
        Proved("alpha_squared/lambda_min", alpha, about, EXACT, "α² ≤ λ_min(K)",
               exact if some else None),
        Proved("alpha_squared/trace", alpha, about, EXACT, "α² ≤ tr(FFᵀ)/N",
               trace / facts.problem.N + ROUNDING * trace if some else None),
    )  # fmt: skip


def loss_ratio(facts: Facts, steps: int, divisor: int) -> float | None:
    """(1 − γwα²/divisor)^T, with what rounding adds to ℓ_T/ℓ_0: outputs are known to 64 ε of their
    size. None where the step is adaptive, or so large that there is no rate."""
    if facts.gamma is None or facts.loss <= 0:
        return None
    fall = facts.gamma * facts.problem.weight * facts.tangent.alpha_squared / divisor
    if fall >= 1:
        return None
    residual = math.sqrt(2 * facts.loss / facts.problem.weight)
    rounding = 2 * ROUNDING * (float(facts.problem.y.norm()) / residual + 1)
    return (math.exp(steps * math.log1p(-fall) / 2) + rounding) ** 2


def _missing(facts: Facts, met: Mapping[str, bool | None]) -> str:
    """What Proposition 1 asks and this run does not have; empty: nothing."""
    if not met[statement.WIDE]:
        return f"{statement.WIDE} is not met"
    if facts.gamma is None:
        return "is about one step size, and this run adapts its own"
    if met[statement.PROP_1]:
        return ""
    choices = facts.choices().values()
    best = max(choices, key=_least)
    if not best.wide:
        second, third = (_shown(one) for one in (best.ratio2, best.ratio3))
        return f"(2) or (3) is not met: α² and α³ are {second} and {third} of what they ask"
    if not best.sufficient:
        return f"γ ≤ 1/C is not met: γwc1c2 = {_shown(best.step_over_limit)}"
    return "a step descends by less than γ‖∇ℓ‖²/2, which the proof needs"


def _least(choice: Choice) -> float:
    """How near (2) and (3) are to being met."""
    return min(math.inf if one is None else one for one in (choice.ratio2, choice.ratio3))


def _shown(number: float | None) -> str:
    return "∞" if number is None else f"{number:.2g}"
