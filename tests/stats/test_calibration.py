"""A short calibration; the full table comes from `python -m tests.support.calibration`."""

import numpy as np
import pytest

from tests.support.calibration import Law, coverage, draw, too_flat, true_checks


def within(share: float, trials: int, low: float, high: float) -> bool:
    """Whether a share lies in [low, high] up to four standard errors of the simulation."""
    error = 4 * np.sqrt(0.05 * 0.95 / trials)
    return low - error <= share <= high + error


@pytest.mark.parametrize(
    ("b", "points", "seeds", "noise"), [(-2.0, 8, 12, 0.02), (-0.5, 4, 3, 0.3), (0.0, 6, 5, 0.1)]
)
def test_coverage_of_the_pure_law(b, points, seeds, noise):
    series = draw(np.random.default_rng(3), 2000, Law(b, points, seeds, noise, slope_sd=0.1))
    assert within(coverage(series, b, False)[0], 2000, 0.94, 0.96)


@pytest.mark.parametrize(
    ("b", "points", "seeds", "noise", "kappa", "shared"),
    [(-1.0, 6, 5, 0.1, 0.1, False), (-0.5, 4, 3, 0.3, 0.1, False), (-2.0, 6, 12, 0.02, 0.1, True)],
)
def test_coverage_with_a_floor(b, points, seeds, noise, kappa, shared):
    series = draw(np.random.default_rng(4), 300, Law(b, points, seeds, noise, kappa, shared))
    assert within(coverage(series, b, True)[0], 300, 0.93, 0.97)


def test_false_alarms_of_a_check_of_15_true_claims():
    found = true_checks(np.random.default_rng(5), 60, Law(0.0, 6, 5, 0.1))
    assert sum("violated" in check for check in found) <= 3  # 1 %: P(more) = 0.003


def test_power_for_a_slope_too_flat_by_0_15():
    found = too_flat(np.random.default_rng(6), 100, Law(0.0, 6, 5, 0.1))
    assert sum(check[0] == "violated" for check in found) >= 90  # 96 %: P(fewer) = 0.002
