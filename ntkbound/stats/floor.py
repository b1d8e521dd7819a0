"""Power law with a floor, y = a·x^b + c: an interval for b by inverting a score test.

Fitting (a, b, c) and adding a standard error covers badly when the floor is faint or dominant.
Here a candidate b is kept if the data do not contradict it: with b fixed, the curve
log(x^b + κ), κ = c/a ≥ 0, is fitted, and each seed's residual is projected on the one direction
in which a wrong b would show and a wrong κ would not. That gives one number per seed, of mean 0
under b, tested by Student's t. The test keeps its level however poorly κ is known; where the data
cannot tell b from the floor the interval is unbounded, never wrongly short.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, fdtrc

from ntkbound.stats.inference import ALONE, Array, Pooling, SeedMean, seed_mean, t_quantile
from ntkbound.stats.margins import (
    CONFIDENCE,
    FLOOR_EXPONENT_LIMIT,
    HETEROGENEITY_LEVEL,
    MIN_POINTS_FLOOR,
)
from ntkbound.stats.observations import Series
from ntkbound.stats.powerlaw import alike, log_values

Mask = NDArray[np.bool_]

_EDGE = 12.0  # log κ beyond the data by this much: a floor of 6e-6 of the smallest value
_STEP = 1.0  # of the first search over log κ
_GRID = 0.1  # of the search over b
_CHUNK = 16  # series fitted at once, to bound memory
_FLAT = 1e-3  # |b| below which x^b and a constant are the same curve


@dataclass(frozen=True, eq=False)
class FloorFit:
    """b of y = a·x^b + c with its interval: ±inf where the data do not bound it."""

    series: Series
    slope: float
    low: float
    high: float
    _exponents: Array = field(repr=False)
    _tests: SeedMean | None = field(repr=False)
    confidence: float = CONFIDENCE

    def upper_tail(self, exponent: float, pooling: Pooling = ALONE) -> float:
        """Largest p-value over all b ≤ exponent: a steeper law with a floor may look flatter."""
        if self._tests is None:
            return 1.0
        below = self._tests.upper_tail(0.0, pooling)[self._exponents <= exponent]
        here = score_test(self._data(), np.array([exponent])).upper_tail(0.0, pooling)[0]
        return float(max(here, below.max(initial=0.0)))

    def lower_tail(self, exponent: float, pooling: Pooling = ALONE) -> float:
        """Largest p-value over all b ≥ exponent."""
        if self._tests is None:
            return 1.0
        above = self._tests.lower_tail(0.0, pooling)[self._exponents >= exponent]
        here = score_test(self._data(), np.array([exponent])).lower_tail(0.0, pooling)[0]
        return float(max(here, above.max(initial=0.0)))

    def _data(self) -> "LogData":
        return LogData(np.log(self.series.points), np.log(self.series.values)[None])


@dataclass(frozen=True, eq=False)
class LogData:
    """Log axis x (p,) and log values y (S, R, p)."""

    x: Array
    y: Array


def fit_floors(series: Sequence[Series], confidence: float = CONFIDENCE) -> list[FloorFit]:
    """Fit every series, with intervals at this confidence; NaN below `MIN_POINTS_FLOOR` points
    or two seeds.

    Those on the same grid with as many seeds are fitted together, some at a time.
    """
    nothing = np.empty(0)
    fits = [FloorFit(one, np.nan, np.nan, np.nan, nothing, None) for one in series]
    limit = FLOOR_EXPONENT_LIMIT
    grid = np.linspace(-limit, limit, round(2 * limit / _GRID) + 1)
    for members in alike(series).values():
        seeds, points = series[members[0]].values.shape
        if points < MIN_POINTS_FLOOR or seeds < 2:
            continue
        for start in range(0, len(members), _CHUNK):
            part = members[start : start + _CHUNK]
            y = log_values([series[i] for i in part])
            data = LogData(np.log(series[part[0]].points), y)
            tests = _at(data, np.broadcast_to(grid, (len(part), len(grid))))
            slope, low, high = _interval(data, grid, _t(tests).reshape(len(part), -1), confidence)
            for row, i in enumerate(part):
                own = tests.rows(row * len(grid), (row + 1) * len(grid))
                ends = float(slope[row]), float(low[row]), float(high[row])
                fits[i] = FloorFit(series[i], *ends, grid, own, confidence)
    return fits


def score_test(data: LogData, exponents: Array) -> SeedMean:
    """One number per seed whose mean is 0 if b is right, positive if the true b is larger.

    exponents (S,) or any shape broadcasting with the first axis of data.y (S, R, p).

    All seeds share κ unless an F-test finds that they differ along it more than the residuals
    allow (c the same while a varies); then each seed has its own, fitted alone.
    """
    y = np.broadcast_to(data.y, (max(len(data.y), len(exponents)), *data.y.shape[1:]))
    b = np.broadcast_to(exponents, len(y))
    curve, floor, direction, edge = _tangents(data.x, y.mean(axis=1), b)
    shared = seed_mean(y - curve[:, None], direction, floor)
    differs = _floors_differ(y, floor, direction) & ~edge
    if not differs.any():
        return shared
    own = y[differs]
    count, seeds, points = own.shape
    curves, _, directions, edges = _tangents(
        data.x, own.reshape(-1, points), np.repeat(b[differs], seeds)
    )
    score = ((own.reshape(-1, points) - curves) * directions).sum(axis=-1).reshape(count, seeds)
    # A seed fitted without floor, or as all floor, has no direction left to be compared in.
    valid = ~edges.reshape(count, seeds).any(axis=1)
    rows = np.flatnonzero(differs)[valid]
    mean, variance = shared.mean.copy(), shared.variance.copy()
    within = shared.within.copy()
    mean[rows] = score[valid].mean(axis=1)
    variance[rows] = score[valid].var(axis=1, ddof=1)
    within[rows] = 0.0  # never pooled: the F-test for extra variance then always fires
    return SeedMean(mean, variance, shared.seeds, within, shared.within_df)


def fitted_curves(x: Array, mean: Array, b: Array) -> tuple[Array, Array]:
    """Best log κ for log(x^b + κ) with κ ≥ 0 and the centred curve: (S,), (S, p).

    x (p,) log axis; mean (S, p) log values averaged over seeds; b (S,).
    Least squares in log y, by a table over log κ and Gauss–Newton from its best entry.
    """
    power = b[:, None] * x
    power = power - power.min(axis=-1, keepdims=True)
    top = power.max(axis=-1) + _EDGE
    mean = _centre(mean)
    steps = np.arange(-_EDGE, top.max(initial=0.0) + _STEP, _STEP)
    trial = np.minimum(steps, top[:, None])  # (S, K)
    miss = mean[:, None] - _centre(np.logaddexp(power[:, None], trial[..., None]))
    best = np.einsum("skp,skp->sk", miss, miss).argmin(axis=-1)
    kappa = np.take_along_axis(trial, best[:, None], axis=-1)[:, 0]
    for _ in range(10):
        miss = mean - _centre(np.logaddexp(power, kappa[:, None]))
        slope = _centre(-expit(power - kappa[:, None]))
        move = (miss * slope).sum(axis=-1) / ((slope * slope).sum(axis=-1) + 1e-14)
        kappa = np.clip(kappa + np.clip(move, -_STEP / 2, _STEP / 2), -_EDGE, top)
    return kappa, _centre(np.logaddexp(power, kappa[:, None]))


def _tangents(x: Array, mean: Array, b: Array) -> tuple[Array, Array, Array, Mask]:
    """Curve, unit ∂/∂κ, unit test direction (S, p) and whether κ is at an end (S,).

    Inside, the direction is ∂/∂b made orthogonal to the constant and ∂/∂κ. Without floor (κ = 0)
    κ can only move one way and is not projected out: the direction is log x, as for the pure law.
    All floor (a = 0): that of data rising against every b of this sign.
    """
    kappa, curve = fitted_curves(x, mean, b)
    power = b[:, None] * x
    power = power - power.min(axis=-1, keepdims=True)
    share = expit(power - kappa[:, None])  # of a·x^b in the value
    line = np.broadcast_to(_unit(_centre(x)), curve.shape)
    flat = np.abs(b) < _FLAT
    none = (kappa <= -_EDGE + 0.1) | flat
    full = (kappa >= power.max(axis=-1) + _EDGE - 0.1) & ~flat
    floor = np.where(flat[:, None], line, -_centre(share))
    floor = _unit(floor)
    inside = _centre(share * x)
    inside = inside - (inside * floor).sum(axis=-1, keepdims=True) * floor
    # With no curvature to project out, any direction orthogonal to the line serves as "floor".
    direction = np.where((none | full)[:, None], line, inside)
    direction = _unit(direction)
    overlap = (floor * direction).sum(axis=-1, keepdims=True)
    bent = _centre(np.broadcast_to(_centre(x) ** 2, curve.shape))
    floor = np.where(
        (none | full)[:, None],
        bent - (bent * direction).sum(-1, keepdims=True) * direction,
        floor - overlap * direction,
    )
    return curve, _unit(floor), direction, none | full


def _floors_differ(y: Array, floor: Array, direction: Array) -> Mask:
    """(S,) F-test at `HETEROGENEITY_LEVEL` of the seeds' spread along ∂/∂κ."""
    spread = seed_mean(y, floor, direction)
    if spread.within_df < 1:
        return np.zeros(len(y), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spread.variance > 0, spread.variance / spread.within, 0.0)
    p = fdtrc(spread.seeds - 1, spread.within_df, ratio)
    return np.asarray(p < HETEROGENEITY_LEVEL, dtype=bool)


