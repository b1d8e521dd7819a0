"""Planted laws are recovered; units and order change nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.stats import (
    Series,
    companions,
    compare_floor,
    compare_growth,
    fit_floors,
    fit_power_laws,
    observe,
)
from ntkbound.stats.inference import holm, t_quantile
from tests.support.calibration import Law, draw
from tests.support.synthetic import records

X = 2.0 ** np.arange(4, 10)


def series(values: np.ndarray, points: np.ndarray = X) -> Series:
    names = tuple(str(i) for i in range(len(values)))
    return Series("m", "term", "probe", "max", (), points, values, names)


@pytest.mark.parametrize("b", [-2.0, -1.0, -0.5, 0.0, 0.5])
def test_exact_power_law(b):
    (fit,) = fit_power_laws([series(np.outer([1.0, 2.0, 0.3], X**b))])
    assert fit.slope == pytest.approx(b, abs=1e-12)
    assert fit.high - fit.low < 1e-10
    assert fit.seed_slopes == pytest.approx([b] * 3)


@pytest.mark.parametrize("b", [-2.0, -1.0, -0.5, 1.0])
@pytest.mark.parametrize("kappa", [0.01, 0.2])
def test_exact_floor_shared_or_scaled(b, kappa):
    power = (X / X[0]) ** b
    for values in (
        np.outer([1.0, 2.0, 0.3], power + kappa),
        np.outer([1.0, 1.1, 0.9], power) + kappa,
    ):
        (fit,) = fit_floors([series(values * 1.0)])
        assert fit.slope == pytest.approx(b, abs=2e-3)
        assert fit.low - 2e-3 <= b <= fit.high + 2e-3
    (pure,) = fit_power_laws([series(values)])
    assert abs(pure.slope) < abs(b)  # the pure law is misled: the test above is not vacuous


def test_noisy_laws_lie_in_their_intervals():
    rng = np.random.default_rng(1)
    for b in (-1.0, -0.5):
        pure = fit_power_laws(draw(rng, 200, Law(b, 6, 5, 0.1)))
        floor = fit_floors(draw(rng, 200, Law(b, 6, 5, 0.1, kappa=0.1)))
        for fits in (pure, floor):
            assert 0.9 <= np.mean([f.low <= b <= f.high for f in fits]) <= 0.99


def test_interval_is_students_t_over_seed_slopes():
    (one,) = draw(np.random.default_rng(0), 1, Law(-0.5, 6, 5, 0.1))
    (fit,) = fit_power_laws([one])
    slopes = [np.polyfit(np.log(one.points), np.log(row), 1)[0] for row in one.values]
    half = t_quantile(5) * np.std(slopes, ddof=1) / np.sqrt(5)
    assert fit.seed_slopes == pytest.approx(slopes)
    assert (fit.low, fit.high) == pytest.approx((np.mean(slopes) - half, np.mean(slopes) + half))


def test_flat_values_leave_a_floor_exponent_open():
    (one,) = draw(np.random.default_rng(0), 1, Law(0.0, 6, 5, 0.1, kappa=1.0))
    (fit,) = fit_floors([one])
    assert fit.low == -np.inf


def test_too_few_for_a_fit():
    three = series(np.ones((3, 3)), X[:3])
    assert np.isnan(fit_floors([three])[0].slope)
    alone = fit_power_laws([series(np.ones((1, 6)))])[0]
    assert alone.slope == 0 and np.isnan(alone.low) and alone.upper_tail(-1) == 1.0


@settings(max_examples=25, deadline=None)
@given(unit=st.floats(1e-6, 1e6), stretch=st.floats(1e-3, 1e3), stream=st.integers(0, 50))
def test_units_change_no_slope(unit, stretch, stream):
    (one,) = draw(np.random.default_rng(stream), 1, Law(-0.7, 6, 4, 0.05, kappa=0.05))
    other = series(one.values * unit, one.points * stretch)
    for fit in (fit_power_laws, fit_floors):
        a, b = fit([one])[0], fit([other])[0]
        assert (a.slope, a.low, a.high) == pytest.approx((b.slope, b.low, b.high), abs=5e-4)
    a, b = compare_floor([one, other])
    assert a.advantage == pytest.approx(b.advantage, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(30)))
def test_order_of_records_changes_no_fit(order):
    runs = records(lambda x: x**-0.5)
    one, other = (fit_power_laws(observe(r))[0] for r in (runs, [runs[i] for i in order]))
    assert (one.slope, one.low, one.high) == (other.slope, other.low, other.high)


def test_aicc_tells_the_forms_apart():
    rng = np.random.default_rng(2)
    pure = compare_floor(draw(rng, 300, Law(-1.0, 6, 5, 0.1)))
    floor = compare_floor(draw(rng, 300, Law(-1.0, 6, 5, 0.1, kappa=0.1)))
    assert np.mean([c.advantage > 6 for c in pure]) < 0.02
    assert np.mean([c.advantage > 6 and c.shift > 0.05 for c in floor]) > 0.95
    assert np.median([c.exponent for c in floor]) == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize(
    ("best", "law"),
    [("power", lambda x: x**0.5), ("log", np.log), ("exponential", lambda x: np.exp(x / 100))],
)
def test_kinds_of_growth(best, law):
    rng = np.random.default_rng(0)
    found = compare_growth(series(law(X) * np.exp(0.02 * rng.normal(size=(5, 6)))))
    assert found.best == best
    assert sorted([found.power, found.log, found.exponential])[1] > 6


def test_companions():
    (one,) = draw(np.random.default_rng(0), 1, Law(-0.5, 6, 5, 0.05))
    found = companions(one)
    assert found == companions(one)
    assert found.bootstrap_low < -0.5 < found.bootstrap_high
    assert found.theil_sen == pytest.approx(-0.5, abs=0.05)
    assert found.curvature_p > 0.01 and len(found.local_slopes) == 5
    bent = companions(series(one.values + 0.3, one.points))
    assert bent.curvature > 0 and bent.curvature_p < 0.01
    assert bent.local_slopes[0] < bent.local_slopes[-1]


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
