"""Every verdict, and that a mutation flips it."""

import re

import numpy as np
import pytest
from pydantic import ValidationError

from ntkbound.core.claim import Claim
from ntkbound.stats import check
from tests.support.synthetic import WIDTHS, claim, records, set_value, value


def verdict(runs, *claims):
    return check(runs, claims or (claim(),)).fits[0]


def root(x: float) -> float:
    return float(x) ** -0.5


def test_tight():
    found = verdict(records(root, noise=0.02))
    assert found.verdict == "tight"
    assert re.fullmatch(
        r"slope −0\.\d\d \[−0\.\d\d, −0\.\d\d\]: the claimed −0\.5 is tight", found.sentence
    )


def test_faster_in_words():
    found = verdict(records(lambda x: x**-1.02, noise=0.02))
    assert found.verdict == "faster"
    assert found.sentence.startswith("slope −1.0")
    assert found.sentence.endswith("]: faster than the claimed −0.5")


def test_holds_where_the_interval_is_wide():
    runs = records(root, points=WIDTHS[:4], seeds=8, noise=0.3)
    assert verdict(runs).verdict == "holds"


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
    runs = records(root)
    for run in runs:
        run["config"]["m"] = WIDTHS[::-1][WIDTHS.index(run["config"]["m"])]
    assert verdict(runs).verdict == "violated"


def test_permuted_values_are_not_accepted():
    runs = records(root)
    values = [value(run) for run in runs]
    for run, i in zip(runs, np.random.default_rng(0).permutation(len(runs)), strict=True):
        set_value(run, values[i])
    assert verdict(runs).verdict in {"violated", "inconclusive"}


def test_axis_labelled_by_its_square_turns_tight_into_holds_or_worse():
    runs = records(root, noise=0.02)
    for run in runs:
        run["config"]["m"] **= 2
    assert verdict(runs).verdict == "violated"  # slope −1/4


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


def test_log_kind():
    for exponent in (None, 0.5):
        k = exponent or 1.0
        runs = records(lambda x, k=k: np.log(x) ** k, noise=0.02)
        assert verdict(runs, claim(exponent, "log")).verdict == "holds"
    flat = records(lambda x: 1.0, noise=0.05)
    assert verdict(flat, claim(None, "log")).verdict == "holds"
    grown = verdict(records(lambda x: x**0.5), claim(None, "log"))
    assert grown.verdict == "violated" and "faster than a logarithm" in grown.reason
    slow = verdict(records(lambda x: x**0.2, noise=0.01, seeds=10), claim(None, "log"))
    assert slow.verdict == "inconclusive" and "prefers power growth" in slow.reason


def test_exponential_growth_violates_and_is_named():
    runs = records(lambda x: np.exp(x / 20), axis="T", points=(8, 16, 32, 64, 128), noise=0.05)
    found = verdict(runs, claim(0.0, axis="T"))
    assert found.verdict == "violated" and "exponential growth in T" in found.reason


def test_decay_to_a_constant_keeps_a_bounded_claim():
    runs = records(lambda x: (x / 16) ** -1.0 + 1.0, noise=0.02)
    assert verdict(runs, claim(0.0)).verdict in {"faster", "holds", "tight"}


def test_none_is_reported_and_never_judged():
    result = check(records(lambda x: x**3.0), [claim(None, "none")])
    assert result.fits[0].verdict == "not-defined" and result.verdict == "inconclusive"
    assert result.fits[0].slope == pytest.approx(3, abs=0.1)


def test_unclaimed_slopes_only_on_request():
    runs = records(root)
    assert check(runs, []).fits == ()
    (found,) = check(runs, [], unclaimed=True).fits
    assert found.verdict == "not-defined" and found.claimed is None


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
        "points",
        "seeds",
        "slope",
        "low",
        "high",
        "claimed",
        "kind",
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
    assert "at n=64" in next(f.reason for f in result.fits if f.verdict == "violated")


def test_noise_floor_and_missing_seeds_are_said():
    runs = records(lambda x: 1e-11 * x**-1.0 if x < 200 else 1e-16)
    assert "noise floor" in verdict(runs).reason
    assert verdict(runs[:-1]).seeds == 4
    assert "reduced to the 4 seeds" in verdict(runs[:-1]).reason


def test_claims_are_complete():
    with pytest.raises(ValidationError, match="needs an exponent"):
        claim(None)
    with pytest.raises(ValidationError, match="Extra inputs"):
        claim(colour="red")
    with pytest.raises(ValidationError, match="log"):
        claim(-0.5, "log")
    assert isinstance(claim(), Claim)
