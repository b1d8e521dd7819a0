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
    """The bend of y against x: its place with an interval over the seeds, and both slopes.

    before, after (means over the seeds); seed_bends (R,). NaN, and an unbounded interval, with
    fewer than `MIN_BEND_POINTS` points or two seeds.
    """

    x: float
    low: float
    high: float
    before: float
    after: float
    seed_bends: Array


def fit_bend(series: Series) -> Bend:
    """Least squares of y = a + b·min(x − t, 0) + c·max(x − t, 0), for every seed.

    t on a grid between the second and the last but one point, so that either line has two
    points; the mean of t over the seeds ± t_{R−1} sd/√R.
    """
    x, seeds = series.points, len(series.values)
    if len(x) < MIN_BEND_POINTS or seeds < 2:
        return Bend(np.nan, -np.inf, np.inf, np.nan, np.nan, np.empty(0))
    grid = np.linspace(x[1], x[-2], GRID)
    away = x - grid[:, None]  # (G, p)
    design = np.stack([np.ones_like(away), np.minimum(away, 0), np.maximum(away, 0)], axis=-1)
    solved = np.linalg.pinv(design) @ series.values.T  # (G, 3, R)
    left_over = ((series.values.T - design @ solved) ** 2).sum(axis=1)  # (G, R)
    best = left_over.argmin(axis=0)
    bends = grid[best]
    before, after = solved[best, 1:, np.arange(seeds)].mean(axis=0)
    middle = float(bends.mean())
    half = float(t_quantile(seeds) * bends.std(ddof=1) / np.sqrt(seeds))
    return Bend(middle, middle - half, middle + half, float(before), float(after), bends)
