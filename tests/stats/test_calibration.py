"""A short calibration; the full table comes from `python -m tests.support.calibration`."""

import numpy as np
import pytest

from ntkbound.stats import bends
from ntkbound.stats.forms import interval, rate
from ntkbound.stats.inference import Pooling
from tests.support import calibration
from tests.support.calibration import (
    Law,
    accepted_share,
    alone,
    claim,
    coverage,
    draw,
    edge_alarms,
    too_flat,
    true_checks,
)


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


# Acceptance.


@pytest.mark.parametrize(
    ("seeds", "noise", "spread"), [(3, 0.1, 0.0), (10, 0.5, 0.0), (5, 0.3, 0.13)]
)
def test_a_slope_too_flat_by_0_15_is_not_accepted(seeds, noise, spread, monkeypatch):
    law = Law(-0.35, 6, seeds, noise, slope_sd=spread)
    found = alone(np.random.default_rng(7), 1000, law, claim(-0.5))
    assert accepted_share(found) <= 2.5 + 400 * np.sqrt(0.025 * 0.975 / 1000)
    monkeypatch.setattr(interval, "RATE_MARGIN", 0.25)  # as it was
    loose = alone(np.random.default_rng(7), 1000, law, claim(-0.5))
    assert accepted_share(loose) > 9


@pytest.mark.parametrize("b", [-0.35, -0.65])
@pytest.mark.parametrize(("seeds", "noise"), [(3, 0.02), (5, 0.3)])
def test_a_slope_off_by_0_15_on_either_side_is_not_tight(b, seeds, noise):
    law = Law(b, 6, seeds, noise)
    found = alone(np.random.default_rng(14), 1000, law, claim(-0.5, kind="tight"))
    assert accepted_share(found) <= 2.5 + 400 * np.sqrt(0.025 * 0.975 / 1000)


def test_a_true_claim_is_accepted_once_there_are_seeds_enough():
    rng = np.random.default_rng(8)
    few, enough = (
        alone(rng, 500, Law(-0.5, 5, seeds, 0.1), claim(-0.5, kind="tight")) for seeds in (3, 5)
    )
    assert 18 <= 100 * few["inconclusive"] / 500 <= 40
    assert enough["inconclusive"] <= 15


def test_a_curve_that_bends_towards_its_claim_is_not_violated(monkeypatch):
    law = Law(-0.5, 6, 5, 0.05, shift=2.0)  # 1/√(x + 4) on 2…64
    found = alone(np.random.default_rng(9), 200, law, claim(-0.5))
    assert found["violated"] <= 2 and accepted_share(found) == 0
    monkeypatch.setattr(rate, "bend", lambda x, gap: None)
    assert alone(np.random.default_rng(9), 200, law, claim(-0.5))["violated"] > 150


def test_where_noise_hides_the_bend_the_end_of_the_range_is_asked(monkeypatch):
    """The curve has reached its claim there, which a straight line 0.15 too flat has not."""
    hidden, flat = Law(-0.5, 6, 10, 0.3, shift=2.0), Law(-0.35, 6, 10, 0.2)

    def violated(law: Law) -> float:
        return alone(np.random.default_rng(13), 400, law, claim(-0.5))["violated"] / 400

    assert violated(hidden) <= 0.32 and violated(flat) >= 0.85
    monkeypatch.setattr(bends, "END_LEVEL", 1.0)  # not asked
    assert violated(hidden) >= 0.42


@pytest.mark.parametrize("noise", [0.01, 0.02])
def test_an_undeclared_floor_is_not_accepted_where_noise_lets_it_be_seen(noise):
    law = Law(-0.5, 6, 5, noise, kappa=0.28 / 0.72 * 32**-0.5)
    assert accepted_share(alone(np.random.default_rng(10), 200, law, claim(-0.5))) <= 1


# Slopes that differ between seeds.


@pytest.mark.parametrize(("points", "seeds", "noise"), [(6, 3, 0.1), (6, 5, 0.1)])
def test_no_false_alarms_where_slopes_differ_between_seeds(points, seeds, noise, monkeypatch):
    law = Law(0.0, points, seeds, noise, slope_sd=0.13)
    assert edge_alarms(np.random.default_rng(11), 2000, law) <= 1.0
    monkeypatch.setattr(calibration, "pool", lambda means: Pooling(df=99))
    assert edge_alarms(np.random.default_rng(11), 2000, law) > 1.5


def test_slopes_that_differ_are_told():
    rng = np.random.default_rng(12)
    for spread, told in ((0.0, False), (0.3, True)):
        series = draw(rng, 15, Law(-0.5, 6, 5, 0.1, slope_sd=spread))
        cases = rate.prepare([(claim(-0.5, kind="tight"), one) for one in series])
        reasons = [rate.conclude(case, 0.001).reason for case in cases]
        assert all(("slopes vary between seeds" in reason) == told for reason in reasons)
