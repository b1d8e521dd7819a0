"""Grouping: what is held equal, what is refused, what is left out."""

from dataclasses import replace

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key, Quantity
from ntkbound.stats import NoiseFloor, config_of, observe, tabulate
from tests.support.synthetic import OTHER, WIDTHS, records, value, with_fields, with_value


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


def test_equal_data_under_two_paths_are_one_group():
    runs = [
        replace(with_fields(run, task=path), data_sha256=content)
        for path, content, own in (
            ("a/data.npz", "same", records(law, seeds=2)),
            ("b/copy.npz", "same", records(law, seeds=4)[12:]),
            ("c/data.npz", "other", records(law, seeds=2)),
        )
        for run in own
    ]
    arms = {dict(series.arm)["task"]: series.seeds for series in observe(runs, axes=["m"])}
    assert arms == {"a/data.npz": ("0", "1", "2", "3"), "c/data.npz": ("0", "1")}


def test_fields_that_follow_from_others_of_an_arm_are_not_told():
    one = [with_fields(run, omega=None, steps=15) for run in records(law, method="gd")]
    others = [
        with_fields(run, omega=omega, steps=2)
        for omega in (0.5, 1.5)
        for run in records(law, method="sgd")
    ]
    arms = {series.arm for series in observe(one + others, axes=["m"])}
    assert arms == {
        (("method", "gd"), ("omega", "None")),
        *((("method", "sgd"), ("omega", omega)) for omega in ("0.5", "1.5")),
    }
    both = [*one, *(with_fields(run, steps=2) for run in one)]
    found = {series.arm for series in observe(both, axes=["m"])}
    assert found == {(("steps", "15"),), (("steps", "2"),)}, "what separates arms stays"


def test_derived_step_size_does_not_split_groups_and_a_chosen_one_does():
    runs = records(law, axis="tau", points=(100, 200, 400, 800))
    assert len({run.config["eta"] for run in runs}) == 4
    (series,) = observe(runs)
    assert series.values.shape == (5, 4)
    runs = [with_fields(run, eta=0.1 if run.config["seed"] < 3 else 0.2) for run in runs]
    assert [s.arm for s in observe(runs)] == [(("eta", "0.1"),), (("eta", "0.2"),)]


def test_seeds_derived_from_the_axis_are_no_arms():
    runs = [
        with_fields(run, init_seed=hash((run.config["seed"], run.config["m"])))
        for run in records(law)
    ]
    assert observe(runs)[0].values.shape == (5, 6)


def test_other_seed_fields_separate_units_where_seed_does_not():
    runs = records(law, data_seed=0) + records(law, data_seed=1, stream=1)
    (series,) = observe(runs)
    assert len(series.seeds) == 10
    assert series.seeds[0] == "0/0"


def test_duplicates_are_refused_by_name():
    runs = records(law)
    runs.append(replace(runs[3], id="again"))
    with pytest.raises(InputError, match=r"duplicate runs again and m128-s0: same m=128, seed=0"):
        observe(runs)


def test_missing_seeds_are_refused_by_name_or_reduced_with_a_note():
    runs = [r for r in records(law) if not (r.config["m"] == 64 and r.config["seed"] > 3)]
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
    runs[0] = with_value(runs[0], 0.0)  # not positive: its point goes, for every seed
    assert observe(runs)[0].points.tolist() == [32, 64, 128]


def test_a_seed_without_a_number_is_left_out():
    runs = records(law)
    runs[0] = with_value(runs[0], None)
    (series,) = observe(runs)
    assert series.seeds == ("1", "2", "3", "4") and "seed 0" in series.notes[0]


