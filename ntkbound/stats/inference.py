"""Student's t over seeds, the pooled test, and Holm's correction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, stdtr, stdtrit

from ntkbound.stats.margins import (
    CONFIDENCE,
    FEW_SEEDS,
    POOLED_SEED_LEVEL,
    POOLED_SEED_LEVEL_FEW,
    POOLING_LEVEL,
)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeedMean:
    """The mean of one number per seed, and its variance seen in two ways; all of shape (S,).

    mean, variance: over the seeds (variance of one seed's number, seeds − 1 degrees of freedom);
    within: the variance one seed's number would have from its residuals along the axis alone,
    with within_df degrees of freedom.
    """

    mean: Array
    variance: Array
    seeds: int
    within: Array
    within_df: int

    def rows(self, start: int, stop: int) -> "SeedMean":
        """Some of them alone."""
        part = slice(start, stop)
        return SeedMean(
            self.mean[part], self.variance[part], self.seeds, self.within[part], self.within_df
        )

    def half_width(self) -> Array:
        """(S,) t_{R−1} · sd/√R, the half-width of the interval at `CONFIDENCE`."""
        return t_quantile(self.seeds) * np.sqrt(self.variance / self.seeds)

    def upper_tail(self, value: ArrayLike = 0.0) -> Array:
        """(S,) one-sided p-value of "mean ≤ value" against "mean > value".

        The seeds' own t-test; where an F-test finds no slope variance beyond the residuals and
        the seeds' own test agrees at `POOLED_SEED_LEVEL`, the t-test with pooled variance
        ((R−1)·variance + within_df·within)/(R−1+within_df), which needs far fewer seeds to reach
        the levels of a corrected check.
        """
        df = self.seeds - 1
        gap = self.mean - np.asarray(value)
        own = _t_tail(gap, self.variance / self.seeds, df)
        if self.within_df < 1:
            return own
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.variance > 0, self.variance / self.within, 0.0)
        total = df + self.within_df
        pooled = (df * self.variance + self.within_df * self.within) / total
        shared = _t_tail(gap, pooled / self.seeds, total)
        level = POOLED_SEED_LEVEL if self.seeds >= FEW_SEEDS else POOLED_SEED_LEVEL_FEW
        pool = (fdtrc(df, self.within_df, ratio) > POOLING_LEVEL) & (own < level)
        return np.where(pool, np.minimum(own, shared), own)

    def lower_tail(self, value: ArrayLike = 0.0) -> Array:
        """(S,) one-sided p-value of "mean ≥ value" against "mean < value"."""
        mirrored = SeedMean(-self.mean, self.variance, self.seeds, self.within, self.within_df)
        return mirrored.upper_tail(-np.asarray(value))


def seed_mean(data: Array, direction: Array, *nuisance: Array) -> SeedMean:
    """Mean over seeds of ⟨data_r, direction⟩, with the residual variance along the axis.

    data (…, R, p) log values; direction (…, p) and nuisance (…, p) span, with the constant, what
    the model fits along the axis; the direction must be orthogonal to the others. `within` is
    the mean square of each seed's departure from the mean curve outside that span, scaled to one
    unit of ⟨·, direction⟩, so a bend shared by all seeds does not inflate it.
    """
    seeds, points = data.shape[-2:]
    number = np.einsum("...rp,...p->...r", data, direction)
    mean = number.mean(axis=-1)
    spread = number - mean[..., None]
    away = data - data.mean(axis=-2, keepdims=True)
    away = away - away.mean(axis=-1, keepdims=True)
    size = (direction**2).sum(axis=-1)
    rest = (away**2).sum(axis=(-2, -1)) - (spread**2).sum(axis=-1) / size
    for other in nuisance:
        along = np.einsum("...rp,...p->...r", away, other)
        rest = rest - (along**2).sum(axis=-1) / (other**2).sum(axis=-1)
    df = (seeds - 1) * (points - 2 - len(nuisance))
    within = np.maximum(rest, 0.0) * size / df if df > 0 else np.zeros_like(mean)
    variance = (spread**2).sum(axis=-1) / (seeds - 1)
    return SeedMean(mean, variance, seeds, within, df)


def t_quantile(seeds: int, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t with seeds − 1 degrees of freedom."""
    return float(stdtrit(seeds - 1, 0.5 + confidence / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values: comparing each with α bounds the family error by α."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(v) for v in adjusted]


def _t_tail(gap: Array, variance: Array, df: int) -> Array:
    """P(t_df > gap/√variance); identical seeds (variance 0) decide by the sign alone."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(gap == 0, 0.0, gap / np.sqrt(variance))
    return np.asarray(stdtr(df, -t), dtype=float)
