"""A slope per seed against a claimed one, over the whole range and at its end.

What an exponential, and a rate inside runs, are judged by. Only independence between seeds is used:
steps of one run are correlated, and residuals along the axis say nothing. The end of the range has
its say, too: a change of regime there must be averaged neither into agreement (last quarter) nor
into violation (last third), and a slope on its way to the claimed one has not violated it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ntkbound.core.claim import Along, Kind
from ntkbound.stats.columns import Array
from ntkbound.stats.forms.spread import Spread, spread_lacking
from ntkbound.stats.margins import (
    BEND_LEVEL,
    CHECK_LEVEL,
    CONFIDENCE,
    LATE_LEVEL,
    MIN_POINTS,
    VIOLATION_MARGIN,
)
from ntkbound.stats.observations import Series
from ntkbound.stats.verdicts import Against, Said, Verdict, of_evidence
from ntkbound.stats.words import Advice, Wants, count, more_seeds, two

Agreement = Literal["faster", "tight", "holds", "open", "bends"]


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes of log values per seed, (R,) each: over all points, over their first and last third,
    and over the last quarter (of three points at least)."""

    whole: Array
    early: Array
    late: Array
    end: Array

    @classmethod
    def of(cls, x: Array, y: Array) -> Slopes:
        """Of y (R, p) on x (p,)."""
        third, quarter = (max(MIN_POINTS, len(x) // parts) for parts in (3, 4))
        return cls(
            _slopes(x, y),
            _slopes(x[:third], y[:, :third]),
            _slopes(x[-third:], y[:, -third:]),
            _slopes(x[-quarter:], y[:, -quarter:]),
        )

    def beyond(self, claimed: Array | float, unit: Array | float = 1.0) -> Slopes:
        """(slope − claimed)/unit."""
        parts = (self.whole, self.early, self.late, self.end)
        return Slopes(*((one - claimed) / unit for one in parts))


@dataclass(frozen=True, eq=False)
class Trend:
    """Slopes beyond the claimed one, in the units of the margins; ``exact``: of a line without
    randomness, which is one seed, and whose interval ends at the slopes of its parts;
    ``confidence``: of intervals."""

    beyond: Slopes
    kind: Kind
    room: float
    exact: bool
    confidence: float = CONFIDENCE

    @property
    def whole(self) -> Spread:
        return Spread(self.beyond.whole, self.exact, self.confidence)

    @property
    def late(self) -> Spread:
        return Spread(self.beyond.late, self.exact, self.confidence)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the excess over the claimed slope."""
        return self.interval_of(self.beyond)

    def interval_of(self, slopes: Slopes) -> tuple[float, float]:
        """Of such slopes, in whatever units."""
        whole, late = (Spread(o, self.exact, self.confidence) for o in (slopes.whole, slopes.late))
        if self.exact:
            return min(whole.mean, late.mean), max(whole.mean, late.mean)
        return whole.interval

    def p(self) -> float:
        """p-value of "the claim is true"; 1 where the end of the range does not refute it."""
        if self.unreached:
            return 1.0
        above = self._refuted(1.0, VIOLATION_MARGIN)
        if self.kind == "upper":
            return above
        # Faster decay only refutes tightness where the verdict could no longer be `tight`.
        below = self._refuted(-1.0, VIOLATION_MARGIN if self.kind == "lower" else self.room)
        return below if self.kind == "lower" else min(1.0, 2 * min(above, below))

    def _refuted(self, sign: float, beyond: float) -> float:
        whole, late = (Spread(sign * one.values, self.exact) for one in (self.whole, self.late))
        agrees = late.above(beyond) <= LATE_LEVEL
        return whole.above(beyond) if agrees else max(whole.above(beyond), late.above(beyond))

    @property
    def unreached(self) -> bool:
        """Whether the slope is on its way to the claimed one: significantly nearer to it at the end
        of the range than at its start, by half of the gap or more."""
        wrong = 1.0 if self.whole.mean > 0 else -1.0
        early, late = wrong * self.beyond.early, wrong * self.beyond.late
        shrinks = Spread(late - early, self.exact).below(0.0) <= BEND_LEVEL
        return bool(shrinks and late.mean() <= early.mean() / 2)

    def finding(self) -> Agreement:
        """What the intervals say; ``bends`` where the whole agrees and the end does not."""
        found = self._of_whole()
        low, high = Spread(self.beyond.end, self.exact, self.confidence).interval
        worse = {
            "upper": low > VIOLATION_MARGIN,
            "lower": high < -VIOLATION_MARGIN,
            "tight": low > VIOLATION_MARGIN or high < -self.room,
        }[self.kind]
        return "bends" if worse and found != "open" else found

    def _of_whole(self) -> Agreement:
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
    as its margin is told, ``number`` as an estimate is told, ``grows`` where a claimed curve rises,
    ``plain`` where *tight* is no word for an upper or lower claim."""

    word: str
    target: str
    room: str
    number: Callable[[float], str] = two
    grows: bool = False
    plain: bool = False


@dataclass(frozen=True, eq=False)
class TrendCase:
    """A claim along an axis with what one line says of it.

    found: what is estimated, per seed, over the range and at its ends; claimed: the same as
    claimed.
    """

    claim: Along
    series: Series
    trend: Trend
    found: Slopes
    claimed: float
    words: Wording
    lacking: Advice | None

    def p(self) -> float:
        """p-value of "the claim is true"."""
        return self.trend.p()


def trend_lacking(series: Series, whole: Spread) -> Advice | None:
    """Why nothing can be concluded of a line."""
    if len(series.points) < MIN_POINTS:
        return Advice(f"{count(series)}: needs at least {MIN_POINTS} points", "range")
    return spread_lacking(whole, series.undrawn)


def conclude_trend(case: TrendCase, p: float | None) -> Verdict:
    """The verdict, given the claim's p-value corrected for all claims of the check."""
    if case.lacking is not None:
        return _finish(case, "inconclusive", case.lacking.told, None, case.lacking.wants)
    words, kind = case.words, case.claim.kind
    target = f"the claimed {words.target}"
    slow, fast = ("faster", "slower") if words.grows else ("slower", "faster")
    if p is not None and p <= CHECK_LEVEL:
        side = slow if case.trend.whole.mean > 0 else fast
        told = f"{side} than {target}" + (" (claimed tight)" if kind == "tight" else "")
        return _finish(case, "violated", told, p)
    found = case.trend.finding()
    if found == "bends":
        told = f"the end of the range says otherwise: {_run(case)}, claimed {words.target}"
        return _finish(case, "inconclusive", told, p)
    if found == "open" and case.trend.unreached:
        told = f"the rate is not reached yet: {_run(case)}, claimed {words.target}"
        return _finish(case, "inconclusive", told, p)
    if found == "open":
        told, wants = _open(case)
        return _finish(case, "inconclusive", told, p, wants)
    if found == "faster":
        return _finish(case, "faster", f"{fast} than {target}", p)
    if found == "holds" or (words.plain and kind != "tight"):
        side = slow if kind == "upper" else fast
        return _finish(case, "holds", f"no {side} than {target}, within {words.room}", p)
    return _finish(case, "tight", f"within ±{words.room} of {target}", p)


def _open(case: TrendCase) -> Advice:
    """What an undecided claim is, and what would settle it."""
    how = {"upper": "at most", "lower": "at least", "tight": "tight at"}[case.claim.kind]
    told = f"claimed {how} {case.words.target}, within {case.words.room}"
    if case.trend.whole.exact:
        return Advice(f"{told}; needs a longer range", "range")
    spread = case.trend.whole
    need = more_seeds(spread.half, len(spread.values), case.trend.gap(), spread.confidence)
    return Advice(f"{told}; {need.told}", need.wants)


def _run(case: TrendCase) -> str:
    """ "slope −1.30 at first, −0.80 at last"."""
    early, late = float(case.found.early.mean()), float(case.found.end.mean())
    told = case.words.number
    return f"{case.words.word} {told(early)} at first, {told(late)} at last"


def _slopes(x: Array, y: Array) -> Array:
    """(R,) least-squares slopes of y (R, p) on x (p,); NaN below two points."""
    if len(x) < 2:
        return np.full(len(y), np.nan)
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))


def _finish(
    case: TrendCase, verdict: str, reason: str, p: float | None, wants: Wants = ""
) -> Verdict:
    mean = Spread(case.found.whole).mean
    low, high = case.trend.interval_of(case.found)
    number, told = case.words.number, ""
    if np.isfinite(low):
        told = f"{case.words.word} {number(mean)} [{number(low)}, {number(high)}]"
    said, against = Said(verdict, reason, wants), Against(case.claimed, case.trend.room, p)
    return of_evidence(case.series, case.claim, (mean, low, high), told, said, against)
