"""What follows from other fields of a config separates no arms."""

from __future__ import annotations

import math

import pytest

from ntkbound.theorems.shallow_transformer.follows import follows

ETA = {"eta": "eta_scale/sqrt(tau)"}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"tau": 400, "eta_scale": 2.0, "eta": 0.1}, ETA),
        ({"tau": 7, "eta_scale": 1.0, "eta": 1 / math.sqrt(7)}, ETA),
        ({"tau": 400, "eta_scale": 2.0, "eta": None}, ETA),
        ({"tau": 400, "eta_scale": 2.0, "eta": 0.2}, {}),
        ({"tau": 400, "eta_scale": None, "eta": 0.1}, {}),
        ({"lag": 4, "positions": "sincos", "T": 5, "d": 3}, {"T": "lag + 1"}),
        ({"lag": 4, "positions": "onehot"}, {"T": "lag + 1", "d": "lag + 2"}),
        ({"lag": None, "positions": None, "T": 16, "d": 8}, {}),
        ({}, {}),
    ],
)
def test_fields_that_follow(config, found):
    assert follows(config) == found
