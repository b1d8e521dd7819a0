"""What tables and figures call a number: every one has a name of its own, and axes have letters."""

from __future__ import annotations

from collections import Counter

import pytest

from ntkbound.core.claim import STEP
from ntkbound.core.registry import find as find_theorem
from ntkbound.core.registry import names
from ntkbound.studies import studies


@pytest.mark.parametrize("name", names())
def test_every_number_has_a_label_of_its_own(name):
    counts = Counter(quantity.label for quantity in find_theorem(name).quantities)
    assert not counts[""]
    assert [label for label, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("name", sorted(studies()))
def test_whatever_a_study_shows_has_a_label(name):
    assert all(quantity.label for quantity in studies()[name].measured)


@pytest.mark.parametrize("name", names())
def test_symbols_are_of_fields(name):
    theorem = find_theorem(name)
    assert set(theorem.symbols) <= {STEP, *theorem.config.model_fields}


def test_a_ratio_is_called_by_both_symbols():
    theorem = find_theorem("shallow-transformer")
    assert (theorem.symbol("rho/nu"), theorem.symbol("m")) == ("ρ/ν", "m")