def _at(data: LogData, b: Array) -> SeedMean:
    """Score tests of each of S series at its own exponents b (S, B), flattened to (S·B,)."""
    return score_test(LogData(data.x, np.repeat(data.y, b.shape[1], axis=0)), b.ravel())


def _interval(
    data: LogData, grid: Array, t: Array, confidence: float
) -> tuple[Array, Array, Array]:
    """Estimate (the score is 0), lowest and highest b kept by the test, refined from a grid.

    grid (B,), t (S, B); returns (S,) each.
    """
    limit = t_quantile(data.y.shape[1], confidence)
    centre = _refine(data, *_bracket(data, grid, t), level=0.0)
    kept = np.abs(t) <= limit
    lowest = np.minimum(np.where(kept, grid, np.inf).min(axis=1), centre)
    highest = np.maximum(np.where(kept, grid, -np.inf).max(axis=1), centre)
    before = np.maximum(np.searchsorted(grid, lowest) - 1, 0)
    after = np.minimum(np.searchsorted(grid, highest, side="right"), len(grid) - 1)
    low = _refine(data, grid[before], lowest, level=limit)
    high = _refine(data, highest, grid[after], level=-limit)
    unbounded = (kept[:, 0] | (centre <= grid[0])), (kept[:, -1] | (centre >= grid[-1]))
    return centre, np.where(unbounded[0], -np.inf, low), np.where(unbounded[1], np.inf, high)


