"""Where does a curve bend? Two straight lines that meet, one bend per seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntkbound.stats.inference import Array, t_quantile
from ntkbound.stats.observations import Series

GRID = 400  # candidate bends between the second and the last but one point
MIN_BEND_POINTS = 5  # two lines and their meeting point are four numbers


@dataclass(frozen=True, eq=False)
class Bend:
    """The bend of log y against log x: its x with an interval over the seeds, and both slopes.

    NaN, and an unbounded interval, with fewer than `MIN_BEND_POINTS` points or two seeds.
    """

    x: float
    low: float
    high: float
    before: float
    after: float
    seed_bends: Array


def fit_bend(series: Series) -> Bend:
    """Least squares of log y = a + b·min(ℓ − t, 0) + c·max(ℓ − t, 0), ℓ = log x, for every seed.

    t on a grid between the second and the last but one point, so that either line has two
    points; exp of the mean of t over the seeds, ± t_{R−1} sd/√R.
    """
    logs, x = np.log(series.values), np.log(series.points)
    if len(x) < MIN_BEND_POINTS or len(logs) < 2:
        return Bend(np.nan, 0.0, np.inf, np.nan, np.nan, np.empty(0))
    grid = np.linspace(x[1], x[-2], GRID)
    away = x - grid[:, None]  # (G, p)
    design = np.stack([np.ones_like(away), np.minimum(away, 0), np.maximum(away, 0)], axis=-1)
    solved = np.linalg.pinv(design) @ logs.T  # (G, 3, R)
    left_over = ((logs.T - design @ solved) ** 2).sum(axis=1)  # (G, R)
    best = left_over.argmin(axis=0)
    bends = grid[best]
    slopes = solved[best, 1:, np.arange(len(logs))].mean(axis=0)
    half = t_quantile(len(bends)) * bends.std(ddof=1) / np.sqrt(len(bends))
    middle = bends.mean()
    x0, low, high = (float(np.exp(end)) for end in (middle, middle - half, middle + half))
    return Bend(x0, low, high, float(slopes[0]), float(slopes[1]), np.exp(bends))
