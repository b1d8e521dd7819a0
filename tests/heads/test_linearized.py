"""Linearized: f, f_lin and their gradients at any point, on some samples, for many runs at once."""

from __future__ import annotations

import pytest
import torch

from ntkbound.heads.model import together
from ntkbound.heads.terms.linearization import linearization_errors
from tests.support.problems import QUERIES, in_ball, make_case, make_inputs, random_labels
from tests.support.reference import flat, jacobian
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]


@pytest.mark.parametrize("query", QUERIES)
def test_the_linear_model_is_the_jacobian_at_the_start(query):
    lin, _, radii, _ = make_case(query)
    J = jacobian("tanh", lin.initial, lin.inputs)
    at = in_ball(lin.initial, radii, 5, boundary=False)
    moved = flat(at) - flat(lin.initial)
    assert_close(lin.linear_outputs(at), J @ moved, EXACT, "f_lin")
    weights = random_labels(lin.inputs.n, seed=6)
    assert_close(flat(lin.adjoint(weights)), J.T @ weights.numpy(), EXACT, "Jᵀw")
    there = jacobian("tanh", at, lin.inputs)
    assert_close(lin.squared_feature_norms(at), (there**2).sum(1), EXACT, "‖∇f‖²")
    slopes = lin.at(at).tangent(at, lin.initial, at)[1]
    assert_close(slopes, -there @ moved, EXACT, "⟨∇f(φ), φ_0 − φ⟩")


def test_some_samples_and_others():
    lin, _, radii, _ = make_case()
    at = in_ball(lin.initial, radii, 5, boundary=False)
    for rows in (slice(1, 3), torch.tensor([4, 0])):
        assert torch.equal(lin.rows(rows).outputs(at), lin.outputs(at)[rows])
    other = make_inputs(2, 4, 3, "last", seed=9)
    assert lin.on(other).linear_outputs(at).shape == (2,)
    assert not torch.equal(lin.on(other).outputs(at), lin.outputs(at)[:2])
    assert (lin.heads, lin.m) == (6, 6)


def test_runs_together_have_the_bits_of_each():
    lin, _, radii, _ = make_case()
    points = [in_ball(lin.initial, radii, seed, boundary=True) for seed in range(3)]
    whole = lin.at(together(*[lin.initial] * 3))
    found = linearization_errors(whole, together(*points))
    for errors, at in zip(found, points, strict=True):
        assert torch.equal(errors, linearization_errors(lin, at))
