"""One claim against one fit: holds, tight, faster, violated or inconclusive, and why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ntkbound.core.claim import Claim
from ntkbound.stats.alternatives import FloorComparison, compare_floor, compare_growth
from ntkbound.stats.floor import FloorFit, fit_floors
from ntkbound.stats.inference import Array
from ntkbound.stats.judging import judge, log_power, number, two
from ntkbound.stats.margins import (
    AICC_MARGIN,
    CHECK_LEVEL,
    FORM_MARGIN,
    MIN_POINTS,
    MIN_POINTS_FLOOR,
    MIN_SEEDS,
    TIGHT_MARGIN,
    VIOLATION_MARGIN,
)
from ntkbound.stats.observations import Series
from ntkbound.stats.powerlaw import Fit, PowerLawFit

ACCEPTED = frozenset({"holds", "tight", "faster", "not-defined", "vacuous", "condition-not-met"})


@dataclass(frozen=True)
class Verdict:
    """A line of `slopes`: the fit, the claim and the verdict (None: unknown or unbounded).

    claimed: the exponent compared with; for a logarithm its slope on this grid. p: Holm-adjusted
    p-value of "the claim is true". fit: for figures and companions.
    """

    axis: str
    term: str
    probe: str
    statistic: str
    points: int
    seeds: int
    slope: float | None
    low: float | None
    high: float | None
    claimed: float | None
    kind: str
    verdict: str
    reason: str
    arm: tuple[tuple[str, str], ...] = ()
    p: float | None = None
    label: str | None = None
    fit: Fit | None = field(default=None, repr=False, compare=False)

    @property
    def sentence(self) -> str:
        """The finding in words: "slope −1.02 [−1.10, −0.95]: faster than the claimed −0.5"."""
        if self.slope is None:
            return f"no slope: {self.reason}"
        ends = (
            "−∞" if self.low is None else two(self.low),
            "∞" if self.high is None else two(self.high),
        )
        return f"slope {two(self.slope)} [{ends[0]}, {ends[1]}]: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """The fields of `slopes --json`, in its order."""
        names = "axis term probe statistic points seeds slope low high claimed kind verdict reason"
        return {name: getattr(self, name) for name in names.split()}


@dataclass(frozen=True, eq=False)
class Case:
    """A claim with what its records gave: everything a verdict needs before Holm's correction.

    fit: in the declared form; other: in the other form, only where AICc prefers that one.
    """

    claim: Claim
    fit: Fit
    claimed: float
    comparison: FloorComparison
    other: Fit | None
    lacking: str

    def p(self) -> float:
        """p-value of "the claim is true": the larger of both forms where the form is in doubt."""
        fits = [self.fit] if self.other is None else [self.fit, self.other]
        return max(_p_value(fit, self.claim.kind, self.claimed) for fit in fits)


def prepare(pairs: Sequence[tuple[Claim, PowerLawFit]]) -> list[Case]:
    """Fit each claim's declared form, and the other one where AICc prefers it."""
    compared = compare_floor([pure.series for _, pure in pairs])
    wanted = [
        i
        for i, (claim, _) in enumerate(pairs)
        if claim.floor or (claim.kind != "log" and _prefers_floor(compared[i]))
    ]
    floors = dict(zip(wanted, fit_floors([pairs[i][1].series for i in wanted]), strict=True))
    return [_case(claim, pure, compared[i], floors.get(i)) for i, (claim, pure) in enumerate(pairs)]


def _prefers_floor(comparison: FloorComparison) -> bool:
    return comparison.advantage > AICC_MARGIN and abs(comparison.shift) > FORM_MARGIN


def _case(
    claim: Claim, pure: PowerLawFit, comparison: FloorComparison, floor: FloorFit | None
) -> Case:
    fit: Fit = pure
    other: Fit | None = floor
    if claim.floor and floor is not None:
        fit, other = floor, (pure if comparison.advantage < 0 else None)
    return Case(claim, fit, _claimed(claim, pure.series), comparison, other, _lacking(claim, fit))


def conclude(case: Case, p: float | None) -> Verdict:
    """The verdict, given the claim's p-value corrected for all claims of the check."""
    if case.lacking or p is None:
        return _finish(case, "inconclusive", case.lacking, None)
    claim, fit = case.claim, case.fit
    if p <= CHECK_LEVEL:
        return _finish(case, "violated", _violation(case), p)
    verdict, reason = judge(fit, claim, case.claimed)
    doubt = _form_doubt(case, verdict)
    if doubt:
        return _finish(case, "inconclusive", doubt, p)
    return _finish(case, verdict, reason, p)


def describe(pure: PowerLawFit, claim: Claim | None = None) -> Verdict:
    """A fit that no claim judges: verdict `not-defined`."""
    series = pure.series
    said = "reported, never judged" if claim else "no claim"
    shown = claim or Claim(
        axis=series.axis,
        term=series.term,
        probe=series.probe,
        statistic=series.statistic,
        kind="none",
    )
    if not math.isfinite(pure.slope):
        said += f"; {_count(series)}"
    case = Case(shown, pure, math.nan, FloorComparison(0.0, math.nan, 0.0), None, "")
    return _finish(case, "not-defined", said, None)


