"""What is said of y and "at most x^b" is said of 1/y and "at least x^−b"."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ntkbound.stats import Series, Verdict
from ntkbound.stats.forms import rate
from tests.support.calibration import Law, claim, draw
from tests.support.synthetic import KEY

MIRRORED = {"faster": {"holds", "tight"}}  # decay faster than a lower claim has no word of its own
LAWS = {
    "violated": Law(-0.3, 6, 5, 0.03),
    "inconclusive": Law(-0.5, 6, 5, 0.08, shift=2.0),
    "tight": Law(-0.5, 6, 5, 0.03),
    "faster": Law(-1.0, 6, 5, 0.03),
    "holds": Law(-0.6, 4, 10, 0.25),
}


def series(law: Law, stream: int) -> Series:
    return draw(np.random.default_rng(stream), 1, law)[0]


def inverse(one: Series) -> Series:
    return Series(one.axis, *KEY, one.arm, one.points, 1 / one.values, one.seeds)


def both(one: Series, b: float) -> tuple[rate.Case, rate.Case]:
    """The upper claim and its mirror."""
    return tuple(
        rate.prepare([(claim(sign * b, kind=kind), about)])[0]
        for sign, kind, about in ((1, "upper", one), (-1, "lower", inverse(one)))
    )


def concluded(cases: tuple[rate.Case, rate.Case]) -> tuple[Verdict, Verdict]:
    return tuple(rate.conclude(case, case.p()) for case in cases)


def agree(upper: Verdict, lower: Verdict) -> None:
    assert lower.verdict in MIRRORED.get(upper.verdict, {upper.verdict})
    assert lower.p == pytest.approx(upper.p, rel=1e-6, abs=1e-12)
    assert lower.slope == pytest.approx(-upper.slope, abs=1e-9)
    assert (lower.low, lower.high) == pytest.approx((-upper.high, -upper.low), abs=1e-9)
    told = "not reached yet" in upper.reason, "not reached yet" in lower.reason
    assert told[0] == told[1]


@given(
    b=st.floats(-2, 1),
    gap=st.floats(-0.6, 0.6),
    shift=st.sampled_from([0.0, 0.5, 2.0, 8.0]),
    noise=st.sampled_from([0.01, 0.05, 0.1, 0.3]),
    points=st.integers(3, 8),
    seeds=st.integers(3, 10),
    stream=st.integers(0, 10_000),
)
def test_a_lower_claim_is_the_mirror_of_an_upper_one(b, gap, shift, noise, points, seeds, stream):
    cases = both(series(Law(b + gap, points, seeds, noise, shift=shift), stream), b)
    assume(all(case.other is None for case in cases))  # a floor is none of the inverse
    agree(*concluded(cases))


@pytest.mark.parametrize("word", LAWS)
def test_every_verdict_has_its_mirror(word):
    upper, lower = concluded(both(series(LAWS[word], 4), -0.5))
    assert upper.verdict == word
    agree(upper, lower)
    if word == "inconclusive":
        assert "not reached yet" in lower.reason
