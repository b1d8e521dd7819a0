"""What the theorem declares: every number a run records, and what each claim needs."""

from __future__ import annotations

import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key
from ntkbound.theorems.shallow_transformer import THEOREM
from ntkbound.theorems.shallow_transformer.statement import (
    ALIGNED,
    APPROXIMATION,
    COF,
    COF_WORST,
    FEATURE_NORM,
    FINAL_MSE,
    IN_BALL,
    INDEPENDENT,
    INSIDE,
    MIN_MSE,
    PROJECTED,
    SMALL_STEP,
    TRAJECTORY,
    TRANSPORT,
    TRANSPORTED,
    WORST,
    _claim,
    needs,
)
from tests.theorems.shallow_transformer.test_judge import outcome

GUARANTEE = {TRANSPORT, PROJECTED, INSIDE, SMALL_STEP}


@pytest.mark.parametrize("fields", [{}, {"model": "indrnn", "omega": 0.5}, {"query": "fixed"}])
def test_every_number_of_a_run_is_declared(fields):
    declared = {quantity.key for quantity in THEOREM.quantities}
    measured = {
        Key(term, probe, statistic)
        for term, probes in outcome(**fields).terms.items()
        for probe, statistics in probes.items()
        for statistic in statistics
    }
    assert measured <= declared


def test_every_claim_of_the_theorem_is_understood():
    for claim in THEOREM.claims:
        THEOREM.understand(claim)
    with pytest.raises(InputError, match="probe: 'wrst' is unknown; did you mean 'worst'"):
        THEOREM.understand(THEOREM.claims[1].model_copy(update={"probe": "wrst"}))


@pytest.mark.parametrize(
    ("quantity", "axis", "expected"),
    [
        (WORST, "m", set()),
        (ALIGNED, "m", set()),
        (TRAJECTORY, "m", {IN_BALL}),
        (TRANSPORTED, "m", {TRANSPORT, INDEPENDENT}),
        (TRANSPORTED, "rho", {TRANSPORT}),
        (APPROXIMATION, "tau", {TRANSPORT, INDEPENDENT}),
        (COF_WORST, "m", {TRANSPORT, INDEPENDENT}),
        (COF_WORST, "m/n", {TRANSPORT, INDEPENDENT}),
        (COF, "tau", {TRANSPORT, IN_BALL}),
        (MIN_MSE, "tau", GUARANTEE),
        (MIN_MSE, "m", GUARANTEE | {INDEPENDENT}),
        (MIN_MSE, "T", set()),
        (FINAL_MSE, "tau", set()),
        (FEATURE_NORM, "T", {IN_BALL}),
    ],
)
@pytest.mark.parametrize("kind", ["upper", "tight"])
def test_what_a_claim_needs_is_a_matter_of_what_it_is_about(quantity, axis, expected, kind):
    assert set(needs(_claim(quantity, axis, kind=kind, exponent=-3))) == expected
