"""Grouping: what is held equal, what is refused, what is left out."""

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.stats import NoiseFloor, observe
from tests.support.synthetic import WIDTHS, records, set_value, value


def law(x: float) -> float:
    return float(x) ** -0.5


def test_one_series_with_every_seed_at_every_point():
    (series,) = observe(records(law, seeds=4))
    assert (series.axis, series.term, series.probe, series.statistic) == (
        "m",
        "term",
        "probe",
        "max",
    )
    assert series.values.shape == (4, 6)
    assert series.points.tolist() == list(WIDTHS)
    assert series.seeds == ("0", "1", "2", "3")
    assert series.arm == () and series.notes == () and series.excluded == 0


def test_arms_stay_apart():
    both = records(law, n=32) + records(lambda x: 9 * law(x), n=64)
    first, second = observe(both, axes=["m"])
    assert {first.arm, second.arm} == {(("n", "32"),), (("n", "64"),)}
    assert {s.axis for s in observe(both)} == {"m", "n"}


def test_derived_step_size_does_not_split_groups_and_a_chosen_one_does():
    runs = records(law, axis="tau", points=(100, 200, 400, 800))
    assert len({run["config"]["eta"] for run in runs}) == 4
    (series,) = observe(runs)
    assert series.values.shape == (5, 4)
    for run in runs:
        run["config"]["eta"] = 0.1 if run["config"]["seed"] < 3 else 0.2
    assert [s.arm for s in observe(runs)] == [(("eta", "0.1"),), (("eta", "0.2"),)]


def test_seeds_derived_from_the_axis_are_no_arms():
    runs = records(law)
    for run in runs:
        run["config"]["init_seed"] = hash((run["config"]["seed"], run["config"]["m"]))
    assert observe(runs)[0].values.shape == (5, 6)


def test_other_seed_fields_separate_units_where_seed_does_not():
    runs = records(law, data_seed=0) + records(law, data_seed=1, stream=1)
    (series,) = observe(runs)
    assert len(series.seeds) == 10
    assert series.seeds[0] == "0/0"


def test_duplicates_are_refused_by_name():
    runs = records(law)
    runs.append({**runs[3], "id": "again"})
    with pytest.raises(InputError, match=r"duplicate runs again and m128-s0: same m=128, seed=0"):
        observe(runs)


def test_missing_seeds_are_refused_by_name_or_reduced_with_a_note():
    runs = [r for r in records(law) if not (r["config"]["m"] == 64 and r["config"]["seed"] > 3)]
    with pytest.raises(InputError, match="m=64 lacks seed 4"):
        observe(runs, missing_seeds="refuse")
    (series,) = observe(runs)
    assert series.seeds == ("0", "1", "2", "3")
    assert series.notes == ("reduced to the 4 seeds common to all points: m=64 lacks seed 4",)


def test_points_at_the_noise_floor_are_left_out_with_a_count():
    runs = records(lambda x: 1e-12 if x < 200 else 1e-15)
    (series,) = observe(runs)
    assert series.excluded == 10
    assert series.points.tolist() == [16, 32, 64, 128]
    assert "10 values at or below the noise floor 1.4e-14: left out m=256, 512" in series.notes[0]
    set_value(runs[0], 0.0)  # not positive: its point goes, for every seed
    assert observe(runs)[0].points.tolist() == [32, 64, 128]


def test_a_seed_without_a_number_is_left_out():
    runs = records(law)
    set_value(runs[0], None)
    (series,) = observe(runs)
    assert series.seeds == ("1", "2", "3", "4") and "seed 0" in series.notes[0]


def test_noise_floor_rule():
    floor = NoiseFloor()
    assert floor.value("linearization", "max", "float32") == 64 * 2.0**-52
    assert floor.value("optimization", "min_rmse", "float32") == 64 * 2.0**-23
    assert floor.value("optimization", "min_mse", "float32") == (64 * 2.0**-23) ** 2
    assert NoiseFloor(factor=1, scale=2).value("x", "max", "float64") == 2 * 2.0**-52


@pytest.mark.parametrize("blocks", [True, False])
def test_radii_as_mapping_or_number_and_their_ratio(blocks):
    radii = (0.5, 1.0, 2.0)
    runs = []
    for r in radii:
        rho = {"c": r, "U": r, "W": r} if blocks else r
        runs += records(lambda x, r=r: r**-0.7, points=(16,), rho=rho, nu={"c": 2, "U": 2.0})
    for i, run in enumerate(runs):
        run["id"] = str(i)
    (series,) = observe(runs)
    assert series.axis == "rho" and series.points.tolist() == list(radii)
    (ratio,) = observe(runs, axes=["rho/nu"])
    assert ratio.points.tolist() == [0.25, 0.5, 1.0]


def test_order_of_records_changes_nothing():
    runs = records(law, n=32) + records(law, n=64, stream=3)
    shuffled = [runs[i] for i in np.random.default_rng(0).permutation(len(runs))]
    for one, other in zip(observe(runs), observe(shuffled), strict=True):
        assert one.arm == other.arm and one.seeds == other.seeds
        assert np.array_equal(one.values, other.values)


def test_nothing_varies_gives_nothing():
    assert observe(records(law, points=(16,))) == ()
    assert observe([]) == ()
    assert value(records(law)[0]) > 0
