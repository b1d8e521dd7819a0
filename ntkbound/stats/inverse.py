"""Where does a fitted power law cross a target? Inverse regression with seeds as sampling units.

Every seed has its own line log y = a_r + b_r log x. Its height at ℓ = log x is one number per
seed, so "the mean line is at the target at ℓ" is put to Student's t test over seeds; the ℓ that it
does not reject are the interval (Fieller). It is the set where

    (ā + b̄ℓ − log target)² ≤ t² (S_aa + 2 S_ab ℓ + S_bb ℓ²)/R,

an interval if the mean slope differs from 0 at the same level, and unbounded otherwise.
"""

import math
from dataclasses import dataclass

import numpy as np

from ntkbound.stats.inference import t_quantile
from ntkbound.stats.observations import Series


@dataclass(frozen=True)
class Crossing:
    """``value`` with its interval; ends are null where unbounded, all are null without a crossing.

    ``extrapolated``: the value lies outside the measured range of the axis.
    """

    value: float | None
    low: float | None
    high: float | None
    extrapolated: bool
    seeds: int
    points: int
    reason: str = ""


LARGEST_EXPONENT = 300.0  # of e: beyond it a crossing is none


def crossing(series: Series, target: float) -> Crossing:
    """The axis value at which the mean decreasing power law reaches ``target`` > 0."""
    seeds, points = series.values.shape
    if points < 2 or seeds < 2:
        return Crossing(None, None, None, False, seeds, points, "needs 2 points and 2 seeds")
    x, y = np.log(series.points), np.log(series.values)
    centred = x - x.mean()
    slopes = y @ centred / (centred**2).sum()
    heights = y.mean(axis=1) - math.log(target)  # above the target at the middle of the range
    b, a = float(slopes.mean()), float(heights.mean())
    if b >= 0 or abs(a / b) > LARGEST_EXPONENT:
        return Crossing(None, None, None, False, seeds, points, "does not decrease along this axis")
    spread = np.cov(np.stack([heights, slopes]))
    q = t_quantile(seeds) ** 2 / seeds
    at = float(x.mean()) - a / b
    value = math.exp(at)
    extrapolated = not series.points[0] <= value <= series.points[-1]
    square = b * b - q * spread[1, 1]
    if square <= 0:
        reason = "the slope is not distinguishable from 0: no interval"
        return Crossing(value, None, None, extrapolated, seeds, points, reason)
    middle = (a * b - q * spread[0, 1]) / square
    rest = (a * a - q * spread[0, 0]) / square
    half = math.sqrt(max(0.0, middle**2 - rest))
    low, high = (float(x.mean()) - middle + sign * half for sign in (-1, 1))
    start, end = (math.exp(e) if abs(e) < LARGEST_EXPONENT else None for e in (low, high))
    return Crossing(value, start, end, extrapolated, seeds, points)
