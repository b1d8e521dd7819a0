"""What one look at growing data may spend of the error rates of its check.

A group-sequential design: the looks are planned before the first, each with a share of both error
rates, and the shares sum to one. By the union bound the chance of an error at any look is then at
most the sum of what the looks spend, whatever the dependence between them, which is strong: later
looks contain the data of earlier ones. The share of a look is that of the seeds new at it (the
linear spending function of Kim and DeMets, Biometrika 74, 1987).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from ntkbound.stats.margins import CONFIDENCE, LOOK_FACTOR, MIN_SEEDS


@dataclass(frozen=True)
class Levels:
    """The error rates of one look: ``share`` (0, 1] of those of a check that is made once."""

    share: float = 1.0

    @property
    def confidence(self) -> float:
        """Of its intervals: 1 − share · (1 − `CONFIDENCE`)."""
        return 1 - self.share * (1 - CONFIDENCE)

    def corrected(self, p: float) -> float:
        """A p-value as it counts against `CHECK_LEVEL`: p/share."""
        return min(1.0, p / self.share)


ONCE = Levels()


@dataclass(frozen=True)
class Look:
    """One look of a plan: after how many seeds, and what it may spend."""

    seeds: int
    levels: Levels

    def as_json(self) -> dict[str, Any]:
        return {"seeds": self.seeds, "share": self.levels.share}


def plan_looks(first: int, last: int) -> tuple[Look, ...]:
    """Looks from ``first`` seeds to ``last`` in a geometric progression, by `LOOK_FACTOR` as nearly
    as whole steps allow; none below `MIN_SEEDS`, where nothing can be judged, unless it is the
    last.

    Look k of n_1 < … < n_K seeds may spend the share (n_k − n_{k−1})/n_K, with n_0 = 0.
    """
    first = min(max(first, MIN_SEEDS), last)
    steps = max(1, round(math.log(last / first) / math.log(LOOK_FACTOR))) if first < last else 0
    seeds = [round(first * (last / first) ** (step / steps)) for step in range(1, steps + 1)]
    seeds = [first, *seeds]
    new = [after - before for before, after in itertools.pairwise([0, *seeds])]
    return tuple(Look(n, Levels(k / last)) for n, k in zip(seeds, new, strict=True))
