"""A handful of numbers, one per seed: their mean, its interval and one-sided tests."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtr

from ntkbound.stats.columns import Array
from ntkbound.stats.inference import t_quantile
from ntkbound.stats.margins import CONFIDENCE, MIN_SEEDS, RARELY
from ntkbound.stats.words import Advice


@dataclass(frozen=True, eq=False)
class Spread:
    """Numbers ``values`` (R,) of independent seeds; ``exact``: they have no randomness by
    declaration, so that one of them says it all; ``confidence``: of the interval."""

    values: Array
    exact: bool = False
    confidence: float = CONFIDENCE

    @property
    def mean(self) -> float:
        return float(self.values.mean()) if len(self.values) else np.nan

    @cached_property
    def alike(self) -> bool:
        """Whether all are equal to the bit."""
        return len(self.values) > 0 and bool((self.values == self.values[0]).all())

    @property
    def half(self) -> float:
        """t_{R−1} · sd/√R; 0 where all are equal, infinite for one value that is not exact."""
        if self.exact or (self.alike and len(self.values) > 1):
            return 0.0
        if len(self.values) < 2:
            return np.inf
        seeds = len(self.values)
        return float(t_quantile(seeds, self.confidence) * self.values.std(ddof=1) / np.sqrt(seeds))

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean."""
        return self.mean - self.half, self.mean + self.half

    def above(self, value: float) -> float:
        """p-value of "the mean is at most this"."""
        gap = self.mean - value
        if self.exact:
            return 0.0 if gap > 0 else 1.0
        seeds = len(self.values)
        if self.alike:
            return RARELY**seeds if gap > 0 else 1.0
        error = float(self.values.std(ddof=1)) / np.sqrt(seeds)
        return float(stdtr(seeds - 1, -gap / error))

    def below(self, value: float) -> float:
        """p-value of "the mean is at least this"."""
        return Spread(-self.values, self.exact).above(-value)


def agreeing(spread: Spread) -> str:
    """What n equal runs say of the others, in words; empty where they differ."""
    if spread.exact or not spread.alike:
        return ""
    return ", " + all_runs(len(spread.values), spread.confidence)


def all_runs(runs: int, confidence: float) -> str:
    """ "in all 5 runs; at least 48 % of runs at 97.5 %"."""
    share = ((1 - confidence) / 2) ** (1 / runs)
    return f"in all {runs} runs; at least {100 * share:.0f} % of runs at {_one_sided(confidence)}"


def no_runs(runs: int, confidence: float) -> str:
    """ "in none of 20 runs; at most 17 % of runs at 97.5 %"."""
    share = 1 - ((1 - confidence) / 2) ** (1 / runs)
    return (
        f"in none of {runs} runs; at most {100 * share:.0f} % of runs at {_one_sided(confidence)}"
    )


def _one_sided(confidence: float) -> str:
    return f"{50 * (1 + confidence):.4g} %"


def spread_lacking(spread: Spread, undrawn: Collection[str]) -> Advice | None:
    """Why nothing can be concluded of these numbers."""
    seeds = len(spread.values)
    if spread.exact and seeds:
        return None
    if seeds < MIN_SEEDS:
        told = f"{seeds} seed{'s' * (seeds != 1)}: needs at least {MIN_SEEDS}"
        return Advice(told, "seeds")
    if undrawn:
        names = ", ".join(undrawn)
        told = f"{names}: needs at least {MIN_SEEDS} values, the claim is about its randomness"
        return Advice(told)
    return None
