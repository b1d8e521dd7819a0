"""Errors summed over heads without their signs, against head-by-head NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.head_errors import head_sums, linearization_head_sums
from ntkbound.heads.terms.linearization import linearization_errors
from tests.support import reference
from tests.support.problems import QUERIES, in_ball, make_case
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]


def one_head(params, i):
    return {b: v[i : i + 1] for b, v in params.items()}


@pytest.mark.parametrize("query", QUERIES)
def test_they_are_the_sums_of_sizes(query):
    lin, _, radii, transported = make_case(query)
    at = in_ball(lin.initial, radii, 5, boundary=False)
    linear, change = np.zeros(lin.inputs.n), np.zeros(lin.inputs.n)
    for i in range(lin.heads):
        base, now, goal = (one_head(p, i) for p in (lin.initial, at, transported))
        moved, far = ({b: now[b] - p[b] for b in now} for p in (base, goal))
        slope = reference.directional("tanh", base, moved, lin.inputs)
        before, after = (reference.outputs("tanh", p, lin.inputs) for p in (base, now))
        linear += np.abs(after - before - slope)
        change += np.abs(
            reference.directional("tanh", now, far, lin.inputs)
            - reference.directional("tanh", base, far, lin.inputs)
        )
    root = math.sqrt(lin.heads)
    both = head_sums(lin, at, transported)
    assert_close(both[0], linear / root, EXACT, "linearization")
    assert_close(both[1], change / root, EXACT, "change of feature")
    assert_close(linearization_head_sums(lin, at), both[0], EXACT, "by itself")
    errors = linearization_errors(lin, at), change_of_feature_errors(lin, at, transported)
    for sums, signed in zip(both, errors, strict=True):
        assert bool((signed.abs() <= sums + EXACT).all()), "the triangle inequality"