def test_noise_floor_rule():
    floor = NoiseFloor()
    assert floor.value(Quantity("a", "b", "c"), "float32") == 64 * 2.0**-52
    assert floor.value(Quantity("a", "b", "c", trained=True), "float32") == 64 * 2.0**-23
    square = Quantity("a", "b", "c", trained=True, noise="square")
    assert floor.value(square, "float32") == (64 * 2.0**-23) ** 2
    assert NoiseFloor(1, 2).value(Quantity("a", "b", "c"), "float64") == 2 * 2.0**-52


@pytest.mark.parametrize(
    ("key", "floor"),
    [
        (("optimization", "training", "rmse"), 64 * 2.0**-23),
        (("optimization", "training", "loss"), (64 * 2.0**-23) ** 2),
        (("gradient", "training", "square"), (64 * 2.0**-52) ** 2),
        (("gradient", "training", "mse"), 64 * 2.0**-52),  # its name declares nothing
    ],
)
def test_the_noise_floor_is_that_of_the_declared_quantity(key, floor):
    term, probe, statistic = key
    runs = [
        replace(run, terms={term: {probe: {statistic: floor * (0.9 if at == 0 else 2)}}})
        for run in records(law)
        for at in [WIDTHS.index(run.config["m"])]
    ]
    (series,) = observe(runs, axes=["m"])
    assert series.excluded == 5 and series.points.tolist() == list(WIDTHS[1:])


@pytest.mark.parametrize("blocks", [True, False])
def test_radii_as_mapping_or_number_and_their_ratio(blocks):
    radii = (0.5, 1.0, 2.0)
    runs = []
    for r in radii:
        rho = {"c": r, "U": r, "W": r} if blocks else r
        runs += records(lambda x, r=r: r**-0.7, points=(16,), rho=rho, nu={"c": 2, "U": 2.0})
    runs = [replace(run, id=str(i)) for i, run in enumerate(runs)]
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


def test_any_two_fields_make_an_axis():
    runs = [run for n in (8, 16, 32) for run in records(law, points=(64,), n=n, T=4)]
    (series,) = observe(runs, axes=["n/T"])
    assert series.points.tolist() == [2, 4, 8] and series.arm == ()
    assert observe(runs, axes=["T/d"]) == ()
    (inverse,) = observe(runs, axes=["T/n"])
    assert inverse.points.tolist() == [0.125, 0.25, 0.5]


def test_theorems_never_share_a_line():
    """Each with its own seeds: another theorem's ``data_seed`` separates arms."""
    own = [with_fields(run, data_seed=run.config["seed"]) for run in records(law)]
    others = [replace(run, id=f"o{i}", theorem=OTHER.name) for i, run in enumerate(records(law))]
    both = observe([*own, *others])
    assert [s.arm for s in both] == [(("theorem", "planted"),), (("theorem", "other"),)]
    assert all(s.values.shape == (5, 6) for s in both)
    assert [s.runs.min() for s in both] == [0, 30]
    split = observe([replace(run, theorem=OTHER.name) for run in own])
    assert [s.arm for s in split] == [(("data_seed", str(seed)),) for seed in range(5)]


def test_an_unknown_theorem_declares_nothing():
    runs = [replace(run, theorem="lost") for run in records(law)]
    assert observe(runs) == ()
    (series,) = observe(runs, axes=["m"])
    assert series.values.shape == (5, 6)
    assert config_of(runs[0])["eta"] == 0.05


def test_numbers_that_are_no_records():
    key = Key("a", "b", "c")
    rows = [
        ({"n": n, "seed": seed}, {key: 1e-10 * (1 + seed) / n})
        for n in (2, 4, 8)
        for seed in range(3)
    ]
    (series,) = observe(tabulate(rows), axes=["n"])
    assert series.key == key and series.values.shape == (3, 3)


def test_config_of_names_what_follows():
    run = records(law, rho={"c": 2.0, "U": 2}, nu={"c": 1, "U": 2})[0]
    config = config_of(run)
    assert config["rho"] == 2 and config["nu"] == {"c": 1, "U": 2}
    assert config["eta"] == "eta_scale/sqrt(tau)"
