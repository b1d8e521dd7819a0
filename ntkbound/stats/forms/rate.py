"""A rate: x^b (log x)^k, with or without a floor, against a fitted slope and its interval.

On a grid of axis values the claimed slope is b plus the least-squares slope of (log x)^k there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntkbound.core.claim import Claim
from ntkbound.stats.alternatives import (
    FloorComparison,
    GrowthComparison,
    compare_floor,
    compare_growth,
)
from ntkbound.stats.floor import FloorFit, fit_floors
from ntkbound.stats.inference import Array
from ntkbound.stats.margins import (
    AICC_MARGIN,
    CHECK_LEVEL,
    FORM_MARGIN,
    HOLDS_MARGIN,
    LOG_MARGIN,
    MIN_POINTS,
    MIN_POINTS_FLOOR,
    MIN_SEEDS,
    TIGHT_MARGIN,
    VIOLATION_MARGIN,
)
from ntkbound.stats.observations import Series
from ntkbound.stats.powerlaw import Fit, PowerLawFit, fit_power_laws
from ntkbound.stats.verdicts import ACCEPTED, Against, Verdict, finite, of_fit
from ntkbound.stats.words import count, missing, number, two


@dataclass(frozen=True, eq=False)
class Case:
    """A rate with what one series gave: everything a verdict needs before Holm's correction.

    fit: in the declared form; other: in the other form, only where AICc prefers that one.
    claimed: the slope that the claim means on this grid, NaN where it means none.
    """

    claim: Claim
    fit: Fit
    claimed: float
    comparison: FloorComparison
    other: Fit | None
    lacking: str | None

    def p(self) -> float:
        """p-value of "the claim is true": the larger of both forms where the form is in doubt."""
        fits = [self.fit] if self.other is None else [self.fit, self.other]
        return max(_p_value(fit, self.claim, self.claimed) for fit in fits)


def prepare(pairs: Sequence[tuple[Claim, Series]]) -> list[Case]:
    """Fit each claim's declared form, and the other one where AICc prefers it."""
    series = [one for _, one in pairs]
    pure = fit_power_laws(series)
    compared = compare_floor(series)
    wanted = [
        i
        for i, (claim, _) in enumerate(pairs)
        if claim.floor or (not claim.log_power and _prefers_floor(compared[i]))
    ]
    floors = dict(zip(wanted, fit_floors([series[i] for i in wanted]), strict=True))
    return [_case(claim, pure[i], compared[i], floors.get(i)) for i, (claim, _) in enumerate(pairs)]


def conclude(case: Case, p: float | None) -> Verdict:
    """The verdict, given the claim's p-value corrected for all claims of the check."""
    if case.lacking is not None:
        return _finish(case, "inconclusive", case.lacking, None)
    if p is not None and p <= CHECK_LEVEL:
        return _finish(case, "violated", _violation(case), p)
    verdict, reason = judge(case.fit, case.claim, case.claimed)
    doubt = _form_doubt(case, verdict)
    if doubt is not None:
        return _finish(case, "inconclusive", doubt, p)
    return _finish(case, verdict, reason, p)


def log_slope(points: Array, power: float) -> float:
    """Least-squares log-log slope of (log x)^power on this grid (points above 1)."""
    x = np.log(points) - np.log(points).mean()
    return float(power * (np.log(np.log(points)) @ x) / (x @ x))


def margin(claim: Claim) -> float:
    """Within this of the claim an interval agrees with it on both sides."""
    return LOG_MARGIN if claim.log_power else TIGHT_MARGIN


def judge(fit: Fit, claim: Claim, claimed: float) -> tuple[str, str]:
    """Verdict and reason from the interval alone."""
    if claim.log_power:
        return _judge_log(fit, claim, claimed)
    low, high, c = fit.low, fit.high, number(claimed)
    band = TIGHT_MARGIN - abs(fit.slope - claimed)
    if claimed - TIGHT_MARGIN <= low and high <= claimed + TIGHT_MARGIN:
        return "tight", f"the claimed {c} is tight"
    if claim.kind == "tight":
        return "inconclusive", f"claimed tight at {c}; " + missing(
            fit, band, claimed + VIOLATION_MARGIN, claimed - TIGHT_MARGIN
        )
    if claim.kind == "lower":
        if low > claimed - HOLDS_MARGIN and high >= claimed - VIOLATION_MARGIN:
            return "holds", f"no steeper than the claimed {c}"
        return "inconclusive", f"claimed at least {c}; " + missing(
            fit, max(band, fit.slope - claimed + HOLDS_MARGIN), math.inf, claimed - VIOLATION_MARGIN
        )
    if high < claimed - VIOLATION_MARGIN:
        return "faster", f"faster than the claimed {c}"
    # An interval wholly above claim + 0.05 contradicts the claim, if not yet beyond doubt.
    if high < claimed + HOLDS_MARGIN and low <= claimed + VIOLATION_MARGIN:
        return "holds", f"no slower than the claimed {c}"
    room = max(band, claimed - VIOLATION_MARGIN - fit.slope)
    if fit.slope <= claimed + VIOLATION_MARGIN:  # else more seeds lead away from `holds`
        room = max(room, claimed + HOLDS_MARGIN - fit.slope)
    return "inconclusive", f"claimed {c}; " + missing(fit, room, claimed + VIOLATION_MARGIN)


