"""What changed between the same runs made twice: planted changes are found, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Bound, check
from ntkbound.core.quantity import Key, Quantity
from ntkbound.core.record import Record
from ntkbound.core.tolerance import REPEATED
from ntkbound.stats import compare_records, compare_tables, tabulate
from ntkbound.stats.moved import FEWEST_SEEDS
from tests.support.synthetic import KEY, claim, records, value, with_fields, with_value

QUANTITY = Quantity(*KEY)


@pytest.fixture
def old() -> list[Record]:
    return records(lambda m: m**-0.75)


def scaled(rows, factor):
    return [with_value(row, value(row) * factor) for row in rows]


def compared(old, new, *claims, **options):
    return compare_records(old, new, list(claims), **options)


def field(changes, name):
    (found,) = [one for one in changes.fields if one.field == name]
    return found


def bounded(row, *values, delta=0.0):
    rows = [check(QUANTITY, value(row), Bound(bound, delta=delta)) for bound in values]
    return replace(row, checks=tuple(rows))


def test_equal_runs_have_not_changed(old):
    found = compared(old, old, claim())
    assert not found.found
    assert (found.runs, len(found.numbers), found.moved, found.other_bits) == (30, 1, [], [])


def test_runs_are_matched_by_config_whatever_their_ids_order_and_version(old):
    new = [replace(row, id=f"other-{i}", version=2) for i, row in enumerate(reversed(old))]
    found = compared(old, new, claim())
    assert found.runs == 30
    assert not found.found
    version = field(found, "version")
    assert (version.values, version.counts) == (((1, 2),), False)


def test_a_shifted_level_is_found_though_the_slope_stays(old):
    found = compared(old, scaled(old, 1.02), claim())
    (moved,) = found.moved
    assert found.verdicts == ()
    assert (moved.key, moved.runs, moved.changed) == (KEY, 30, 30)
    assert moved.ratio == pytest.approx(1.02)
    assert [arm.changed for arm in moved.arms] == [5] * 6
    assert moved.drift.found
    assert moved.drift.shift == pytest.approx(0.02 / 1.01)


def test_where_it_changed_is_told(old):
    new = [row if row.config["m"] != 64 else with_value(row, 2 * value(row)) for row in old]
    (moved,) = compared(old, new).moved
    assert {arm.arm: arm.changed for arm in moved.arms if arm.changed} == {(("m", "64"),): 5}
    assert (moved.changed, moved.ratio) == (5, 2.0)
    assert moved.largest.new == 2 * moved.largest.old
    assert moved.largest.run in {row.id for row in old if row.config["m"] == 64}


def jittered(rows, factor, spread, stream):
    rng = np.random.default_rng(stream)
    return [with_value(r, float(value(r) * factor * np.exp(rng.normal(0, spread)))) for r in rows]


def test_a_drift_below_the_tolerance_is_found_and_noise_is_not():
    old = records(lambda m: m**-0.75, seeds=8)
    shifted = compared(old, jittered(old, 1.05, 0.05, 1), tolerance=0.5)
    (moved,) = shifted.moved
    assert moved.changed == 0
    assert moved.drift.found
    assert moved.drift.low < 0.05 < moved.drift.high
    noise = compared(old, jittered(old, 1.0, 0.05, 1), tolerance=0.5)
    assert not noise.found
    assert [one.key for one in noise.other_bits] == [KEY]


def noisy(rng, factor):
    """Ten statistics of 5 seeds and 4 arms with 2 % noise, around `factor`."""
    keys = [Key("term", "probe", f"s{k}") for k in range(10)]
    numbers = factor * np.exp(rng.normal(0, 0.02, (5, 4, len(keys))))
    return tabulate(
        ({"n": n, "seed": seed}, dict(zip(keys, row, strict=True)))
        for seed, rows in enumerate(numbers.tolist())
        for n, row in enumerate(rows)
    )


def test_drift_alarms_are_false_in_at_most_one_per_cent_of_comparisons():
    rng = np.random.default_rng(5)

    def drifts(factor):
        return len(compare_tables(noisy(rng, 1.0), noisy(rng, factor), tolerance=1).moved)

    assert sum(drifts(1.0) > 0 for _ in range(200)) <= 4  # P(more | 1 %) = 5 %
    assert sum(drifts(1.05) for _ in range(50)) > 0.5 * 50 * 10


def test_one_seed_has_no_drift(old):
    one = [row for row in old if row.config["seed"] == 0]
    (moved,) = compared(one, scaled(one, 1.02)).moved
    assert moved.drift is None
    two = [row for row in old if row.config["seed"] < FEWEST_SEEDS]
    (moved,) = compared(two, scaled(two, 1.02)).moved
    assert moved.drift.seeds == FEWEST_SEEDS


def test_seeds_are_the_unit_of_a_drift_whatever_the_runs_of_each(old):
    rows = [with_fields(row, init_seed=init) for init in (0, 1) for row in old]
    new = jittered(rows, 1.05, 0.01, 3)
    (moved,) = compared(rows, new).moved
    assert moved.drift.seeds == 5


@pytest.mark.parametrize(("tolerance", "changed"), [(0.0, 30), (1e-3, 30), (0.03, 0)])
def test_the_tolerance_is_relative(old, tolerance, changed):
    (moved,) = compared(old, scaled(old, 1.02), tolerance=tolerance).moved
    assert moved.changed == changed


@pytest.mark.parametrize("tolerance", [-1e-9, float("nan"), float("inf")])
def test_a_tolerance_is_a_number(old, tolerance):
    with pytest.raises(InputError, match="tolerance"):
        compared(old, old, tolerance=tolerance)


def test_other_bits_within_the_tolerance_are_counted_and_no_change(old):
    found = compared(old, scaled(old, 1 + 1e-12))
    assert not found.found
    (bits,) = found.other_bits
    assert bits.differ == 30
    assert found.as_json()["numbers"][0]["counts"] is False


@pytest.mark.parametrize(
    ("key", "size", "counts"),
    [
        (Key("optimization", "training", "rmse"), 1e-15, False),
        (Key("optimization", "training", "rmse"), 1e-12, True),
        (Key("gradient", "training", "square"), 1e-29, False),
        (Key("gradient", "training", "square"), 1e-15, True),
    ],
    ids=str,
)
def test_rounding_of_a_quantity_is_no_change(old, key, size, counts):
    def of(row, number):
        return replace(row, terms={key.term: {key.probe: {key.statistic: number}}})

    sides = [[of(row, factor * size) for row in old] for factor in (1, 3)]
    found = compared(*sides)
    assert found.found is counts
    assert found.numbers[0].differ == 30


@pytest.mark.parametrize(("statistic", "found"), [("rmse", False), ("other", True)])
def test_a_mean_shift_of_the_rounding_of_the_dtype_is_no_drift_of_what_was_trained(
    old, statistic, found
):
    def of(row, factor):
        terms = {"optimization": {"training": {statistic: factor * value(row)}}}
        return replace(row, terms=terms)

    sides = [[of(row, factor) for row in old] for factor in (1, 1 + 1e-6)]
    assert compared(*sides, tolerance=1).found is found


def test_a_claim_that_flips_is_told(old):
    new = records(lambda m: m**-0.2)
    found = compared(old, new, claim())
    (change,) = found.verdicts
    assert (change.old.verdict, change.new.verdict) == ("faster", "violated")
    told = change.as_json()
    assert (told["kind"], told["new"]["verdict"]) == ("claim", "violated")


def test_an_estimate_outside_its_old_interval_is_told_though_the_verdict_stays(old):
    new = records(lambda m: m**-0.95)
    (change,) = compared(old, new, claim()).verdicts
    assert change.old.verdict == change.new.verdict == "faster"
    again = records(lambda m: m**-0.75, stream=2)
    assert compared(old, again, claim()).verdicts == ()


def test_both_sides_are_judged_on_the_runs_they_share(old):
    fewer = [row for row in old if row.config["seed"] < 3]
    found = compared(old, fewer, claim())
    assert found.verdicts == ()
    assert len(found.only_old) == 12


def test_a_config_value_that_changed_everywhere_is_told_and_the_rest_matched(old):
    new = [with_fields(row, n=48) for row in old]
    found = compared(old, new)
    change = field(found, "n")
    assert (change.values, change.runs, change.only) == (((32, 48),), 30, None)
    assert found.found and found.runs == 30
    assert found.moved == []


def test_a_field_of_one_side_is_a_config_change(old):
    new = [with_fields(row, warmup=3) for row in old]
    change = field(compared(old, new), "warmup")
    assert (change.only, change.values) == ("new", ((None, 3),))
    change = field(compared(new, old), "warmup")
    assert (change.only, change.values) == ("old", ((3, None),))


def test_a_field_that_follows_from_others_is_compared_as_it_is(old):
    new = [with_fields(r, eta_scale=2.0, eta=2.0 * r.config["eta"]) for r in old]
    found = compared(old, new)
    assert field(found, "eta_scale").values == ((1.0, 2.0),)
    assert field(found, "eta").values == ((0.05, 0.1),)
    assert found.runs == 30


def test_runs_of_one_side_are_told_with_what_tells_them_apart(old):
    found = compared(old, [row for row in old if row.config["m"] != 64])
    assert found.found
    assert [run.fields for run in found.only_old] == [{"m": 64, "seed": s} for s in range(5)]
    assert found.only_new == () and found.moved == []
    assert len(compared(old[1:], old).only_new) == 1


def test_a_theorem_of_one_side_is_told(old):
    new = [*old, replace(old[0], id="x", theorem="other")]
    found = compared(old, new)
    assert [(run.id, run.theorem) for run in found.only_new] == [("x", "other")]
    assert compared(new, old).only_old == found.only_new


def test_several_matches_are_one_clear_line(old):
    later = [with_fields(row, seed=row.config["seed"] + 5) for row in old]
    with pytest.raises(InputError, match=r"old runs .* and .* differ only in seed"):
        compared(old, later)
    twice = [*old, replace(old[0], id="second", version=2)]
    with pytest.raises(InputError, match=r"new runs m16-s0 and second have the same config"):
        compared(old, twice)


def test_nothing_in_common_is_one_clear_line(old):
    new = [with_fields(r, tau=(400, 100)[r.config["m"] < 100], T=5) for r in old]
    even = [row for row in old if row.config["m"] < 100]
    odd = [row for row in new if row.config["m"] > 100]
    both = [*even, *(replace(r, theorem="other") for r in odd)]
    with pytest.raises(InputError, match="nothing to compare"):
        compared([replace(row, theorem="other") for row in even], even)
    assert compared(both, even).runs == len(even)


def test_true_is_not_one(old):
    sides = [[with_fields(row, flag=flag) for row in old] for flag in (1, True)]
    assert field(compared(*sides), "flag").values == ((1, True),)
    sides = [[with_fields(row, flag=flag) for row in old] for flag in (1, 1.0)]
    assert not compared(*sides).found


def test_numbers_of_one_side_are_a_change(old):
    new = [replace(r, terms={**r.terms, "more": {"probe": {"max": 1.0}}}) for r in old]
    (moved,) = compared(old, new).moved
    assert (moved.key.term, moved.runs, moved.gone, moved.added) == ("more", 0, 0, 30)
    (moved,) = compared(new, old).moved
    assert (moved.gone, moved.added) == (30, 0)


def test_a_run_that_diverged_is_told_and_its_numbers_left_out(old):
    lost = replace(with_value(old[0], 1e9), status="diverged")
    found = compared(old, [lost, *old[1:]])
    status = field(found, "status")
    assert (status.what, status.values, status.counts) == (
        "status",
        (("complete", "diverged"),),
        True,
    )
    assert found.moved == [] and found.runs == 30
    both = compared([lost], [lost])
    assert not both.found and both.numbers[0].runs == 0


def test_conditions_and_data_are_changes_and_the_environment_is_told(old):
    def with_facts(rows, met, digest, torch):
        facts = {"conditions": {"ready": met}, "data_sha256": digest}
        environment = {"torch": torch, "seconds": 1.0 + met, "started": str(met)}
        return [replace(row, **facts, environment=environment) for row in rows]

    found = compared(with_facts(old, True, "a", "1"), with_facts(old, False, "b", "2"))
    assert {one.field: (one.what, one.counts) for one in found.fields} == {
        "data": ("data", True),
        "ready": ("condition", True),
        "torch": ("environment", False),
    }
    same = compared(with_facts(old, True, "a", "1"), with_facts(old, True, "a", "2"))
    assert not same.found


def test_bounds_are_compared_each_with_its_own(old):
    before = [bounded(row, 2.0, 3.0) for row in old]
    found = compared(before, [bounded(row, 2.0, 4.0) for row in old])
    (moved,) = found.moved
    assert (moved.name.kind, moved.name.place, moved.changed) == ("bound", 1, 30)
    assert found.verdicts == ()
    (gone,) = compared(before, [bounded(row, 2.0) for row in old]).moved
    assert (gone.name.place, gone.gone) == (1, 30)


def test_a_bound_that_is_exceeded_now_is_a_changed_verdict(old):
    before = [bounded(row, 10.0) for row in old]
    after = [bounded(row, value(row) / 2 if i == 7 else 10.0) for i, row in enumerate(old)]
    (change,) = compared(before, after).verdicts
    assert (change.old.verdict, change.new.verdict) == ("holds", "bound-violated")
    assert change.as_json()["kind"] == "bound"


def test_a_bound_that_may_fail_now_is_a_change(old):
    before, after = ([bounded(row, 10.0, delta=d) for row in old] for d in (0.0, 0.05))
    (change,) = compared(before, after).verdicts
    assert (change.old.delta, change.new.delta) == (0.0, 0.05)


def test_numbers_that_are_no_records_are_compared_by_the_same_rules():
    gap = Key("gap", "", "")
    rows = [({"optimizer": o, "seed": s}, s + 1.0) for o in ("adam", "sgd") for s in range(4)]
    old = tabulate((fields, {gap: number}) for fields, number in rows)
    new = tabulate(
        (fields, {gap: number * (1.02 if fields["optimizer"] == "sgd" else 1)})
        for fields, number in reversed(rows)
    )
    assert not compare_tables(old, old).found
    (moved,) = compare_tables(old, new, tolerance=REPEATED).moved
    assert {arm.arm: arm.changed for arm in moved.arms} == {
        (("optimizer", "adam"),): 0,
        (("optimizer", "sgd"),): 4,
    }
