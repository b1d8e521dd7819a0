"""A rate: x^b (log x)^k, with or without a floor, against a fitted slope and its interval.

On a grid of axis values the claimed slope is b plus the least-squares slope of (log x)^k there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntkbound.core.claim import Claim, Rate
from ntkbound.core.glossary import AGREES
from ntkbound.core.quantity import Key
from ntkbound.stats.alternatives import (
    FloorComparison,
    GrowthComparison,
    compare_floor,
    compare_growth,
)
from ntkbound.stats.bends import bend, local_slopes
from ntkbound.stats.columns import Part
from ntkbound.stats.floor import FloorFit, fit_floors
from ntkbound.stats.forms.interval import judge, margin, name_of, shape_of
from ntkbound.stats.forms.trend import (
    Slopes,
    Trend,
    TrendCase,
    Wording,
    conclude_trend,
    trend_lacking,
)
from ntkbound.stats.inference import ALONE, Array, Pooling, pool
from ntkbound.stats.insides import inside
from ntkbound.stats.margins import (
    AICC_MARGIN,
    CHECK_LEVEL,
    CONFIDENCE,
    FORM_MARGIN,
    MIN_POINTS,
    MIN_POINTS_FLOOR,
    MIN_SEEDS,
    VIOLATION_MARGIN,
)
from ntkbound.stats.observations import Series, lines
from ntkbound.stats.powerlaw import Fit, PowerLawFit, fit_power_laws
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Against, Said, Verdict, finite, of_fit
from ntkbound.stats.words import Advice, Wants, count, number, two


@dataclass(frozen=True, eq=False)
class Case:
    """A rate with what one series gave: everything a verdict needs before Holm's correction.

    fit: in the declared form; other: in the other form, only where AICc prefers that one.
    pure: without a floor. claimed: the slope that the claim means on this grid, NaN where it means
    none. pooling: whether slopes vary between seeds, by all claims of the check.
    """

    claim: Rate
    fit: Fit
    claimed: float
    comparison: FloorComparison
    other: Fit | None
    lacking: Advice | None
    pure: PowerLawFit
    pooling: Pooling = ALONE

    def p(self) -> float:
        """p-value of "the claim is true": the larger of both forms where the form is in doubt."""
        fits = [self.fit] if self.other is None else [self.fit, self.other]
        return max(_p_value(fit, self) for fit in fits)


def evidence(part: Part, claims: Sequence[Claim], selection: Selection) -> list[list[Series]]:
    """The lines of each claim's number: inside runs, or along a field, all of them in one pass."""
    own = [claim for claim in claims if isinstance(claim, Rate)]
    along: dict[Key, list[Series]] = defaultdict(list)
    if not own[0].inside:
        for series in lines(part, own[0].axis, selection, {claim.key for claim in own}):
            along[series.key].append(series)
    return [inside(part, c, selection, "log") if c.inside else along[c.key] for c in own]


def prepare(
    pairs: Sequence[tuple[Rate, Series]], confidence: float = CONFIDENCE
) -> list[Case | TrendCase]:
    """The cases of all claims of one check."""
    fields = [(claim, series) for claim, series in pairs if not claim.inside]
    along = iter(together(measure(fields, confidence)))
    return [_inside(c, series, confidence) if c.inside else next(along) for c, series in pairs]


def together(cases: Sequence[Case]) -> list[Case]:
    """The same cases, told whether slopes vary between seeds in all of them together."""
    means = [case.pure.mean for case in cases if case.lacking is None]
    pooling = pool([mean for mean in means if mean is not None])
    return [replace(case, pooling=pooling) for case in cases]


def measure(pairs: Sequence[tuple[Rate, Series]], confidence: float = CONFIDENCE) -> list[Case]:
    """Fit each claim's declared form, and the other one where AICc prefers it."""
    series = [one for _, one in pairs]
    pure = fit_power_laws(series, confidence)
    compared = compare_floor(series)
    wanted = [
        i
        for i, (claim, _) in enumerate(pairs)
        if claim.floor or (not claim.log_power and _prefers_floor(compared[i]))
    ]
    fitted = fit_floors([series[i] for i in wanted], confidence)
    floors = dict(zip(wanted, fitted, strict=True))
    return [_case(claim, pure[i], compared[i], floors.get(i)) for i, (claim, _) in enumerate(pairs)]


def conclude(case: Case | TrendCase, p: float | None) -> Verdict:
    """The verdict, given the claim's p-value corrected for all claims of the check."""
    if isinstance(case, TrendCase):
        return conclude_trend(case, p)
    if case.lacking is not None:
        return _finish(case, "inconclusive", case.lacking.told, None, case.lacking.wants)
    if p is not None and p <= CHECK_LEVEL:
        unreached = _unreached(case)
        if unreached is not None:
            return _finish(case, "inconclusive", unreached.told, p, unreached.wants)
        return _finish(case, "violated", _violation(case), p)
    found = judge(case.fit, case.claim, case.claimed)
    doubt = _form_doubt(case, found.verdict)
    if doubt is not None:
        return _finish(case, "inconclusive", doubt, p)
    return _finish(case, found.verdict, found.reason, p, found.wants)


