"""A slope per seed against a claimed one, over the whole range and over its later half.

What an exponential, and a rate inside runs, are judged by. Only independence between seeds is used:
steps of one run are correlated, and residuals along the axis say nothing. The later half has its
say, too: a change of regime there must be averaged neither into agreement nor into violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ntkbound.core.claim import Along, Kind
from ntkbound.stats.columns import Array
from ntkbound.stats.forms.spread import Spread, spread_lacking
from ntkbound.stats.margins import CHECK_LEVEL, MIN_POINTS, VIOLATION_MARGIN
from ntkbound.stats.observations import Series
from ntkbound.stats.verdicts import Against, Verdict, of_evidence
from ntkbound.stats.words import count, more_seeds, two

Finding = Literal["faster", "tight", "holds", "open", "bends"]


@dataclass(frozen=True, eq=False)
class Trend:
    """Slopes of log values beyond the claimed one, per seed, in the units of the margins.

    whole: over all points; late: over the later half of them. Of a line without randomness, which
    is one seed, the two are the ends of its interval.
    """

    whole: Spread
    late: Spread
    kind: Kind
    room: float

    @property
    def interval(self) -> tuple[float, float]:
        """Of the excess over the claimed slope."""
        if self.whole.exact:
            return min(self.whole.mean, self.late.mean), max(self.whole.mean, self.late.mean)
        return self.whole.interval

    def p(self) -> float:
        """p-value of "the claim is true": the whole and its later half must both refute it."""
        above = max(one.above(VIOLATION_MARGIN) for one in (self.whole, self.late))
        if self.kind == "upper":
            return above
        # Faster decay only refutes tightness where the verdict could no longer be `tight`.
        bottom = VIOLATION_MARGIN if self.kind == "lower" else self.room
        below = max(one.below(-bottom) for one in (self.whole, self.late))
        return below if self.kind == "lower" else min(1.0, 2 * min(above, below))

    def finding(self) -> Finding:
        """What the intervals say; ``bends`` where the whole agrees and the later half does not."""
        found = self._of_whole()
        late_low, late_high = self.late.interval
        worse = {
            "upper": late_low > VIOLATION_MARGIN,
            "lower": late_high < -VIOLATION_MARGIN,
            "tight": late_low > VIOLATION_MARGIN or late_high < -self.room,
        }[self.kind]
        return "bends" if worse and found != "open" else found

    def _of_whole(self) -> Finding:
        low, high = self.interval
        slow, steep = low > VIOLATION_MARGIN, high < -VIOLATION_MARGIN
        if steep if self.kind == "lower" else slow:
            return "open"
        if self.kind == "upper" and steep:
            return "faster"
        if -self.room < low and high < self.room:
            return "tight"
        enough = {"upper": high < self.room, "lower": low > -self.room, "tight": False}
        return "holds" if enough[self.kind] else "open"

    def gap(self) -> float:
        """How far the mean is from the nearest end that would settle the claim."""
        excess, room = self.whole.mean, self.room
        ends = {
            "upper": (room - excess, excess - VIOLATION_MARGIN),
            "lower": (excess + room, -excess - VIOLATION_MARGIN),
            "tight": (min(room - excess, excess + room), excess - VIOLATION_MARGIN, -excess - room),
        }
        return max(ends[self.kind])


@dataclass(frozen=True, eq=False)
class Wording:
    """How a trend is told: ``word`` of what is estimated, ``target`` as the claim has it, ``room``
    as its margin is told, ``grows`` where a claimed curve rises, ``plain`` where *tight* and
    *faster* are no words for an upper or lower claim."""

    word: str
    target: str
    room: str
    grows: bool = False
    plain: bool = False


@dataclass(frozen=True, eq=False)
class TrendCase:
    """A claim along an axis with what one line says of it.

    found: (R,) what is estimated, per seed, over the whole range, and late over its later half;
    claimed: the same as claimed.
    """

    claim: Along
    series: Series
    trend: Trend
    found: Array
    late: Array
    claimed: float
    words: Wording
    lacking: str | None

    def p(self) -> float:
        """p-value of "the claim is true"."""
        return self.trend.p()


def trend_lacking(series: Series, whole: Spread) -> str | None:
    """Why nothing can be concluded of a line."""
    if len(series.points) < MIN_POINTS:
        return f"{count(series)}: needs at least {MIN_POINTS} points"
    return spread_lacking(whole, series.undrawn)


def conclude_trend(case: TrendCase, p: float | None) -> Verdict:
    """The verdict, given the claim's p-value corrected for all claims of the check."""
    if case.lacking is not None:
        return _finish(case, "inconclusive", case.lacking, None)
    words, kind = case.words, case.claim.kind
    target = f"the claimed {words.target}"
    slow, fast = ("faster", "slower") if words.grows else ("slower", "faster")
    if p is not None and p <= CHECK_LEVEL:
        side = slow if case.trend.whole.mean > 0 else fast
        told = f"{side} than {target}" + (" (claimed tight)" if kind == "tight" else "")
        return _finish(case, "violated", told, p)
    found = case.trend.finding()
    if found == "bends":
        told = f"the later half says otherwise: {words.word} {two(float(case.late.mean()))} there"
        return _finish(case, "inconclusive", f"{told}, claimed {words.target}", p)
    if found == "open":
        return _finish(case, "inconclusive", _open(case), p)
    if found == "faster":
        return _finish(case, "faster", f"{fast} than {target}", p)
    if found == "holds" or (words.plain and kind != "tight"):
        side = slow if kind == "upper" else fast
        return _finish(case, "holds", f"no {side} than {target}, within {words.room}", p)
    return _finish(case, "tight", f"within ±{words.room} of {target}", p)


def _open(case: TrendCase) -> str:
    """What an undecided claim is, and what would settle it."""
    how = {"upper": "at most", "lower": "at least", "tight": "tight at"}[case.claim.kind]
    told = f"claimed {how} {case.words.target}, within {case.words.room}"
    if case.trend.whole.exact:
        return f"{told}; needs a longer range"
    spread = case.trend.whole
    return f"{told}; {more_seeds(spread.half, len(spread.values), case.trend.gap())}"


def slopes(x: Array, y: Array) -> Array:
    """(R,) least-squares slopes of y (R, p) on x (p,); NaN below two points."""
    if len(x) < 2:
        return np.full(len(y), np.nan)
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))


def halves(x: Array, y: Array) -> tuple[Array, Array]:
    """(R,) slopes of y (R, p) over all points, and over the later half of them."""
    later = len(x) // 2
    return slopes(x, y), slopes(x[later:], y[:, later:])


def _finish(case: TrendCase, verdict: str, reason: str, p: float | None) -> Verdict:
    shown = Spread(case.found, case.series.deterministic)
    low, high = shown.interval
    if shown.exact and len(case.late):
        low, high = min(shown.mean, case.late.mean()), max(shown.mean, case.late.mean())
    word = case.words.word
    told = f"{word} {two(shown.mean)} [{two(low)}, {two(high)}]" if np.isfinite(low) else ""
    against = Against(case.claimed, case.trend.room, p)
    return of_evidence(
        case.series, case.claim, (shown.mean, low, high), (verdict, reason, told), against
    )
