"""Pure power law y = a_r·x^b: one slope per seed, interval by Student's t over the seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ntkbound.stats.inference import ALONE, Array, Pooling, SeedMean, seed_mean
from ntkbound.stats.margins import CONFIDENCE
from ntkbound.stats.observations import Series


class Fit(Protocol):
    """A fitted exponent: its estimate, interval (±inf: unbounded) at a confidence, and one-sided
    tests."""

    @property
    def series(self) -> Series: ...
    @property
    def slope(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def confidence(self) -> float: ...

    def upper_tail(self, exponent: float, pooling: Pooling = ALONE) -> float:
        """p-value of "the true exponent is at most this"."""

    def lower_tail(self, exponent: float, pooling: Pooling = ALONE) -> float:
        """p-value of "the true exponent is at least this"."""


@dataclass(frozen=True, eq=False)
class PowerLawFit:
    """b of y = a_r·x^b with its interval; NaN where there are too few points or seeds.

    seed_slopes (R,): the ordinary least-squares slope of log y on log x of each seed; mean:
    what the tests are made of, None with one seed.
    """

    series: Series
    slope: float
    low: float
    high: float
    seed_slopes: Array
    mean: SeedMean | None = field(default=None, repr=False)
    confidence: float = CONFIDENCE

    def upper_tail(self, exponent: float, pooling: Pooling = ALONE) -> float:
        return 1.0 if self.mean is None else float(self.mean.upper_tail(exponent, pooling)[0])

    def lower_tail(self, exponent: float, pooling: Pooling = ALONE) -> float:
        return 1.0 if self.mean is None else float(self.mean.lower_tail(exponent, pooling)[0])


def fit_power_laws(series: Sequence[Series], confidence: float = CONFIDENCE) -> list[PowerLawFit]:
    """Fit every series, with intervals at this confidence; those on the same grid with as many
    seeds are fitted together.

    b̂_r = Σ_j (ℓ_j − ℓ̄) log y_rj / Σ_j (ℓ_j − ℓ̄)², ℓ = log x;  b̂ ± t_{R−1} sd(b̂_r)/√R.
    The intercept of a seed drops out, and any covariance along the axis within a seed is
    allowed: only independence between seeds is used.
    """
    fits: list[PowerLawFit | None] = [None] * len(series)
    for members in alike(series).values():
        first = series[members[0]]
        seeds, points = first.values.shape
        if points < 2 or seeds < 1:
            for i in members:
                fits[i] = PowerLawFit(series[i], np.nan, np.nan, np.nan, np.empty(0))
            continue
        data = log_values([series[i] for i in members])
        centred = np.log(first.points) - np.log(first.points).mean()
        direction = centred / (centred**2).sum()
        slopes = data @ direction
        middle = slopes.mean(axis=1)
        mean = seed_mean(data, direction) if seeds > 1 else None
        half = mean.half_width(confidence) if mean else np.full(len(members), np.nan)
        for row, i in enumerate(members):
            b, h = float(middle[row]), float(half[row])
            fits[i] = PowerLawFit(
                series[i], b, b - h, b + h, slopes[row], mean and mean.rows(row, row + 1),
                confidence,
            )  # fmt: skip
    return [fit for fit in fits if fit is not None]


def alike(series: Sequence[Series]) -> dict[tuple[bytes, int], list[int]]:
    """Indices of the series by shared grid and number of seeds, so that they stack."""
    groups: dict[tuple[bytes, int], list[int]] = {}
    for i, one in enumerate(series):
        groups.setdefault((one.points.tobytes(), len(one.seeds)), []).append(i)
    return groups


def log_values(series: Sequence[Series]) -> Array:
    """(S, R, p) logarithms of series on one grid with as many seeds."""
    return np.log(np.stack([one.values for one in series]))