def _judge_log(fit: Fit, claim: Claim, claimed: float) -> tuple[str, str]:
    """With a power of a logarithm: its slope on any grid is small, so the margins are, too."""
    shape = f"{_shape(claim)}, whose slope here is {number(claimed)}"
    above, below = claimed + LOG_MARGIN - fit.slope, fit.slope - claimed + LOG_MARGIN
    if claim.kind == "upper":
        if fit.high < claimed + LOG_MARGIN:
            return "holds", f"grows no faster than {shape}"
        return "inconclusive", f"claimed at most {shape}; " + missing(
            fit, above, claimed + VIOLATION_MARGIN
        )
    if claim.kind == "lower":
        if fit.low > claimed - LOG_MARGIN:
            return "holds", f"grows no slower than {shape}"
        return "inconclusive", f"claimed at least {shape}; " + missing(
            fit, below, math.inf, claimed - VIOLATION_MARGIN
        )
    if claimed - LOG_MARGIN <= fit.low and fit.high <= claimed + LOG_MARGIN:
        return "tight", f"the claimed {shape}, is tight"
    return "inconclusive", f"claimed tight at {shape}; " + missing(
        fit, min(above, below), claimed + VIOLATION_MARGIN, claimed - LOG_MARGIN
    )


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


def _claimed(claim: Claim, series: Series) -> float:
    if not claim.log_power:
        return claim.exponent
    if len(series.points) < 2 or series.points[0] <= 1:
        return math.nan
    return claim.exponent + log_slope(series.points, claim.log_power)


def _p_value(fit: Fit, claim: Claim, claimed: float) -> float:
    upper = fit.upper_tail(claimed + VIOLATION_MARGIN)
    if claim.kind == "upper":
        return upper
    if claim.kind == "lower":
        return fit.lower_tail(claimed - VIOLATION_MARGIN)
    # Faster decay only refutes tightness where the verdict could no longer be `tight`.
    return min(1.0, 2 * min(upper, fit.lower_tail(claimed - margin(claim))))


def _lacking(claim: Claim, fit: Fit) -> str | None:
    """Why no verdict is possible at all."""
    series = fit.series
    need = MIN_POINTS_FLOOR if claim.floor else MIN_POINTS
    if len(series.seeds) < MIN_SEEDS or len(series.points) < need:
        return f"{count(series)}: needs at least {need} points and {MIN_SEEDS} seeds"
    if claim.log_power and series.points[0] <= 1:
        return f"a logarithm of {claim.axis} needs values above 1"
    return None


def _form_doubt(case: Case, verdict: str) -> str | None:
    """Why the declared form is in doubt."""
    claim, series = case.claim, case.fit.series
    if claim.log_power:
        growth = _beside_power(claim, series)
        steep = case.fit.slope - claim.exponent > FORM_MARGIN
        if claim.kind != "lower" and steep and growth.log > AICC_MARGIN:
            return f"AICc prefers {growth.best} growth to a logarithm by {growth.log:.1f}"
        return None
    if case.other is None:
        return None
    by = f"{abs(case.comparison.advantage):.1f}"
    if claim.floor:
        # The pure law is the declared form at c = 0, so the interval above covers either way;
        # AICc's penalty alone must not refuse it while both forms accept the claim.
        other, reason = judge(case.other, claim, case.claimed)
        if {verdict, other} <= ACCEPTED:
            return None
        return f"AICc prefers a pure power law by {by}, which says: {reason}"
    # A decay towards a constant keeps every promise of the kind "does not grow".
    if claim.kind == "upper" and case.claimed >= 0 and case.comparison.exponent < 0:
        return None
    return (
        f"AICc prefers a power law with a floor by {by} (exponent {two(case.comparison.exponent)})"
    )


def _beside_power(claim: Claim, series: Series) -> GrowthComparison:
    """How y/x^b grows, where x^b (log x)^k is claimed of y."""
    power: Array = series.points**claim.exponent
    return compare_growth(replace(series, values=series.values / power), claim.log_power)


def _violation(case: Case) -> str:
    fit, c = case.fit, number(case.claimed)
    word = "slower" if fit.slope > case.claimed else "faster"
    text = f"{word} than the claimed {c}"
    if case.claim.log_power:
        grows = "faster" if fit.slope > case.claimed else "slower"
        plain = case.claim.exponent == 0 and case.claim.log_power == 1
        shape = "a logarithm" if plain else _shape(case.claim)
        text = f"grows {grows} than {shape}, whose slope here is {c}"
    if case.claim.kind == "tight":
        text += " (claimed tight)"
    if fit.slope > max(case.claimed, 0):
        growth = compare_growth(fit.series)
        if growth.best == "exponential" and growth.power > AICC_MARGIN:
            text += f"; AICc prefers exponential growth in {fit.series.axis} by {growth.power:.1f}"
    return text


def _shape(claim: Claim) -> str:
    """ "n^−1 (log n)^2"."""
    power = f"{claim.axis}^{number(claim.exponent)} " if claim.exponent else ""
    return power + f"(log {claim.axis})^{claim.log_power:g}".removesuffix("^1")


def _finish(case: Case, verdict: str, reason: str, p: float | None) -> Verdict:
    against = Against(finite(case.claimed), margin(case.claim), p)
    return of_fit(case.fit, verdict, reason, case.claim, against)
