"""What is declared is what is measured, and what is claimed is understood."""

from __future__ import annotations

import pytest

from ntkbound.core.claim import Along
from ntkbound.core.preset import load_preset
from ntkbound.machine.tools import Tools
from ntkbound.theorems.encoder_only import THEOREM, statement
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.presets import PRESETS
from ntkbound.theorems.encoder_only.run import run

SMALL = {"N": 4, "ds": 3, "d": 5, "dm": 16, "tau": 12}


def measured(workers, **fields):
    terms = run(Config(**fields), Tools(workers)).terms
    return {(t, p, s) for t, probes in terms.items() for p, one in probes.items() for s in one}


def test_every_quantity_is_measured_and_nothing_else(workers):
    found = measured(
        workers, **SMALL, init="ntk", scaling="one", hessian=True, kernel_every=5, gamma=1.9
    )
    found |= measured(workers, task="images", dm=8, epochs=1)
    found |= measured(workers, **(SMALL | {"tau": 400, "dm": 64}), step="adaptive")
    assert found == {tuple(quantity.key) for quantity in statement.QUANTITIES}


@pytest.mark.parametrize("claim", statement.CLAIMS, ids=lambda claim: claim.title)
def test_every_claim_is_understood(claim):
    THEOREM.understand(claim)
    assert claim.label
    assert claim.status == "stated" or claim.reason


def test_titles_tell_claims_apart():
    titles = [claim.title for claim in statement.CLAIMS]
    assert len(set(titles)) == len(titles)


def test_what_is_known_to_be_false():
    refuted = [claim.title for claim in statement.CLAIMS if claim.status == "refuted"]
    assert refuted == [
        "Lemma 1 as printed", "Theorem 3, LeCun", "Theorem 3, He", "Lemma 19",
        "Lemma 15, λ_0 whatever N",
    ]  # fmt: skip


def test_no_order_at_steps_of_their_own_is_gated_on():
    orders = [*statement.SCALING.values(), *statement.INITIALISATION.values()]
    gated = [claim for claim in orders if claim.status == "stated"]
    assert gated
    for claim in gated:
        assert claim.where.get("step") == "fixed" or claim.where.get("gamma_of") == "half"


def test_conditions_that_claims_need():
    by_title = {claim.title: set(statement.needs(claim)) for claim in statement.CLAIMS}
    prop_1 = {statement.WIDE, statement.PROP_1}
    assert by_title["Proposition 1 as its proof has it"] == prop_1
    assert by_title["Proposition 1 as stated"] == prop_1
    assert by_title["Theorem 1, (2) with C = 1"] == {statement.TWO_ONE}
    assert by_title["Theorem 1, (3) with C = 1"] == {statement.THREE_ONE}
    assert by_title["Theorem 2, (2) repaired"] == set()
    assert by_title["Assumption 3"] == {statement.ASSUMPTION_3}
    others = [c for c in statement.KERNEL if isinstance(c, Along)]
    assert not any(statement.needs(claim) for claim in others)


def test_needed_conditions_are_recorded(workers):
    found = run(Config(**SMALL), Tools(workers)).conditions
    needed = {name for claim in statement.CLAIMS for name in statement.needs(claim)}
    assert needed <= found.keys()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_read(name):
    preset = load_preset(f"encoder-only/{name}")
    assert preset.configs()
    assert all(isinstance(config, Config) for config in preset.configs())


def test_claims_of_presets_are_those_of_the_statement():
    small = {claim.title: claim for claim in load_preset("encoder-only/small").claims}
    assert small.keys() == {claim.title for claim in statement.CLAIMS}
    for claim in statement.CLAIMS:
        told = small[claim.title]
        assert told.model_copy(update={"where": claim.where}) == claim
        assert claim.where.keys() <= told.where.keys()
    assert load_preset("encoder-only/encoder-only-images").claims == statement.IMAGES
