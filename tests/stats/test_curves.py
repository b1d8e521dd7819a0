"""An interval of a median, and what a panel says of its fits; the curves are those of figures."""

from __future__ import annotations

import numpy as np
import pytest

from ntkbound.stats.curves import median_interval
from ntkbound.stats.margins import CONFIDENCE


@pytest.mark.parametrize(
    ("seeds", "ends"),
    [(1, (0, 0)), (3, (0, 2)), (5, (0, 4)), (6, (0, 5)), (9, (1, 7)), (10, (1, 8)), (20, (5, 14))],
)
def test_the_order_statistics_that_enclose_a_median(seeds, ends):
    values = np.random.default_rng(0).permutation(seeds).astype(float)
    assert median_interval(values) == ends


@pytest.mark.parametrize("seeds", [6, 9, 10, 25])
@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy", "standard_exponential"])
def test_it_covers_whatever_the_distribution(seeds, draw):
    rng = np.random.default_rng(1)
    median = {"standard_exponential": np.log(2)}.get(draw, 0.0)
    trials = getattr(rng, draw)((4000, seeds))
    ends = np.array([median_interval(one) for one in trials])
    covered = ((ends[:, 0] <= median) & (median <= ends[:, 1])).mean()
    assert covered > CONFIDENCE - 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / len(trials))
