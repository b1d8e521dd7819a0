"""Every form of claim: seen to hold, to be violated and to stay open, on planted numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Quantity
from ntkbound.stats import check
from ntkbound.stats.forms.fraction import interval
from ntkbound.stats.forms.spread import Spread
from ntkbound.stats.forms.trend import Slopes, Trend
from ntkbound.stats.margins import RATE_MARGIN
from tests.support.inside import STEPS, numbered, traced
from tests.support.synthetic import KEY, PLANTED, registered


def claim(**keys):
    return Claim(**KEY._asdict(), **keys)


def judged(records, *claims):
    return list(check(records, list(claims)).fits)


def verdict(records, **keys):
    (found,) = judged(records, claim(**keys))
    return found


# Rates along the steps of runs.


def along(exponent=-1.0, kind="upper", **more):
    return {"form": "rate", "axis": "step", "kind": kind, "exponent": exponent, **more}


@pytest.mark.parametrize(
    ("law", "keys", "expected"),
    [
        (lambda t: 1 / t, along(), "tight"),
        (lambda t: 1 / t, along(kind="tight"), "tight"),
        (lambda t: 1 / t, along(kind="lower"), "tight"),
        (lambda t: t**-2.0, along(), "faster"),
        (lambda t: t**-2.0, along(kind="tight"), "violated"),
        (lambda t: t**-2.0, along(kind="lower"), "violated"),
        (lambda t: t**-0.7, along(), "violated"),
        (lambda t: t**-0.7, along(kind="lower"), "holds"),
        (lambda t: np.log(t) ** 2 / t, along(log_power=2, start=1000), "tight"),
        (lambda t: np.log(t) ** 2 / t, along(start=1000), "violated"),
        (lambda t: 1 + np.log(t), along(0.0, log_power=1, start=10), "holds"),
        (lambda t: t**0.5, along(0.5), "tight"),
        (lambda t: t**0.5, along(0.0), "violated"),
    ],
)
def test_a_rate_along_the_steps(law, keys, expected):
    found = verdict(traced(law, noise=0.05), **keys)
    assert found.verdict == expected, found.sentence
    assert (found.axis, found.form, found.seeds) == ("step", "rate", 5)


def test_the_slope_of_a_power_law_is_exact_whatever_the_recorded_steps():
    found = verdict(traced(lambda t: t**-1.25, noise=0.0), **along(-1.25, "tight"))
    assert found.slope == pytest.approx(-1.25, abs=1e-12)
    assert found.low == pytest.approx(found.high, abs=1e-12)


def test_a_window_of_steps():
    records = traced(lambda t: np.where(t < 100, 1.0, 100 / t), noise=0.02)
    assert verdict(records, **along(start=200)).verdict == "tight"
    assert verdict(records, **along(0.0, stop=90)).verdict == "tight"
    found = verdict(records, **along(start=200, stop=2000))
    assert found.evidence.points.min() >= 200 and found.evidence.points.max() <= 2000


def test_a_late_change_of_regime_is_neither_agreement_nor_violation():
    records = traced(lambda t: np.where(t < 2000, t**-1.3, 2000**-1.3 * (t / 2000) ** -0.8),
                     noise=0.02)  # fmt: skip
    found = verdict(records, **along(start=10))
    assert found.verdict == "inconclusive"
    assert "the end of the range says otherwise: slope −1.29 at first, −0.81" in found.reason
    # Slow at first, fast later: the rate may well be reached.
    records = traced(lambda t: 1 / (t + 300), noise=0.02)
    found = verdict(records, **along(start=10))
    assert found.verdict == "inconclusive" and "the rate is not reached yet" in found.reason


def trend(whole, kind="upper", early=None, late=None, end=None):
    """Slopes beyond the claim; where nothing is said of a part it is as the whole."""
    parts = [np.array(whole if one is None else one) for one in (whole, early, late, end)]
    return Trend(Slopes(*parts), kind, RATE_MARGIN, exact=False)


WORSE = [0.2, 0.21, 0.19, 0.2, 0.22]


def test_the_end_of_the_range_must_refute_a_claim_as_well():
    assert trend(WORSE).p() < 1e-3
    noisy = [0.3, -0.3, 0.4, -0.2, 0.3]
    assert trend(WORSE, late=noisy).p() > 0.2
    mirrored = trend([-one for one in WORSE], "lower", late=[-one for one in noisy])
    assert mirrored.p() == pytest.approx(trend(WORSE, late=noisy).p())


def test_a_slope_on_its_way_to_the_claim_has_not_violated_it():
    early, late = [0.4, 0.42, 0.38, 0.41, 0.4], [0.1, 0.11, 0.1, 0.09, 0.1]
    assert trend(WORSE, early=early, late=late).p() == 1.0
    assert trend(WORSE, early=late, late=early).p() < 1e-3, "on its way from it"
    half = [0.25, 0.26, 0.24, 0.25, 0.25]
    assert trend(WORSE, early=early, late=half).p() < 1e-3, "not half of the way"


def test_tight_needs_both_ends_within_the_margin():
    wide = [-0.3, 0.1, -0.1, -0.25, 0.05]
    assert trend(wide, "tight").finding() == "open"
    assert trend([0.01, 0.0, -0.01, 0.02, 0.0], "tight").finding() == "tight"


def test_too_few_seeds_or_points_stay_open():
    found = verdict(traced(lambda t: 1 / t, seeds=2), **along())
    assert (found.verdict, found.reason) == ("inconclusive", "2 seeds: needs at least 3")
    found = verdict(traced(lambda t: 1 / t), **along(start=15_000, stop=16_500))
    assert "needs at least 3 points" in found.reason
    found = verdict(traced(lambda t: 1 / t, noise=1.5, seeds=3), **along())
    assert found.verdict == "inconclusive" and "more seeds" in found.reason


def test_values_at_the_noise_floor_cost_their_steps():
    records = traced(lambda t: np.maximum(t**-4.0, 1e-15), noise=0.01)
    found = verdict(records, **along(-4.0, "tight"))
    assert found.verdict == "tight" and "at the noise floor" in found.reason


def test_equal_seeds_are_one_and_a_deterministic_quantity_needs_one_run():
    same = [replace(record, trace=traced(lambda t: 1 / t)[0].trace)
            for record in traced(lambda t: 1 / t)]  # fmt: skip
    assert verdict(same, **along()).reason.startswith("1 seed: needs at least 3")
    exact = replace(PLANTED, quantities=(Quantity(*KEY, deterministic=True),))
    with registered(exact):
        one = traced(lambda t: 1 / t, seeds=1, noise=0.0)
        assert verdict(one, **along()).verdict == "tight"
        assert verdict(one, **along(-1.3)).verdict == "violated"
        bent = traced(lambda t: np.where(t < 500, 1.0, 500 / t), seeds=1, noise=0.0)
        found = verdict(bent, **along(start=10))
        assert found.verdict == "inconclusive" and found.low < found.high


def test_only_the_steps_that_all_seeds_recorded_count():
    records = traced(lambda t: 1 / t, noise=0.0)
    short = {name: series[:120] for name, series in records[2].trace.items()}
    records[2] = replace(records[2], trace=short)
    found = verdict(records, **along())
    assert found.evidence.points.max() <= STEPS[119] and found.verdict == "tight"


def test_a_series_with_steps_of_its_own():
    records = traced(lambda t: 1 / t, noise=0.01)
    own = [
        replace(r, trace={**r.trace, f"{KEY.term}/{KEY.probe}/step": STEPS[::4],
                          KEY.column: r.trace[KEY.column][::4]})
        for r in records
    ]  # fmt: skip
    assert verdict(own, **along()).verdict == "tight"


def test_what_no_run_recorded_is_not_judged():
    found = verdict(numbered([1, 2, 3]), **along())
    assert (found.verdict, found.judged) == ("inconclusive", False)
    assert found.reason == "no runs report this statistic along their steps"


# Exponentials.


def decay(rate=0.001, kind="upper", **more):
    return {"form": "exponential", "axis": "step", "kind": kind, "rate": rate, **more}


@pytest.mark.parametrize(
    ("planted", "keys", "expected"),
    [
        (0.001, decay(), "tight"),
        (0.001, decay(kind="tight"), "tight"),
        (0.002, decay(), "faster"),
        (0.002, decay(kind="tight"), "violated"),
        (0.0008, decay(), "violated"),
        (0.0008, decay(kind="lower"), "holds"),
        (-0.0005, decay(-0.0005, "upper"), "tight"),
        (-0.0005, decay(-0.001, "upper"), "faster"),
        (-0.001, decay(-0.0005, "upper"), "violated"),
    ],
)
def test_an_exponential_along_the_steps(planted, keys, expected):
    found = verdict(traced(lambda t: np.exp(-planted * t), noise=0.05), stop=9000, **keys)
    assert found.verdict == expected, found.sentence
    assert found.estimate == pytest.approx(planted, rel=0.1)


def test_the_rate_that_a_run_recorded():
    rates = [0.001, 0.002, 0.0015, 0.0012, 0.0018]
    records = []
    for seed, rate in enumerate(rates):
        (one,) = traced(lambda t, r=rate: np.exp(-r * t), seeds=1, stream=seed, noise=0.02,
                        numbers={"alpha": [rate / 2]})  # fmt: skip
        records.append(replace(one, id=f"r{seed}", config={**one.config, "seed": seed}))
    alpha = {**KEY._asdict(), "statistic": "alpha"}
    assert verdict(records, stop=5000, **decay(alpha)).verdict == "faster"
    double = [_with_alpha(r, 4) for r in records]
    found = verdict(double, stop=5000, **decay(alpha))
    assert found.verdict == "violated" and "term / probe / alpha" in found.reason
    assert (
        verdict([_with_alpha(r, 2) for r in records], stop=5000, **decay(alpha)).verdict == "tight"
    )
    none = [_with_alpha(records[0], 0), *records[1:]]
    assert "0 or unknown in some run" in verdict(none, stop=5000, **decay(alpha)).reason


def _with_alpha(record, factor):
    own = dict(record.terms[KEY.term][KEY.probe])
    return replace(record, terms={KEY.term: {KEY.probe: {**own, "alpha": factor * own["alpha"]}}})


def test_an_exponential_along_a_field():
    records = [
        record
        for m in (1, 2, 3, 4, 5, 6)
        for record in numbered(np.exp(-0.5 * m + np.random.default_rng(m).normal(0, 0.02, 5)), m=m)
    ]
    found = verdict(records, form="exponential", axis="m", kind="tight", rate=0.5)
    assert (found.verdict, found.axis, found.points) == ("tight", "m", 6)
    slow = verdict(records, form="exponential", axis="m", kind="upper", rate=0.7)
    assert slow.verdict == "violated"


# Levels.


def level(value, kind="lower", **more):
    return {"form": "level", "kind": kind, "level": value, **more}


VALUES = [0.991, 0.995, 0.993, 0.998, 0.994]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (level(0.99), "holds"),
        (level(0.999), "violated"),
        (level(0.994), "inconclusive"),
        (level(0.999, "upper"), "holds"),
        (level(0.994, "upper"), "inconclusive"),
        (level(0.98, "upper"), "violated"),
        (level(0.994, "equal", tolerance=0.01), "holds"),
        (level(0.97, "equal", tolerance=0.01), "violated"),
        (level(0.994, "equal", tolerance=0.001), "inconclusive"),
    ],
)
def test_a_level(keys, expected):
    found = verdict(numbered(VALUES), **keys)
    assert found.verdict == expected, found.sentence
    assert found.estimate == pytest.approx(np.mean(VALUES))
    low, high = ttest_1samp(VALUES, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.slope is None and found.axis == ""


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=12, unique=True), st.floats(-10, 10))
def test_tails_are_those_of_students_t(values, at):
    spread = Spread(np.array(values))
    assert spread.above(at) == pytest.approx(ttest_1samp(values, at, alternative="greater").pvalue)
    assert spread.below(at) == pytest.approx(ttest_1samp(values, at, alternative="less").pvalue)


def test_equal_values_say_what_n_equal_runs_say():
    found = verdict(numbered([1.0] * 5), **level(0.99))
    told = "at least the claimed 0.99, in all 5 runs; at least 48 % of runs at 97.5 %"
    assert (found.verdict, found.reason) == ("holds", told)
    against = verdict(numbered([0.5] * 5), **level(0.99))
    assert (against.verdict, against.p) == ("violated", pytest.approx(0.2**5))
    assert verdict(numbered([0.5] * 2), **level(0.99)).verdict == "inconclusive"


def test_against_another_number_of_the_same_run():
    records = [
        replace(r, terms={KEY.term: {KEY.probe: {KEY.statistic: v, "bound": v + gap}}})
        for r, v, gap in zip(numbered(VALUES), VALUES, (0.1, 0.2, 0.15, 0.12, 0.18), strict=True)
    ]
    bound = {**KEY._asdict(), "statistic": "bound"}
    found = verdict(records, **level(bound, "upper"))
    assert (found.verdict, found.claimed) == ("holds", 0.0)
    assert found.estimate == pytest.approx(-0.15)
    assert verdict(records, **level(bound, "lower")).verdict == "violated"
    records[3] = numbered(VALUES)[3]
    found = verdict(records, **level(bound, "upper"))
    assert found.seeds == 4 and "left out seed 3: no value" in found.reason


def test_an_equality_is_tested_on_both_sides():
    found = verdict(numbered(VALUES), **level(0.994, "equal", tolerance=0.001))
    one = [ttest_1samp(VALUES, end, alternative=side).pvalue
           for end, side in ((0.995, "greater"), (0.993, "less"))]  # fmt: skip
    assert found.p == pytest.approx(min(1.0, 2 * min(one)))
    assert verdict(numbered(VALUES), **level(0.98, "equal", tolerance=0.01)).p == pytest.approx(
        2 * ttest_1samp(VALUES, 0.99, alternative="greater").pvalue
    )


def test_one_run_of_a_deterministic_quantity_says_it_all():
    assert verdict(numbered([1.0]), **level(0.99)).reason == "1 seed: needs at least 3"
    with registered(replace(PLANTED, quantities=(Quantity(*KEY, deterministic=True),))):
        assert verdict(numbered([1.0]), **level(0.99)).verdict == "holds"
        assert verdict(numbered([0.9]), **level(0.99)).verdict == "violated"


# Fractions.


def share(value, kind="lower", **more):
    return {"form": "fraction", "kind": kind, "share": value, **more}


@pytest.mark.parametrize(
    ("successes", "runs", "keys", "expected"),
    [
        (20, 20, share(1.0), "holds"),
        (19, 20, share(1.0), "violated"),
        (0, 20, share(0.0, "upper"), "holds"),
        (1, 20, share(0.0, "upper"), "violated"),
        (19, 20, share(0.9), "holds"),
        (10, 20, share(0.9), "violated"),
        (5, 5, share(0.9), "inconclusive"),
        (16, 20, share(0.9), "inconclusive"),
        (1, 20, share(0.2, "upper"), "holds"),
        (15, 20, share(0.2, "upper"), "violated"),
    ],
)
def test_a_share_of_runs(successes, runs, keys, expected):
    found = verdict(numbered([1] * successes + [0] * (runs - successes)), **keys)
    assert found.verdict == expected, found.sentence
    exact = binomtest(successes, runs).proportion_ci(0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    side = "less" if keys["kind"] == "lower" else "greater"
    assert found.p == pytest.approx(
        binomtest(successes, runs, keys["share"], alternative=side).pvalue
    )


def test_all_and_none_say_of_how_many_runs_that_speaks():
    assert "in all 20 runs; at least 83 % of runs" in verdict(numbered([1] * 20), **share(1)).reason
    none = verdict(numbered([0] * 20), **share(0, "upper"))
    assert none.reason.startswith("in none of 20 runs; at most 17 % of runs")


def test_what_a_success_is():
    values = [0.2, 0.4, 0.6, 0.8, 0.9]
    assert verdict(numbered(values), **share(0.5, above=0.5)).estimate == pytest.approx(0.6)
    assert verdict(numbered(values), **share(0.5, below=0.5)).estimate == pytest.approx(0.4)
    found = verdict(numbered(values), **share(0.5))
    assert found.verdict == "inconclusive" and "0.2 is neither 0 nor 1" in found.reason


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_clopper_and_pearsons(case):
    exact = binomtest(*case).proportion_ci(0.95)
    assert interval(*case) == pytest.approx((exact.low, exact.high))


# Orders.

ORDER = {
    "form": "order", "smaller": {"kernel": "gaussian"}, "larger": {"kernel": "softmax"},
}  # fmt: skip


def arms(first, second):
    return [*numbered(first, kernel="gaussian"), *numbered(second, kernel="softmax")]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, 1.2, 0.9, 1.1], [2.0, 2.3, 1.9, 2.2], "holds"),
        ([2.0, 2.3, 1.9, 2.2], [1.0, 1.2, 0.9, 1.1], "violated"),
        ([1.0, 1.2, 0.9, 1.1], [1.1, 1.0, 1.0, 1.0], "inconclusive"),
        ([0] * 12, [1] * 12, "holds"),
        ([1] * 12, [0] * 12, "violated"),
        ([0, 1] * 4, [1, 0] * 4, "inconclusive"),
        ([0] * 12, [0] * 12, "inconclusive"),
    ],
)
def test_an_order_of_two_arms(first, second, expected):
    found = verdict(arms(first, second), **ORDER)
    assert found.verdict == expected, found.sentence
    assert found.estimate == pytest.approx(np.mean(second) - np.mean(first))
    if expected == "violated" and 0 in second:  # McNemar's exact test
        assert found.p == pytest.approx(binomtest(12, 12, alternative="greater").pvalue)


def test_pairs_are_runs_that_differ_in_nothing_else():
    records = [
        *numbered([1.0, 1.1, 1.2], kernel="gaussian", m=8),
        *numbered([3.0, 3.2, 3.1, 3.3], kernel="softmax", m=8),
        *numbered([5.0, 5.1, 5.2], kernel="softmax", m=16),
    ]
    (found,) = judged(records, claim(**ORDER))
    assert dict(found.arm) == {"m": "8"} and found.seeds == 3
    assert "left out seed 3: only one of the two has a value" in found.reason
    far = verdict(records[:3] + records[-3:], **ORDER)
    assert far.reason.startswith("no runs that differ only in kernel=gaussian and kernel=softmax")


# All together.


def test_every_form_shares_one_correction():
    flat = claim(**level(0.9965))  # p is about 0.02 alone
    alone = judged(numbered(VALUES), flat)[0].p
    many = judged(numbered(VALUES), flat, *[claim(**level(0.5 + i / 100)) for i in range(9)])
    assert many[0].p == pytest.approx(10 * alone)


def test_a_claim_without_an_axis_is_judged_in_every_cell():
    records = [*numbered([1, 1, 1], m=8), *numbered([0, 1, 1], m=16)]
    found = judged(records, claim(**share(1.0)))
    assert [(dict(f.arm)["m"], f.verdict) for f in found] == [("8", "holds"), ("16", "violated")]
    (found,) = judged(records, claim(**share(1.0), where={"m": 8}))
    assert found.verdict == "holds"


def test_conditions_hold_for_every_form():
    needs = replace(PLANTED, needs=lambda claim: ("inside",))
    with registered(needs):
        records = [replace(r, conditions={"inside": r.config["seed"] < 4})
                   for r in numbered([*VALUES, 0.0])]  # fmt: skip
        found = verdict(records, **level(0.99))
        assert found.seeds == 4 and "left out 2 of 6 runs: condition not met" in found.reason
        none = [replace(r, conditions={"inside": False}) for r in records]
        found = verdict(none, **level(0.99))
        assert (found.verdict, found.p) == ("condition-not-met", None)


def test_duplicate_runs_are_named():
    twice = numbered([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="duplicate runs"):
        verdict([*twice, replace(twice[0], id="again")], **level(0.99))


@pytest.mark.parametrize(
    ("status", "target", "expected"),
    [
        ("stated", 0.99, "holds"),
        ("stated", 1.01, "violated"),
        ("refuted", 1.01, "holds"),  # violated, as known
        ("refuted", 0.99, "violated"),  # found to hold: the refutation is refuted
        ("refuted", 0.994, "inconclusive"),
        ("conjecture", 1.01, "holds"),
        ("conjecture", 0.994, "holds"),
    ],
)
def test_the_status_of_a_claim_decides_what_its_verdict_does(status, target, expected):
    sure = claim(**level(0.9))
    about = claim(**level(target), status=status, reason="known" if status == "refuted" else "")
    assert check(numbered(VALUES), [sure, about]).verdict == expected


def test_a_claim_that_is_violated_as_known_is_counted_as_that():
    sure = claim(**level(0.9))
    false = claim(**level(1.01), status="refuted", reason="known")
    told = "2 claims: 2 judged, 1 held, 1 violated as known"
    assert check(numbered(VALUES), [sure, false]).counts == told
