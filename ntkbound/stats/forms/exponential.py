"""An exponential: e^(−r·x) along a field, or along the steps inside runs.

One slope of log y on x per seed, as a multiple of the claimed rate r of that run, a number or one
that the run recorded; the margin is `EXPONENTIAL_MARGIN` of r.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ntkbound.core.claim import Claim, Exponential, Number
from ntkbound.stats.columns import Part
from ntkbound.stats.forms.trend import (
    Slopes,
    Trend,
    TrendCase,
    Wording,
    conclude_trend,
    trend_lacking,
)
from ntkbound.stats.insides import inside
from ntkbound.stats.margins import CONFIDENCE, EXPONENTIAL_MARGIN
from ntkbound.stats.observations import Series, lines
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Verdict
from ntkbound.stats.words import Advice, three


def evidence(part: Part, claims: Sequence[Claim], selection: Selection) -> list[list[Series]]:
    """The lines of each claim's number: inside runs, or along a field."""
    found = []
    for claim in claims:
        if isinstance(claim, Exponential) and claim.inside:
            found.append(inside(part, claim, selection, "linear"))
        elif isinstance(claim, Exponential):
            found.append(lines(part, claim.axis, selection, {claim.key}))
    return found


def prepare(
    pairs: Sequence[tuple[Exponential, Series]], confidence: float = CONFIDENCE
) -> list[TrendCase]:
    return [_case(claim, series, confidence) for claim, series in pairs]


def conclude(case: TrendCase, p: float | None) -> Verdict:
    """As of every trend."""
    return conclude_trend(case, p)


def _case(claim: Exponential, series: Series, confidence: float) -> TrendCase:
    rates = series.beside
    if not isinstance(claim.rate, Number):
        rates = np.full(len(series.seeds), claim.rate)
    found = Slopes.of(series.points, np.log(series.values))
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = found.beyond(-rates, np.abs(rates))
    trend = Trend(beyond, claim.kind, EXPONENTIAL_MARGIN, series.deterministic, confidence)
    lacking = trend_lacking(series, trend.whole)
    if lacking is None and not np.isfinite(beyond.whole).all():
        lacking = Advice("the claimed rate is 0 or unknown in some run")
    claimed = float(rates.mean()) if len(rates) else np.nan
    told = three(claimed)
    if isinstance(claim.rate, Number):
        told = f"{claim.rate.key}, {told} in the mean"
    room = f"{EXPONENTIAL_MARGIN:.0%}"
    words = Wording("rate", told, room, three, grows=claimed < 0)
    return TrendCase(claim, series, trend, found.beyond(0.0, -1.0), claimed, words, lacking)
