"""What looks may spend: shares sum to one, and every form of claim is judged at its look's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core.claim import STEP, Claim
from ntkbound.core.quantity import Key
from ntkbound.stats import Series
from ntkbound.stats.applicability import Concern
from ntkbound.stats.claims import judge_concerns
from ntkbound.stats.levels import ONCE, Levels, plan_looks
from ntkbound.stats.margins import CONFIDENCE, MIN_SEEDS, VIOLATION_MARGIN
from ntkbound.stats.samples import Pairs, Sample
from tests.support.calibration import Law
from tests.support.calibration_looks import alarms, unspent

KEY = Key("value", "", "")
SEEDS = 6


@given(st.integers(1, 60), st.integers(0, 400))
def test_a_plan_spends_everything_once(first, more):
    plan = plan_looks(first, first + more)
    seeds = [look.seeds for look in plan]
    assert all(before < after for before, after in pairwise(seeds))
    assert (seeds[0], seeds[-1]) == (min(max(first, MIN_SEEDS), first + more), first + more)
    assert sum(look.levels.share for look in plan) == pytest.approx(1)
    assert all(look.levels.share > 0 for look in plan)
    spent = sum(1 - look.levels.confidence for look in plan)
    assert spent == pytest.approx(1 - CONFIDENCE)


def test_one_look_is_a_plain_check():
    (look,) = plan_looks(5, 5)
    assert look.levels == ONCE
    assert ONCE.confidence == CONFIDENCE  # to the bit
    assert ONCE.corrected(0.0123) == 0.0123


def names(seeds: int) -> tuple[str, ...]:
    return tuple(map(str, range(seeds)))


def line(axis: str = "m", noise: float = 0.2) -> Series:
    rng = np.random.default_rng(3)
    x = np.geomspace(1, 32, 6)
    values = x**-0.42 * np.exp(rng.normal(0, noise, (SEEDS, 6)))
    return Series(axis, *KEY, (), x, values, names(SEEDS))


def cell(values) -> Sample:
    numbers = np.array(values, dtype=float)
    return Sample(KEY, (), numbers, np.empty(0), names(len(numbers)), np.arange(len(numbers)))


def along(**rest) -> Claim:
    return Claim(**({"column": "value", "axis": "m", "kind": "upper"} | rest))


SPREAD = [0.9, 1.1, 1.3, 0.8, 1.2, 1.05]
CASES = {
    "rate": (along(exponent=-0.5), line()),
    "floor": (along(exponent=-0.5, floor=True), line(noise=0.02)),
    "inside": (along(exponent=-0.5, axis=STEP), line(STEP)),
    "exponential": (along(form="exponential", rate=0.1), line()),
    "level": (Claim(column="value", form="level", kind="upper", level=1.0), cell(SPREAD)),
    "fraction": (
        Claim(column="value", form="fraction", kind="lower", share=0.9),
        cell([1, 1, 0, 1, 1, 1]),
    ),
}


@pytest.mark.parametrize("form", CASES)
def test_every_form_is_judged_at_the_level_of_its_look(form):
    claim, evidence = CASES[form]
    share = 0.3
    (once,), (look,) = (
        judge_concerns([claim], [Concern([evidence])], levels) for levels in (ONCE, Levels(share))
    )
    assert look.low < once.low < once.estimate == look.estimate < once.high < look.high
    assert look.p == min(1.0, once.p / share)
    assert (once.confidence, look.confidence) == (CONFIDENCE, Levels(share).confidence)
    assert look.reason.endswith("; interval at 98.5 %")
    assert "interval" not in once.reason


def test_an_order_is_judged_at_the_level_of_its_look():
    claim = Claim(column="value", form="order", smaller={"a": 1}, larger={"a": 2})
    values = np.array(SPREAD)
    larger = values + np.array([0.5, 0.1, 0.4, 0.2, 0.6, 0.05])
    pairs = Pairs(KEY, (), values, larger, names(SEEDS), np.arange(2 * SEEDS))
    once, look = (
        judge_concerns([claim], [Concern([pairs])], levels)[0] for levels in (ONCE, Levels(0.01))
    )
    assert (once.verdict, look.verdict) == ("holds", "inconclusive")
    assert look.wants == "seeds"


def wanted(claim: Claim, evidence: object) -> tuple[str, str]:
    (found,) = judge_concerns([claim], [Concern([evidence])])
    return found.verdict, found.wants


def test_what_an_open_claim_wants_is_a_field():
    few = Series("m", *KEY, (), np.geomspace(1, 32, 6), line().values[:2], ("0", "1"))
    short = Series("m", *KEY, (), line().points[:2], line().values[:, :2], line().seeds)
    assert wanted(along(exponent=-0.5), few) == ("inconclusive", "seeds")
    assert wanted(along(exponent=-0.5), short) == ("inconclusive", "range")
    assert wanted(along(exponent=-0.5), line()) == ("inconclusive", "seeds")
    assert wanted(along(exponent=-0.5), line(noise=0.02))[1] == ""
    assert wanted(*CASES["level"]) == ("inconclusive", "seeds")
    assert wanted(*CASES["fraction"]) == ("inconclusive", "seeds")


def test_looks_that_spend_nothing_would_err_too_often():
    """Fifteen claims at the very edge of true: the plan keeps 1 %, repeated checks do not."""
    plan = plan_looks(5, 20)
    law = Law(VIOLATION_MARGIN, 6, 20, 0.3)
    rng = np.random.default_rng(1)
    spent, repeated = alarms(rng, 400, law, (plan, unspent(plan)))
    assert spent <= 1.5
    assert repeated >= 3
