"""A claim is about the runs that meet its conditions, whoever wrote it; of the others it is said
how many there are and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ntkbound.core.outcome import Bound
from ntkbound.core.outcome import check as beside
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.stats import check
from tests.support.synthetic import KEY, PLANTED, claim, records, registered, with_value

CONDITIONAL = replace(
    PLANTED, needs=lambda claim: ("tame", "inside") if claim.term == KEY.term else ()
)
OTHER_KEY = {"term": "another"}


@pytest.fixture(autouse=True)
def _conditions() -> Iterator[None]:
    with registered(CONDITIONAL):
        yield


def root(x: float) -> float:
    return x**-0.5


def flat(x: float) -> float:
    return 1.0


def meeting(found: list[Record], **conditions: bool | None) -> list[Record]:
    return [replace(run, conditions={"tame": True, "inside": True} | conditions) for run in found]


def with_another(run: Record) -> Record:
    """The record with the same number under a term that needs nothing."""
    return replace(run, terms={**run.terms, "another": run.terms["term"]})


def test_runs_that_meet_the_conditions_are_judged_and_the_others_left_out_by_count():
    good = meeting(records(root, noise=0.02))
    wild = [replace(run, config={**run.config, "seed": 9 + run.config["seed"]}, id=f"w{run.id}")
            for run in meeting(records(flat, noise=0.02, seeds=2), tame=False)]  # fmt: skip
    (fit,) = check([*good, *wild], [claim()]).fits
    assert (fit.verdict, fit.seeds) == ("tight", 5)
    assert "left out 12 of 42 runs: condition not met: tame" in fit.reason
    # The same runs, said to meet the conditions: the verdict flips.
    (fit,) = check([*good, *meeting(wild)], [claim()]).fits
    assert fit.verdict != "tight" and "left out" not in fit.reason


@pytest.mark.parametrize("unmet", [False, None])
def test_where_no_run_meets_them_nothing_is_judged(unmet):
    runs = meeting(records(flat, noise=0.02), inside=unmet)
    bound = beside(Quantity(*KEY), 0.1, Bound(1.0))
    result = check([replace(run, checks=(bound,)) for run in runs], [claim()])
    (fit,) = result.fits
    assert (fit.verdict, fit.p, fit.judged) == ("condition-not-met", None, False)
    assert fit.reason == "30 of 30 runs: condition not met: inside"
    assert fit.slope == pytest.approx(0, abs=0.05)  # shown, not judged
    assert [bound.verdict for bound in result.bounds] == ["holds"]
    assert (result.verdict, result.judged) == ("inconclusive", False)
    assert result.counts == "1 claim: 0 judged, 1 condition-not-met; 1 bound: 1 judged, 1 held"
    assert check(meeting(runs), [claim()]).verdict == "violated"


def test_conditions_not_met_are_told_in_their_arm_alone():
    good = meeting(records(root, n=32, noise=0.02))
    bad = meeting(records(flat, n=64, noise=0.02), tame=False)
    result = check([*good, *bad], [claim()])
    assert [(f.verdict, f.arm[0][1]) for f in result.fits] == [
        ("tight", "32"),
        ("condition-not-met", "64"),
    ]
    assert result.fits[1].reason == "30 of 30 runs: condition not met: tame; at n=64"
    assert result.verdict == "holds"


def test_every_condition_is_named_with_its_count():
    runs = meeting(records(flat, seeds=3), tame=False)
    runs[:6] = meeting(runs[:6], inside=False)
    (fit,) = check(runs, [claim()]).fits
    assert fit.reason == "18 of 18 runs: conditions not met: inside (6), tame (12)"


def test_too_few_points_left_are_inconclusive():
    runs = meeting(records(root, noise=0.02), tame=False)
    kept = [meeting([run])[0] if run.config["m"] == 16 else run for run in runs]
    (fit,) = check(kept, [claim()]).fits
    assert (fit.verdict, fit.p) == ("inconclusive", None)
    assert fit.reason == "25 of 30 runs: condition not met: tame"


def test_what_cannot_exist_for_a_task_costs_no_exit_code():
    runs = [with_another(run) for run in records(root, noise=0.02)]
    runs = [replace(with_value(run, None), terms={"another": run.terms["another"]}) for run in runs]
    claims = [claim(), claim().model_copy(update=OTHER_KEY)]
    result = check(meeting(runs, tame=False), claims)
    judged, absent = result.fits
    assert (judged.term, judged.verdict) == ("another", "tight")
    assert (absent.verdict, absent.points) == ("condition-not-met", 0)
    assert absent.reason == "30 of 30 runs: condition not met: tame"
    assert result.verdict == "holds"
    # Met, and missing all the same: that is open.
    result = check(meeting(runs), claims)
    assert (result.fits[1].verdict, result.verdict) == ("inconclusive", "inconclusive")
    assert "report this statistic" in result.fits[1].reason
