"""Every verdict, and that a mutation flips it."""

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from ntkbound.core.claim import Claim, Form
from ntkbound.core.errors import InputError
from ntkbound.stats import check, judge_claims, observe, selected, tabulate
from ntkbound.stats.forms import FORMS
from ntkbound.stats.forms.interval import judge
from ntkbound.stats.powerlaw import PowerLawFit
from tests.support.synthetic import (
    WIDTHS,
    claim,
    records,
    value,
    with_fields,
    with_value,
)


def verdict(runs, *claims):
    return check(runs, claims or (claim(),)).fits[0]


def root(x: float) -> float:
    return float(x) ** -0.5


def test_tight():
    found = verdict(records(root, noise=0.02))
    assert found.verdict == "tight"
    assert re.fullmatch(
        r"slope −0\.\d\d \[−0\.\d\d, −0\.\d\d\]: within ±0\.15 of the claimed −0\.5", found.sentence
    )


def test_faster_in_words():
    found = verdict(records(lambda x: x**-1.02, noise=0.02))
    assert found.verdict == "faster"
    assert found.sentence.startswith("slope −1.0")
    assert found.sentence.endswith("]: faster than the claimed −0.5")


def test_holds_where_the_interval_is_wide_on_the_harmless_side():
    found = verdict(records(lambda x: x**-0.6, points=WIDTHS[:4], seeds=10, noise=0.25, stream=3))
    assert found.verdict == "holds", found.sentence
    assert "no slower than the claimed −0.5, within 0.15" in found.reason


def test_a_slope_within_the_margin_that_excludes_the_claim_says_just_that():
    runs = records(lambda x: x**-0.11, noise=0.005)
    upper, both = verdict(runs, claim(0.0)), verdict(runs, claim(0.0, "tight"))
    assert upper.verdict == "faster" and upper.reason.endswith("claimed 0, within ±0.15 of it")
    assert both.verdict == "tight" and both.reason == "within ±0.15 of the claimed 0"
    assert both.as_json()["margin"] == 0.15
    worse = verdict(records(lambda x: x**0.11, noise=0.005), claim(0.0, "tight"))
    assert worse.verdict == "violated"


def test_an_interval_on_the_wrong_side_is_not_accepted_within_the_margin():
    (series,) = observe(records(root, noise=0.001), axes=["m"])
    fit = PowerLawFit(series, -0.42, -0.44, -0.40, np.empty(0))
    assert judge(fit, claim(), -0.5)[0] == judge(fit, claim(kind="tight"), -0.5)[0]
    assert judge(fit, claim(), -0.5)[0] == "inconclusive"
    assert judge(replace(fit, low=-0.46), claim(), -0.5)[0] == "tight"
    assert judge(replace(fit, high=-0.34), claim(), -0.5)[0] == "inconclusive"


def test_identical_seeds_are_one():
    one = records(root, seeds=1, noise=0.02)
    runs = [replace(with_fields(run, seed=s), id=f"{run.id}{s}") for run in one for s in range(5)]
    found = verdict(runs, claim(-1.0))
    assert found.verdict == "inconclusive" and found.seeds == 1
    assert "6 points and 1 seed: needs" in found.reason
    assert "equal values at all points count as one seed: seed 1 that of 0" in found.reason
    apart = [with_value(run, value(run) * (1 + 1e-9 * i)) for i, run in enumerate(runs)]
    assert verdict(apart, claim(-1.0)).verdict == "violated"


def test_a_claim_about_the_initialisation_needs_it_to_vary():
    runs = records(root, noise=0.02, init_seed=1)
    found = verdict(runs)
    assert found.verdict == "inconclusive" and "init_seed: needs at least 3" in found.reason
    varied = [with_fields(run, init_seed=run.config["seed"]) for run in runs]
    assert verdict(varied).verdict == "tight"