def _bracket(data: LogData, grid: Array, t: Array) -> tuple[Array, Array]:
    """Neighbours on the grid between which the score falls through 0 (the best fit of several,
    the smallest |t| twice if there are none): (S,) each."""
    falls = (t[:, :-1] >= 0) & (t[:, 1:] < 0)
    row, left = np.nonzero(falls)
    mean = data.y.mean(axis=1)[row]
    miss = _centre(mean) - fitted_curves(data.x, mean, (grid[left] + grid[left + 1]) / 2)[1]
    cost = np.full(falls.shape, np.inf)
    cost[row, left] = (miss**2).sum(axis=-1)
    best = cost.argmin(axis=1)
    nearest = np.abs(t).argmin(axis=1)
    found = falls.any(axis=1)
    return grid[np.where(found, best, nearest)], grid[np.where(found, best + 1, nearest)]


def _refine(data: LogData, low: Array, high: Array, level: float) -> Array:
    """(S,) where t(b) falls through the level between two b, to 1e-4, by 8-section."""
    rows = np.arange(len(low))
    for _ in range(3):
        b = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, 9)
        above = _t(_at(data, b)).reshape(b.shape) > level
        last = np.where(above, np.arange(9), 0).max(axis=1)
        last = np.minimum(last, 7)
        low, high = b[rows, last], b[rows, last + 1]
    return np.asarray((low + high) / 2)


def _t(test: SeedMean) -> Array:
    """(S,) t-statistics; without any variance (exact data) only the sign remains."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = test.mean / np.sqrt(test.variance / test.seeds)
    return np.asarray(np.where(np.isnan(t), 0.0, t))


def _centre(a: Array) -> Array:
    return np.asarray(a - a.mean(axis=-1, keepdims=True))


def _unit(a: Array) -> Array:
    size = np.sqrt((a * a).sum(axis=-1, keepdims=True))
    return np.asarray(a / np.where(size > 0, size, 1.0))
