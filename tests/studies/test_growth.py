"""How something grows, on planted series."""

from __future__ import annotations

import numpy as np
import pytest

from ntkbound.studies.growth import growth
from tests.support.planted import planted


def test_an_unresolved_slope_is_neither_growth_nor_its_absence():
    found = growth(planted([4, 8, 16, 32], lambda T: T**0.3, noise=2.0))
    assert (found.grows, found.word) == (None, "undecided"), found.reason


@pytest.mark.parametrize(
    ("word", "curve"),
    [
        ("exponential", lambda T: np.exp(0.1 * T)),
        ("power", lambda T: T**1.5),
        ("log", lambda T: np.log(T)),
        ("none", lambda T: 1 + 0 * T),
        ("none", lambda T: T**-0.5),
    ],
)
def test_planted_growth_is_recognised(word, curve):
    found = growth(planted([4, 8, 16, 32, 64], curve))
    assert (found.word, found.grows) == (word, word != "none"), found.reason
