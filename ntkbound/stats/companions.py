"""Second opinions on a slope: bootstrap, Theil–Sen, curvature and local slopes. Never judged."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from ntkbound.stats.bends import local_slopes
from ntkbound.stats.inference import Array
from ntkbound.stats.margins import CONFIDENCE
from ntkbound.stats.observations import Series


@dataclass(frozen=True)
class Companions:
    """bootstrap_low, bootstrap_high: percentile bootstrap over seeds of the mean slope (too short
    by design: over 3/5/10 seeds it covers 72/83/90 %); theil_sen: median of the slopes between
    all pairs of points within a seed; curvature: mean over seeds of the coefficient of (log x)²
    in log y, with its two-sided p-value by Student's t; local_slopes (p − 1): between
    neighbouring points, averaged over seeds.
    """

    bootstrap_low: float
    bootstrap_high: float
    theil_sen: float
    curvature: float
    curvature_p: float
    local_slopes: tuple[float, ...]


def companions(series: Series, resamples: int = 2000) -> Companions:
    """Companions of one series; NaN where seeds (2) or points (2, curvature 3) are too few.

    The bootstrap's draws come from a fixed stream, so the same records give the same digits.
    """
    seeds, points = series.values.shape
    if points < 2 or seeds < 1:
        return Companions(np.nan, np.nan, np.nan, np.nan, np.nan, ())
    x = np.log(series.points)
    y = np.log(series.values)
    centred = x - x.mean()
    slopes = y @ centred / (centred**2).sum()
    draws = np.random.default_rng(0).integers(0, seeds, (resamples, seeds))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(slopes[draws].mean(axis=1), [tail, 100 - tail])
    i, j = np.triu_indices(points, 1)
    pairs = (y[:, j] - y[:, i]) / (x[j] - x[i])
    bent, p = curvature(x, y)
    return Companions(
        float(low),
        float(high),
        float(np.median(pairs)),
        bent,
        p,
        tuple(float(v) for v in local_slopes(x, y)),
    )


def curvature(x: Array, y: Array) -> tuple[float, float]:
    """Mean coefficient of (log x)² over seeds and its two-sided p-value by Student's t; NaN below
    three points or two seeds. x (p,) and y (R, p) are logarithms."""
    if len(x) < 3 or len(y) < 2:
        return float("nan"), float("nan")
    x = x - x.mean()
    square = x**2 - (x**2).mean()
    square = square - (square @ x) / (x @ x) * x
    bends = y @ square / (square @ square)
    error = bends.std(ddof=1) / np.sqrt(len(bends))
    mean = float(bends.mean())
    # Identical seeds: any bend beyond rounding is certain.
    if error == 0:
        return mean, 1.0 if abs(mean) < 1e-12 else 0.0
    return mean, float(2 * stdtr(len(bends) - 1, -abs(mean) / error))