def test_a_bend_towards_the_claim_is_not_violated_and_one_away_is():
    points = (2, 4, 8, 16, 32, 64)
    found = verdict(records(lambda x: (x + 4) ** -0.5, points=points, noise=0.03))
    assert found.verdict == "inconclusive"
    assert re.search(r"not reached yet: local slopes run from −0\.[12]\d to −0\.4\d", found.reason)
    away = verdict(records(lambda x: x**-0.5 + 0.2, points=points, noise=0.03))
    assert away.verdict != "tight" and "not reached yet" not in away.reason
    straight = verdict(records(lambda x: x**-0.35, points=points, noise=0.03))
    assert straight.verdict == "violated"
    hardly = verdict(records(lambda x: (x + 30) ** -0.5, points=points, noise=0.002))
    assert hardly.verdict == "inconclusive"


def test_inconclusive_says_how_many_seeds():
    found = verdict(records(root, points=WIDTHS[:4], seeds=3, noise=0.3, stream=2))
    assert found.verdict == "inconclusive"
    assert re.search(r"needs about \d+ more seeds", found.reason)


def test_too_few_points_or_seeds():
    assert "2 points and 5 seeds: needs at least 3" in verdict(records(root, points=(8, 16))).reason
    assert "6 points and 2 seeds" in verdict(records(root, seeds=2)).reason
    found = verdict(records(root, points=(8, 16, 32)), claim(floor=True))
    assert found.verdict == "inconclusive" and "at least 4 points" in found.reason
    assert verdict(records(root, axis="n", points=(8, 16, 32))).points == 0


# Mutations: each starts from records on which the claim is tight.
def test_flatter_slope_is_violated():
    found = verdict(records(lambda x: x**-0.35, noise=0.05))
    assert found.verdict == "violated" and "slower than the claimed −0.5" in found.reason


def test_mislabelled_axis_is_violated():
    runs = [
        with_fields(run, m=WIDTHS[::-1][WIDTHS.index(run.config["m"])]) for run in records(root)
    ]
    assert verdict(runs).verdict == "violated"


def test_permuted_values_are_not_accepted():
    runs = records(root)
    values = [value(run) for run in runs]
    order = np.random.default_rng(0).permutation(len(runs))
    mixed = [with_value(run, values[i]) for run, i in zip(runs, order, strict=True)]
    assert verdict(mixed).verdict in {"violated", "inconclusive"}


def test_axis_labelled_by_its_square_turns_tight_into_holds_or_worse():
    runs = records(root, noise=0.02)
    squared = [with_fields(run, m=run.config["m"] ** 2) for run in runs]
    assert verdict(squared).verdict == "violated"  # slope −1/4


def test_a_floor_in_a_pure_claim_is_inconclusive_and_declared_it_is_judged():
    runs = records(lambda x: (x / 16) ** -1 + 0.1, noise=0.03, seeds=6)
    found = verdict(runs, claim(-1.0))
    assert found.verdict == "inconclusive"
    assert "AICc prefers a power law with a floor" in found.reason
    assert found.slope > -0.9  # the interval shown is that of the declared form
    assert verdict(runs, claim(-1.0, floor=True)).verdict == "tight"
    assert verdict(runs, claim(-0.5, floor=True)).verdict == "faster"
    assert verdict(runs, claim(-1.5, floor=True)).verdict == "violated"


def test_declared_floor_without_one():
    runs = records(lambda x: x**-0.9, noise=0.03)
    assert verdict(runs, claim(-0.5, floor=True)).verdict == "faster"


def test_tight_kind_is_two_sided():
    assert verdict(records(root), claim(kind="tight")).verdict == "tight"
    steep = verdict(records(lambda x: x**-1.0), claim(kind="tight"))
    assert steep.verdict == "violated" and "faster than the claimed −0.5" in steep.reason
    assert verdict(records(lambda x: x**-0.3), claim(kind="tight")).verdict == "violated"


def test_lower_kind_is_mirrored():
    assert verdict(
        records(lambda x: x**-0.4, noise=0.35, seeds=8), claim(kind="lower")
    ).verdict in {"holds", "tight"}
    assert verdict(records(lambda x: x**-0.2), claim(kind="lower")).verdict == "holds"
    assert verdict(records(lambda x: x**-0.8), claim(kind="lower")).verdict == "violated"


def logarithm(power: float = 1.0, exponent: float = 0.0, kind: str = "upper"):
    return claim(exponent, kind, log_power=power)


