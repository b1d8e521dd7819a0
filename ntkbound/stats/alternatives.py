"""Does another form describe the same values better? Comparisons by AICc on the mean curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from ntkbound.stats.inference import Array
from ntkbound.stats.observations import Series
from ntkbound.stats.powerlaw import alike, log_values

Growth = Literal["power", "log", "exponential"]


@dataclass(frozen=True)
class FloorComparison:
    """Pure power law against one with a floor c ≥ 0.

    advantage: AICc(pure) − AICc(floor), positive where the floor describes the values better;
    exponent: b of the form with the floor; shift: its local slope at the largest axis value minus
    the slope of the pure law, what believing the wrong form would cost.
    """

    advantage: float
    exponent: float
    shift: float


@dataclass(frozen=True)
class GrowthComparison:
    """AICc of power, logarithmic and exponential growth, each minus the smallest of the three."""

    power: float
    log: float
    exponential: float

    @property
    def best(self) -> Growth:
        ranked: list[tuple[float, Growth]] = [
            (self.power, "power"),
            (self.log, "log"),
            (self.exponential, "exponential"),
        ]
        return min(ranked)[1]


def compare_floor(series: Sequence[Series]) -> list[FloorComparison]:
    """Both forms fitted to every series with enough values for AICc (three points and three seeds).

    log y_rj = α_r + log(x_j^b + κ) + noise, κ = 0 in the pure law: R + 2 parameters with the
    noise variance, one more with a floor. One κ and b for all seeds, so seeds that differ in
    slope raise both residuals and make neither form look better.
    """
    found = [FloorComparison(0.0, np.nan, 0.0)] * len(series)
    for members in alike(series).values():
        first = series[members[0]]
        seeds, points = first.values.shape
        if points < 3 or seeds * points < seeds + 5:  # AICc needs N > k + 1, k ≤ R + 3
            continue
        data = log_values([series[i] for i in members])
        x = np.log(first.points)
        mean = _centre(data.mean(axis=1))
        away = _spread(data)
        line = _centre(x) / np.sqrt((_centre(x) ** 2).sum())
        pure = away + seeds * ((mean**2).sum(axis=1) - (mean @ line) ** 2)
        b, kappa, rss = _floor_curves(x, mean)
        count = seeds * points
        bent = away + seeds * rss
        gain = _aicc(pure, count, seeds + 2) - _aicc(bent, count, seeds + 3)
        share = expit(b * x[-1] - kappa)  # of a·x^b in the value at the end of the range
        shift = b * share - mean @ line / np.sqrt((_centre(x) ** 2).sum())
        for row, i in enumerate(members):
            found[i] = FloorComparison(float(gain[row]), float(b[row]), float(shift[row]))
    return found


def compare_growth(series: Series, log_power: float = 1.0) -> GrowthComparison:
    """a_r·x^b, a_r·(1 + β log(x/x_1))^log_power and a_r·e^{βx}: as many parameters each.

    The logarithm may start anywhere (β > −1/log(x_p/x_1) keeps it positive).
    Returns zeros (no preference) with too few values for AICc (below three points or three seeds).
    """
    seeds, points = series.values.shape
    if points < 3 or seeds * points < seeds + 5:
        return GrowthComparison(0.0, 0.0, 0.0)
    data = log_values([series])
    mean = _centre(data.mean(axis=1))[0]
    away = float(_spread(data)[0])
    lines = np.stack([_centre(np.log(series.points)), _centre(series.points)])
    straight = (mean**2).sum() - (lines @ mean) ** 2 / (lines**2).sum(axis=1)
    start = np.log(series.points / series.points[0])
    # β from −1/log(x_p/x_1) (falling to 0 at the end) to 1e4 (a logarithm from x_1 on).
    beta = np.concatenate([-np.geomspace(0.999, 1e-4, 200), [0.0], np.geomspace(1e-4, 1e4, 800)])
    curves = _centre(log_power * np.log1p(beta[:, None] / start[-1] * start))
    logarithm = ((mean - curves) ** 2).sum(axis=1).min()
    rss = away + seeds * np.array([straight[0], logarithm, straight[1]])
    scores = _aicc(np.maximum(rss, 0.0), seeds * points, seeds + 2)
    power, log, exponential = (float(v) for v in scores - scores.min())
    return GrowthComparison(power, log, exponential)


def _floor_curves(x: Array, mean: Array) -> tuple[Array, Array, Array]:
    """Best b, log κ and residual sum of squares over the points: (S,) each.

    A table of curves shared by all series on this grid, then damped Gauss–Newton.
    """
    b_grid = np.concatenate([-np.geomspace(0.02, 6.0, 36), np.geomspace(0.02, 6.0, 36)])
    # w: share of the floor in the smallest value of the curve.
    w_grid = np.linspace(-8.0, 8.0, 49)
    b, logit = (a.ravel() for a in np.meshgrid(b_grid, w_grid, indexing="ij"))
    kappa = logit + (b[:, None] * x).min(axis=1)
    curves = _centre(np.logaddexp(b[:, None] * x, kappa[:, None]))
    miss = (curves**2).sum(axis=1) - 2 * mean @ curves.T  # (S, C)
    best = miss.argmin(axis=1)
    b, kappa = b[best], kappa[best]
    rss = ((mean - curves[best]) ** 2).sum(axis=1)
    damping = np.full(len(mean), 1e-3)
    for _ in range(12):
        share = expit(b[:, None] * x - kappa[:, None])
        jacobian = np.stack([_centre(share * x), _centre(-share)], axis=-1)  # (S, p, 2)
        error = mean - _centre(np.logaddexp(b[:, None] * x, kappa[:, None]))
        normal = np.einsum("spi,spj->sij", jacobian, jacobian)
        scale = np.einsum("sii->si", normal)
        normal = normal + (damping[:, None] * scale + 1e-14)[:, :, None] * np.eye(2)
        step = np.linalg.solve(normal, np.einsum("spi,sp->si", jacobian, error)[..., None])[..., 0]
        step = np.clip(step, -1.0, 1.0)
        new_b, new_kappa = b + step[:, 0], kappa + step[:, 1]
        curve = _centre(np.logaddexp(new_b[:, None] * x, new_kappa[:, None]))
        new = ((mean - curve) ** 2).sum(axis=1)
        better = new < rss
        b, kappa = np.where(better, new_b, b), np.where(better, new_kappa, kappa)
        rss = np.where(better, new, rss)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-9, 1e6)
    return b, kappa, rss


def _aicc(rss: Array, count: int, parameters: int) -> Array:
    """N log(RSS/N) + 2k + 2k(k+1)/(N−k−1)."""
    # Exact data would give log 0; rounding of the logarithms (1e-15 each) is as exact as it gets.
    fit = count * np.log(np.maximum(rss, count * 1e-28) / count)
    penalty = 2 * parameters + 2 * parameters * (parameters + 1) / (count - parameters - 1)
    return np.asarray(fit + penalty)


def _spread(data: Array) -> Array:
    """(S,) squares of (S, R, p) about the mean curve, intercepts of the seeds removed."""
    away = _centre(data - data.mean(axis=1, keepdims=True))
    return np.asarray((away**2).sum(axis=(1, 2)))


def _centre(a: Array) -> Array:
    return np.asarray(a - a.mean(axis=-1, keepdims=True))