def unmeasured(claim: Claim) -> Verdict:
    """The verdict on a claim that no group of records speaks about."""
    reason = f"no two runs that differ only in {claim.axis} and seeds report this statistic"
    return Verdict(
        claim.axis,
        claim.term,
        claim.probe,
        claim.statistic,
        0,
        0,
        None,
        None,
        None,
        claim.exponent,
        claim.kind,
        "not-defined" if claim.kind == "none" else "inconclusive",
        reason,
        label=claim.label,
    )


def log_slope(points: Array, power: float) -> float:
    """Least-squares log-log slope of (log x)^power on this grid (points above 1)."""
    x = np.log(points) - np.log(points).mean()
    return float(power * (np.log(np.log(points)) @ x) / (x @ x))


def _claimed(claim: Claim, series: Series) -> float:
    if claim.kind != "log":
        return math.nan if claim.exponent is None else claim.exponent
    if len(series.points) < 2 or series.points[0] <= 1:
        return math.nan
    return log_slope(series.points, log_power(claim))


def _p_value(fit: Fit, kind: str, claimed: float) -> float:
    upper = fit.upper_tail(claimed + VIOLATION_MARGIN)
    if kind in ("upper", "log"):
        return upper
    if kind == "lower":
        return fit.lower_tail(claimed - VIOLATION_MARGIN)
    # Faster decay only refutes tightness where the verdict could no longer be `tight`.
    return min(1.0, 2 * min(upper, fit.lower_tail(claimed - TIGHT_MARGIN)))


def _lacking(claim: Claim, fit: Fit) -> str:
    """Why no verdict is possible at all, or ''."""
    series = fit.series
    need = MIN_POINTS_FLOOR if claim.floor else MIN_POINTS
    if len(series.seeds) < MIN_SEEDS or len(series.points) < need:
        return f"{_count(series)}: needs at least {need} points and {MIN_SEEDS} seeds"
    if claim.kind == "log" and series.points[0] <= 1:
        return f"a logarithm of {claim.axis} needs values above 1"
    return ""


def _form_doubt(case: Case, verdict: str) -> str:
    """Why the declared form is in doubt, or ''."""
    claim, series = case.claim, case.fit.series
    if claim.kind == "log":
        growth = compare_growth(series, log_power(claim))
        if case.fit.slope > FORM_MARGIN and growth.log > AICC_MARGIN:
            return f"AICc prefers {growth.best} growth to a logarithm by {growth.log:.1f}"
        return ""
    if case.other is None:
        return ""
    by = f"{abs(case.comparison.advantage):.1f}"
    if claim.floor:
        # The pure law is the declared form at c = 0, so the interval above covers either way;
        # AICc's penalty alone must not refuse it while both forms accept the claim.
        other, reason = judge(case.other, claim, case.claimed)
        if {verdict, other} <= ACCEPTED:
            return ""
        return f"AICc prefers a pure power law by {by}, which says: {reason}"
    # A decay towards a constant keeps every promise of the kind "does not grow".
    if claim.kind == "upper" and case.claimed >= 0 and case.comparison.exponent < 0:
        return ""
    return (
        f"AICc prefers a power law with a floor by {by} (exponent {two(case.comparison.exponent)})"
    )


def _violation(case: Case) -> str:
    fit, c = case.fit, number(case.claimed)
    word = "slower" if fit.slope > case.claimed else "faster"
    text = f"{word} than the claimed {c}"
    if case.claim.kind == "log":
        text = f"grows faster than a logarithm, whose slope here is {c}"
    elif case.claim.kind == "tight":
        text += " (claimed tight)"
    if fit.slope > max(case.claimed, 0):
        growth = compare_growth(fit.series)
        if growth.best == "exponential" and growth.power > AICC_MARGIN:
            text += f"; AICc prefers exponential growth in {fit.series.axis} by {growth.power:.1f}"
    return text


def _finish(case: Case, verdict: str, reason: str, p: float | None) -> Verdict:
    fit, series = case.fit, case.fit.series
    parts = [reason, *series.notes]
    if series.arm:
        parts.append(_place(series.arm))
    return Verdict(
        series.axis,
        series.term,
        series.probe,
        series.statistic,
        len(series.points),
        len(series.seeds),
        _finite(fit.slope),
        _finite(fit.low),
        _finite(fit.high),
        _finite(case.claimed),
        case.claim.kind,
        verdict,
        "; ".join(parts),
        series.arm,
        p,
        case.claim.label,
        fit,
    )


@lru_cache(maxsize=4096)
def _place(arm: tuple[tuple[str, str], ...]) -> str:
    return "at " + ", ".join(f"{name}={value}" for name, value in arm)


def _count(series: Series) -> str:
    points, seeds = len(series.points), len(series.seeds)
    return f"{points} point{'s' * (points != 1)} and {seeds} seed{'s' * (seeds != 1)}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def whole(verdicts: Mapping[str, int]) -> str:
    """The verdict of a whole check from the counts of its verdicts."""
    if verdicts.get("violated") or verdicts.get("bound-violated"):
        return "violated"
    return "inconclusive" if set(verdicts) - ACCEPTED else "holds"