def test_a_power_of_a_logarithm():
    for k in (1.0, 0.5):
        runs = records(lambda x, k=k: np.log(x) ** k, noise=0.02)
        assert verdict(runs, logarithm(k)).verdict == "holds"
    flat = records(lambda x: 1.0, noise=0.05)
    assert verdict(flat, logarithm()).verdict == "holds"
    grown = verdict(records(lambda x: x**0.5), logarithm())
    assert grown.verdict == "violated" and "faster than a logarithm" in grown.reason
    slow = verdict(records(lambda x: x**0.2, noise=0.01, seeds=10), logarithm())
    assert slow.verdict == "inconclusive" and "prefers power growth" in slow.reason
    assert grown.margin == 0.10 and verdict(flat).margin == 0.15


def test_a_power_times_a_power_of_a_logarithm():
    """x^−1 (log x)^2 along the axis: accepted on all sides, its mutations are not."""
    runs = records(lambda x: np.log(x) ** 2 / x, noise=0.02)
    for kind, word in (("upper", "holds"), ("lower", "holds"), ("tight", "tight")):
        found = verdict(runs, logarithm(2, -1.0, kind))
        assert found.verdict == word, found.reason
    assert "m^−1 (log m)^2, whose slope here is" in found.reason
    assert found.claimed == pytest.approx(-1 + 2 * verdict(runs, logarithm()).claimed)
    flatter, steeper = (records(lambda x, b=b: np.log(x) ** 2 * x**b) for b in (-0.7, -1.3))
    assert verdict(flatter, logarithm(2, -1.0)).verdict == "violated"
    assert verdict(steeper, logarithm(2, -1.0)).verdict == "holds"
    assert verdict(steeper, logarithm(2, -1.0, "lower")).verdict == "violated"
    assert verdict(flatter, logarithm(2, -1.0, "lower")).verdict == "holds"
    for mutated in (flatter, steeper):
        assert verdict(mutated, logarithm(2, -1.0, "tight")).verdict == "violated"


def test_a_logarithm_needs_values_above_one():
    found = verdict(records(root, points=(1, 2, 4, 8)), logarithm())
    assert found.verdict == "inconclusive" and "needs values above 1" in found.reason
    assert found.claimed is None and found.p is None


def test_exponential_growth_violates_and_is_named():
    runs = records(lambda x: np.exp(x / 20), axis="T", points=(8, 16, 32, 64, 128), noise=0.05)
    found = verdict(runs, claim(0.0, axis="T"))
    assert found.verdict == "violated" and "exponential growth in T" in found.reason


def test_decay_to_a_constant_keeps_a_bounded_claim():
    runs = records(lambda x: (x / 16) ** -1.0 + 1.0, noise=0.02)
    assert verdict(runs, claim(0.0)).verdict in {"faster", "holds", "tight"}


def test_unclaimed_slopes_only_on_request():
    runs = records(root)
    assert check(runs, []).fits == ()
    (found,) = check(runs, [], unclaimed=True).fits
    assert found.verdict == "not-defined" and found.claim is None
    told = found.as_json()
    assert told["kind"] is None and told["claimed"] is None and told["margin"] is None
    assert check(runs, [claim()], unclaimed=True).fits[0].claim is not None
    assert len(check(runs, [claim()], unclaimed=True).fits) == 1
    assert check(runs, [], unclaimed=True, axes=["n"]).fits == ()


def test_whole_and_json():
    runs = records(root, noise=0.02)
    good, bad = claim(), claim(-1.0)
    assert check(runs, [good]).verdict == "holds"
    assert check(runs, [good, claim(axis="n")]).verdict == "inconclusive"
    result = check(runs, [good, bad, claim(axis="n")])
    assert result.verdict == "violated"
    assert list(result.as_json()["fits"][0]) == [
        "axis",
        "term",
        "probe",
        "statistic",
        "form",
        "column",
        "label",
        "where",
        "points",
        "seeds",
        "slope",
        "estimate",
        "low",
        "high",
        "claimed",
        "kind",
        "margin",
        "p",
        "verdict",
        "reason",
    ]


def test_every_arm_is_judged_and_named():
    runs = records(root, n=32, noise=0.02) + records(lambda x: 1.0, n=64)
    result = check(runs, [claim()])
    assert sorted((f.verdict, f.arm[0][1]) for f in result.fits) == [
        ("tight", "32"),
        ("violated", "64"),
    ]
    assert sorted(f.as_json()["where"]["n"] for f in result.fits) == ["32", "64"]
    assert "at n=64" in next(f.reason for f in result.fits if f.verdict == "violated")


