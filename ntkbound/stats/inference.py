"""Student's t over seeds, the pooled test, and Holm's correction."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, fdtrc, stdtr, stdtrit

from ntkbound.stats.margins import (
    CHECK_POOLING_LEVEL,
    CONFIDENCE,
    ENOUGH_DF,
    FEW_SEEDS,
    LONE_POOLING_LEVEL,
    LONE_SEED_LEVEL,
    LONE_SEED_LEVEL_FEW,
    POOLED_SEED_LEVEL,
    POOLING_LEVEL,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pooling:
    """Whether slopes vary between seeds, as all claims of a check say together.

    p: of "no slope varies between its seeds"; df: degrees of freedom between seeds, over all
    claims; ratio: mean of variance between seeds over that of the residuals, at least 1, by which
    a pooled variance is inflated; claims: how many have spoken.
    """

    p: float = 1.0
    df: int = 0
    ratio: float = 1.0
    claims: int = 0

    @property
    def varies(self) -> bool:
        return self.p <= CHECK_POOLING_LEVEL

    @property
    def level(self) -> float:
        """Below which a claim's own F-test forbids pooling."""
        return POOLING_LEVEL if self.df >= ENOUGH_DF else LONE_POOLING_LEVEL

    def seed_level(self, seeds: int) -> float:
        """At which the seeds' own t-test must agree with the pooled one."""
        if self.df >= ENOUGH_DF:
            return POOLED_SEED_LEVEL
        return LONE_SEED_LEVEL if seeds >= FEW_SEEDS else LONE_SEED_LEVEL_FEW


ALONE = Pooling()
_LARGE = 1e6  # a ratio of variances beyond any doubt


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

    def half_width(self, confidence: float = CONFIDENCE) -> Array:
        """(S,) t_{R−1} · sd/√R, the half-width of the interval at this confidence."""
        return t_quantile(self.seeds, confidence) * np.sqrt(self.variance / self.seeds)

    def upper_tail(self, value: ArrayLike = 0.0, pooling: Pooling = ALONE) -> Array:
        """(S,) one-sided p-value of "mean ≤ value" against "mean > value".

        The seeds' own t-test; where neither an F-test here nor one over the whole check finds
        slope variance beyond the residuals, and the seeds' own test agrees at
        `pooling.seed_level`, the t-test with pooled variance, which needs far fewer seeds to
        reach the levels of a corrected check.
        """
        df = self.seeds - 1
        gap = self.mean - np.asarray(value)
        own = _t_tail(gap, self.variance / self.seeds, df)
        if self.within_df < 1 or pooling.varies:
            return own
        shared = self.pooled_tail(value, pooling.ratio)
        pool = (self.alike() > pooling.level) & (own < pooling.seed_level(self.seeds))
        return np.where(pool, np.minimum(own, shared), own)

    def lower_tail(self, value: ArrayLike = 0.0, pooling: Pooling = ALONE) -> Array:
        """(S,) one-sided p-value of "mean ≥ value" against "mean < value"."""
        return self.mirrored().upper_tail(-np.asarray(value), pooling)

    def mirrored(self) -> "SeedMean":
        """Of the numbers with the other sign: their upper tail is the lower one of these."""
        return SeedMean(-self.mean, self.variance, self.seeds, self.within, self.within_df)

    def pooled_tail(self, value: ArrayLike = 0.0, ratio: float = 1.0) -> Array:
        """(S,) p-value of "mean ≤ value" with variance ratio·((R−1)·variance + within_df·within)
        / (R−1+within_df): that of seeds which differ by their residuals alone."""
        df = self.seeds - 1
        total = df + self.within_df
        pooled = ratio * (df * self.variance + self.within_df * self.within) / total
        return _t_tail(self.mean - np.asarray(value), pooled / self.seeds, total)

    def alike(self) -> Array:
        """(S,) p-value of the F-test of "the number varies by its residuals alone"."""
        return np.asarray(fdtrc(self.seeds - 1, self.within_df, self._ratio()), dtype=float)

    def excess(self) -> Array:
        """(S,) the F statistic over its mean under that hypothesis, df/(df − 2)."""
        mean = self.within_df / (self.within_df - 2) if self.within_df > 2 else np.inf
        return np.asarray(np.minimum(self._ratio(), _LARGE) / mean)

    def _ratio(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.variance > 0, self.variance / self.within, 0.0)


def pool(means: Sequence[SeedMean]) -> Pooling:
    """What the F-tests of all these say together: −2 Σ log p against χ² of 2 S (Fisher)."""
    means = [one for one in means if one.within_df > 0]
    if not means:
        return ALONE
    p = np.concatenate([one.alike() for one in means])
    df = np.concatenate([np.full(len(one.mean), one.seeds - 1) for one in means])
    excess = np.concatenate([one.excess() for one in means])
    evidence = -2 * np.log(np.maximum(p, np.finfo(float).tiny)).sum()
    ratio = max(1.0, float(np.average(excess, weights=df)))
    return Pooling(float(chdtrc(2 * len(p), evidence)), int(df.sum()), ratio, len(p))


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


@lru_cache(maxsize=256)
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
