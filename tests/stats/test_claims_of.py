"""Two theorems that call different numbers by one name: each claim is about its own records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ntkbound.core.claim import Claim
from ntkbound.core.record import Record
from ntkbound.stats import check, claims_of
from ntkbound.theorems.least_squares import CLAIM, GAP, THEOREM
from tests.support.synthetic import records, registered

BOUNDED = CLAIM.model_copy(update={"exponent": 0.0})
TWIN = replace(THEOREM, name="twin", claims=(BOUNDED,))


@pytest.fixture(autouse=True)
def _both() -> Iterator[None]:
    with registered(THEOREM, TWIN):
        yield


def runs(theorem: str, exponent: float) -> list[Record]:
    """Runs of a theorem whose gap falls like steps^exponent."""
    found = records(lambda x: x**exponent, axis="steps", points=(4, 8, 16, 32), noise=0.02)
    return [
        replace(
            run,
            id=f"{theorem}-{run.id}",
            theorem=theorem,
            terms={GAP.term: {GAP.probe: {GAP.statistic: run.terms["term"]["probe"]["max"]}}},
        )
        for run in found
    ]


def test_a_claim_is_judged_on_the_records_of_its_theorem():
    mixed = [*runs(THEOREM.name, -1.0), *runs(TWIN.name, 0.0)]
    result = check(mixed, claims_of(mixed))
    assert [(dict(fit.arm)["theorem"], fit.claimed, fit.verdict) for fit in result.fits] == [
        (THEOREM.name, -1.0, "tight"),
        (TWIN.name, 0.0, "tight"),
    ]
    assert result.verdict == "holds"
    # As claims of anybody's, they are about both, and the twin's runs violate the other's.
    both = check(mixed, [CLAIM, BOUNDED])
    assert len(both.fits) == 4 and both.verdict == "violated"


def test_nothing_more_is_printed_of_the_arm():
    alone = runs(THEOREM.name, -1.0)
    assert claims_of(alone) == [CLAIM]
    (fit,) = check(alone, claims_of(alone)).fits
    assert fit.as_json()["where"] == dict(fit.arm) == {}
    mixed = [*alone, *runs(TWIN.name, 0.0)]
    fit, _ = check(mixed, claims_of(mixed)).fits
    assert fit.as_json()["where"] == dict(fit.arm) == {"theorem": THEOREM.name}
    assert fit.reason.count("theorem") == 1


def test_an_order_is_claimed_of_records_with_both_arms():
    order = Claim(**CLAIM.key._asdict(), form="order", smaller={"steps": 32}, larger={"steps": 4})
    absent = order.model_copy(update={"larger": {"steps": 5}})
    with registered(replace(THEOREM, claims=(order, absent))):
        assert claims_of(runs(THEOREM.name, -1.0)) == [order]
