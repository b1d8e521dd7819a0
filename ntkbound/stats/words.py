"""Exponents and counts as a sentence has them, and what would settle an open question."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from ntkbound.stats.bends import local_slopes
from ntkbound.stats.companions import curvature
from ntkbound.stats.inference import t_quantile
from ntkbound.stats.margins import CHECK_LEVEL, CONFIDENCE, MAX_MORE_SEEDS
from ntkbound.stats.observations import Series
from ntkbound.stats.powerlaw import Fit

Wants = Literal["", "seeds", "range"]


class Advice(NamedTuple):
    """What would settle an open question, in words, and as what a further sweep could add: seeds,
    points or range, or empty where neither would."""

    told: str
    wants: Wants = ""


def number(value: float) -> str:
    """A claimed exponent: as short as it was given, to three decimals, with a true minus."""
    return f"{round(value, 3) + 0.0:g}".replace("-", "−")


def two(value: float) -> str:
    """A measured exponent to two decimals, with a true minus."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def count(series: Series) -> str:
    """ "6 points and 5 seeds"."""
    points, seeds = len(series.points), len(series.seeds)
    return f"{points} point{'s' * (points != 1)} and {seeds} seed{'s' * (seeds != 1)}"


def three(value: float) -> str:
    """A measured number to three digits, with a true minus."""
    return f"{value:.3g}".replace("-", "−")


def within(word: str, estimate: float, low: float, high: float) -> str:
    """ "mean 0.993 [0.991, 0.995]"."""
    return f"{word} {three(estimate)} [{three(low)}, {three(high)}]"


def more_seeds(half: float, seeds: int, gap: float, confidence: float = CONFIDENCE) -> Advice:
    """How many more seeds would probably bring a half-width of `half`, of an interval at this
    confidence, below `gap`."""
    more = _until(half / t_quantile(seeds, confidence), seeds, gap, confidence)
    if more <= MAX_MORE_SEEDS:
        return Advice(f"needs about {more} more seeds", "seeds")
    return Advice(f"not within reach of {MAX_MORE_SEEDS} more seeds", "seeds")


def _until(error: float, seeds: int, gap: float, confidence: float) -> int:
    """How many more seeds bring the half-width of an interval of a mean, whose standard error is
    `error` now, to `gap`; `MAX_MORE_SEEDS` + 1 where they do not."""
    for more in range(1, MAX_MORE_SEEDS + 1):
        shrunk = error * math.sqrt(seeds / (seeds + more))
        if t_quantile(seeds + more, confidence) * shrunk <= gap:
            return more
    return MAX_MORE_SEEDS + 1


def missing(fit: Fit, room: float, above: float = math.inf, below: float = -math.inf) -> Advice:
    """What would settle it: seeds until the half-width fits `room`, or until the slope is
    significantly above or below; else a wider range; and any bend that a seed cannot mend."""
    seeds = len(fit.series.seeds)
    half = max(fit.high - fit.slope, fit.slope - fit.low)
    x, y = np.log(fit.series.points), np.log(fit.series.values)
    drift = ""
    if curvature(x, y)[1] < CHECK_LEVEL:
        first, *_, last = local_slopes(x, y)
        drift = f"; curvature: local slopes run from {two(first)} to {two(last)}"
    if not math.isfinite(half):
        told = "needs a wider range: the exponent is not separated from the floor"
        return Advice(told + drift, "range")
    error = half / t_quantile(seeds, fit.confidence)
    gap = max(fit.slope - above, below - fit.slope)
    refuting = _until(error, seeds, gap, 1 - CHECK_LEVEL / 10)
    more = min(_until(error, seeds, room, fit.confidence), refuting)
    if more <= MAX_MORE_SEEDS:
        return Advice(f"needs about {more} more seeds" + drift, "seeds")
    # Few seeds estimate badly how many are missing: more of them may yet decide it.
    return Advice("needs a wider range" + drift, "seeds")