def test_an_arm_is_told_without_the_fields_it_leaves_unset():
    one = [with_fields(run, method="gd", omega=None) for run in records(root)]
    other = [with_fields(run, method="sgd", omega=w) for w in (0.5, 1.5) for run in records(root)]
    reasons = [fit.reason for fit in check(one + other, [claim()]).fits]
    assert sorted(reason.partition("; at ")[2] for reason in reasons) == [
        "method=gd", "method=sgd, omega=0.5", "method=sgd, omega=1.5",
    ]  # fmt: skip


def test_noise_floor_and_missing_seeds_are_said():
    runs = records(lambda x: 1e-11 * x**-1.0 if x < 200 else 1e-16)
    assert "noise floor" in verdict(runs).reason
    assert verdict(runs[:-1]).seeds == 4
    assert "reduced to the 4 seeds" in verdict(runs[:-1]).reason


@pytest.mark.parametrize(
    ("where", "judged"),
    [
        ({"n": 32}, ["32"]),
        ({"n": [32, 64]}, ["32", "64"]),
        ({"n": {"from": 33, "to": 64}}, ["64"]),
        ({"n": {"to": 32}}, ["32"]),
        ({"n": 48}, []),
        ({"n": "32"}, []),
        ({"rho": 2}, ["32", "64"]),
        ({"rho": {"c": 2, "U": 2}}, ["32", "64"]),
        ({"eta": 0.05, "n": 64}, ["64"]),
        ({"n": 64, "dtype": "float64"}, []),
        ({"bounds": 1}, []),
        ({"bounds": True, "theorem": "planted"}, ["32", "64"]),
        ({"nothing": 1}, []),
    ],
    ids=str,
)
def test_where_limits_a_claim(where, judged):
    """A field that follows from others (eta) is compared as the config has it."""
    both = [
        run
        for n in (32, 64)
        for run in records(root, n=n, noise=0.02, bounds=True, rho={"c": 2.0, "U": 2.0})
    ]
    result = check(both, [claim(where=where)])
    assert [dict(fit.arm)["n"] for fit in result.fits if fit.fit] == judged
    (told,) = {fit.verdict for fit in result.fits}
    assert told == ("tight" if judged else "inconclusive")
    alone = {str(run.config["n"]) for run in both if selected(run, where)}
    assert sorted(alone) == judged


def test_start_and_stop_are_a_window_of_the_axis():
    runs = records(lambda x: max(x, 64.0) ** -0.5, noise=0.02)
    assert verdict(runs).verdict == "inconclusive"
    assert "the rate is not reached yet" in verdict(runs).reason
    late = verdict(runs, claim(start=64))
    assert late.verdict == "tight" and late.points == 4
    assert verdict(runs, claim(start=64, stop=256)).points == 3


def test_claims_of_other_runs_leave_a_claim_alone():
    """Duplicates outside `where` are not this claim's."""
    runs = records(root, noise=0.02)
    twice = [with_fields(run, n=64) for run in (*runs[:3], *runs[:3])]
    assert check([*runs, *twice], [claim(where={"n": 32})]).fits[0].verdict == "tight"
    with pytest.raises(InputError, match="duplicate"):
        check([*runs, *twice], [claim()])


def test_claims_on_a_table_alone():
    key = claim().key
    rows = [
        ({"m": m, "seed": seed}, {key: m**-0.5 * 1.01 ** (seed * m % 3)})
        for m in WIDTHS
        for seed in range(4)
    ]
    (found,) = judge_claims(tabulate(rows), [claim()])
    assert found.verdict == "tight"


def test_every_form_is_judged_by_its_module():
    assert set(FORMS) == set(get_args(Form))


def test_claims_are_complete():
    with pytest.raises(ValidationError, match="exponent"):
        claim(None)
    with pytest.raises(ValidationError, match="Extra inputs"):
        claim(colour="red")
    with pytest.raises(ValidationError, match="kind"):
        claim(-0.5, "log")
    assert isinstance(claim(), Claim)