def _inside(claim: Rate, series: Series, confidence: float) -> TrendCase:
    """A rate along the steps of runs: only seeds are independent there."""
    x, y = np.log(series.points), np.log(series.values)
    lacking = None
    curve, claimed = claim.exponent * x, claim.exponent
    if claim.log_power and len(x) and x[0] <= 0:
        lacking = Advice(f"a logarithm of {claim.axis} needs values above 1")
    elif claim.log_power and len(x) > 1:
        curve = curve + claim.log_power * np.log(x)
        claimed += log_slope(series.points, claim.log_power)
    found = Slopes.of(x, y)
    beyond, exact = Slopes.of(x, y - curve), series.deterministic
    trend = Trend(beyond, claim.kind, margin(claim), exact, confidence)
    plain = bool(claim.log_power) and not claim.exponent
    room = f"{margin(claim):.2f}"
    words = Wording("slope", name_of(claim, claimed), room, grows=claimed > 0, plain=plain)
    lacking = lacking or trend_lacking(series, trend.whole)
    return TrendCase(claim, series, trend, found, claimed, words, lacking)


def log_slope(points: Array, power: float) -> float:
    """Least-squares log-log slope of (log x)^power on this grid (points above 1)."""
    x = np.log(points) - np.log(points).mean()
    return float(power * (np.log(np.log(points)) @ x) / (x @ x))


def _unreached(case: Case) -> Advice | None:
    """Why a violation may be one of the range alone: the curve bends towards the claim.

    Local slopes that approach the claim, or pass it, towards the end of the range. Not told of
    faster decay than declared with a floor, which bends every curve that way.
    """
    claim, series = case.claim, case.fit.series
    wrong = 1.0 if case.fit.slope > case.claimed else -1.0
    if claim.floor and wrong < 0:
        return None
    x, y = np.log(series.points), np.log(series.values)
    curve = claim.exponent * x
    if claim.log_power:
        curve = curve + claim.log_power * np.log(x)
    found = bend(x, wrong * (y - curve))
    if found is None or not found.harmless:
        return None
    slopes = local_slopes(x, y)
    run = f"local slopes run from {two(slopes[0])} to {two(slopes[-1])}"
    told = f"the rate is not reached yet: {run}, claimed {name_of(claim, case.claimed)}"
    return Advice(told, "range" if found.seen else "seeds")


def _prefers_floor(comparison: FloorComparison) -> bool:
    return comparison.advantage > AICC_MARGIN and abs(comparison.shift) > FORM_MARGIN


def _case(
    claim: Rate, pure: PowerLawFit, comparison: FloorComparison, floor: FloorFit | None
) -> Case:
    fit: Fit = pure
    other: Fit | None = floor
    if claim.floor and floor is not None:
        fit, other = floor, (pure if comparison.advantage < 0 else None)
    claimed = _claimed(claim, pure.series)
    return Case(claim, fit, claimed, comparison, other, _lacking(claim, fit), pure)


def _claimed(claim: Rate, series: Series) -> float:
    if not claim.log_power:
        return claim.exponent
    if len(series.points) < 2 or series.points[0] <= 1:
        return math.nan
    return claim.exponent + log_slope(series.points, claim.log_power)


def _p_value(fit: Fit, case: Case) -> float:
    claim, claimed, pooling = case.claim, case.claimed, case.pooling
    if claim.kind == "lower":
        return fit.lower_tail(claimed - VIOLATION_MARGIN, pooling)
    upper = fit.upper_tail(claimed + VIOLATION_MARGIN, pooling)
    if claim.kind == "upper":
        return upper
    # Faster decay only refutes tightness where the verdict could no longer be `tight`.
    return min(1.0, 2 * min(upper, fit.lower_tail(claimed - margin(claim), pooling)))


def _lacking(claim: Rate, fit: Fit) -> Advice | None:
    """Why no verdict is possible at all."""
    series = fit.series
    need = MIN_POINTS_FLOOR if claim.floor else MIN_POINTS
    if len(series.seeds) < MIN_SEEDS or len(series.points) < need:
        told = f"{count(series)}: needs at least {need} points and {MIN_SEEDS} seeds"
        return Advice(told, "range" if len(series.points) < need else "seeds")
    if series.undrawn:
        names = ", ".join(series.undrawn)
        told = f"{names}: needs at least {MIN_SEEDS} values, the claim is about its randomness"
        return Advice(told)
    if claim.log_power and series.points[0] <= 1:
        return Advice(f"a logarithm of {claim.axis} needs values above 1")
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
        other = judge(case.other, claim, case.claimed)
        if {verdict, other.verdict} <= AGREES:
            return None
        return f"AICc prefers a pure power law by {by}, which says: {other.reason}"
    # A decay towards a constant keeps every promise of the kind "does not grow".
    if claim.kind == "upper" and case.claimed >= 0 and case.comparison.exponent < 0:
        return None
    return (
        f"AICc prefers a power law with a floor by {by} (exponent {two(case.comparison.exponent)})"
    )


def _beside_power(claim: Rate, series: Series) -> GrowthComparison:
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
        shape = "a logarithm" if plain else shape_of(case.claim)
        text = f"grows {grows} than {shape}, whose slope here is {c}"
    if case.claim.kind == "tight":
        text += " (claimed tight)"
    if fit.slope > max(case.claimed, 0):
        growth = compare_growth(fit.series)
        if growth.best == "exponential" and growth.power > AICC_MARGIN:
            text += f"; AICc prefers exponential growth in {fit.series.axis} by {growth.power:.1f}"
    return text


def _finish(case: Case, verdict: str, reason: str, p: float | None, wants: Wants = "") -> Verdict:
    against = Against(finite(case.claimed), margin(case.claim), p)
    if p is not None and case.pooling.varies and verdict in ("violated", "inconclusive"):
        reason += f"; slopes vary between seeds (p = {case.pooling.p:.1g}, claims together)"
    return of_fit(case.fit, Said(verdict, reason, wants), case.claim, against)
