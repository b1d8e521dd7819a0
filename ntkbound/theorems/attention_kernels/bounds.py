"""Proved bounds on f_T/f_0 beside what was measured: Theorems 1 to 3, as stated and corrected.

Sources: arXiv 2411.07538; what is corrected is derived in docs/attention-kernels.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ntkbound.core.outcome import Bound, Certificate, Check, Terms, check
from ntkbound.theorems.attention_kernels import conditions, statement
from ntkbound.theorems.attention_kernels.descent import step_size
from ntkbound.theorems.attention_kernels.trained import Trained

PAPER, CORRECTED, EXACT = "paper", "corrected", "exact"
ROUNDING = 1e-9  # relative, of thousands of steps that the bounds do without

Conditions = Mapping[str, bool | None]


@dataclass(frozen=True)
class Proved:
    """One bound on f_T/f_0: its name, level and source, its value, and the conditions it needs."""

    name: str
    level: str
    source: str
    value: float
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """The fields of an ``Outcome`` that are about bounds."""

    checks: tuple[Check, ...]
    bounds: Mapping[str, float | None]
    certificates: tuple[Certificate, ...]
    conditions: Conditions


def met(run: Trained) -> dict[str, bool | None]:
    """The assumptions of the theorems, name → whether this run meets them."""
    config = run.config
    third = run.left.theorem3_corrected()
    step = step_size(run.problem)
    return {
        statement.VALUES_ALONE: config.train == "V",
        statement.ALL_TRAINED: config.train == "QKV",
        statement.QUERIES_ALONE: config.train == "Q",
        statement.SOFTMAX: config.kernel == "softmax",
        statement.GAUSSIAN: config.kernel == "gaussian",
        statement.FIXED: config.method == "fixed",
        statement.SMALL_STEP: step * float(run.spectrum.of_G[0][-1]) <= 1 + ROUNDING,
        statement.FULL_RANK: run.spectrum.sigma_B > 0,
        statement.ONE_ALPHA: config.H == 1 or config.values == "dense",
        statement.THEOREM_2: run.left.theorem2() <= conditions.RIGHT_2,
        statement.THEOREM_3: None if third is None else third <= conditions.RIGHT_3,
    }


def judge(run: Trained, terms: Terms) -> Judged:
    """Every bound in the same order for every run, those whose conditions it misses with the first
    that it misses."""
    known, rows, certificates = met(run), [], []
    values: dict[str, float | None] = {}
    measured = terms["optimization"]["training"].get("loss_ratio")
    for one in proved(run):
        missing = next((name for name in one.needs if not known[name]), "")
        values[one.name] = None if missing else one.value
        rows.append(_row(one, measured, missing))
        if not missing:
            certificates.append(Certificate("loss ratio", one.level, one.value, one.source))
    least: dict[str, Certificate] = {}
    for found in certificates:
        if found.level not in least or found.value < least[found.level].value:
            least[found.level] = found
    return Judged(tuple(rows), values, tuple(least.values()), known)


def _row(one: Proved, measured: float | None, missing: str) -> Check:
    if missing:
        told = f"{one.source}: not met: {missing}"
        bound = Bound(None, told, absent="condition-not-met")
        return check(statement.LOSS_RATIO, measured, bound)
    row = check(statement.LOSS_RATIO, measured, Bound(one.value))
    if row.verdict == "holds" and one.level != EXACT and one.value >= 1:
        told = f"{one.source}: the rate is 0 to rounding, so that no descent is promised"
        return replace(row, verdict="vacuous", reason=told)
    return replace(row, reason=f"{one.source}: {row.reason}" if row.reason else "")


def proved(run: Trained) -> tuple[Proved, ...]:
    """The bounds on the run's last step, whether its conditions are met or not."""
    spectrum, eta, T = run.spectrum, step_size(run.problem), run.steps
    first = (statement.VALUES_ALONE, statement.FIXED, statement.SMALL_STEP, statement.FULL_RANK)
    second = (statement.ALL_TRAINED, statement.SOFTMAX, statement.FIXED, statement.FULL_RANK,
              statement.ONE_ALPHA, statement.THEOREM_2)  # fmt: skip
    third = (statement.QUERIES_ALONE, statement.GAUSSIAN, statement.FIXED, statement.THEOREM_3)
    gamma = run.left.log_gamma()
    rate = 0.0 if gamma is None or gamma == -math.inf else math.exp(gamma)
    exact = 1.0 if run.law is None else run.law.ratio

    def rounded(ratio: float) -> float:
        """With what rounding of T steps, and of the residuals, may add."""
        noise = run.problem.initial.rounding / math.sqrt(2 * run.first) if run.first > 0 else 0.0
        return (math.sqrt(ratio) + noise) ** 2 * (1 + ROUNDING)

    def after(speed: float) -> float:
        """(1 − η·speed)^T"""
        left = eta * speed
        return rounded(math.exp(T * math.log1p(-left)) if left < 1 else 0.0)

    return (
        Proved("loss_ratio/theorem 1", PAPER, "Theorem 1", after(spectrum.alpha),
               (*first, statement.ONE_ALPHA)),
        Proved("loss_ratio/theorem 1 corrected", CORRECTED, "Theorem 1, min_h ‖W_O^h‖² σ_B²",
               after(spectrum.corrected), first),
        Proved("loss_ratio/theorem 1 exact", EXACT, "exact law of W_V alone",
               rounded(exact), first[:2]),
        Proved("loss_ratio/theorem 2", PAPER, "Theorem 2, at the β/4 that its proof gives",
               after(spectrum.alpha / 4), second),
        Proved("loss_ratio/theorem 3", PAPER, "Theorem 3, at the γ/2 that its proof gives",
               after(rate / 2), third),
    )  # fmt: skip
