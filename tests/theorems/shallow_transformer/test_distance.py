"""The proved lower bound on the error inside Ω_ρ: below every point of the ball, and attained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params, symmetric_init
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.membership.distance import least_rmse
from tests.support.problems import make_inputs, make_model
from tests.support.tolerances import ROUNDING

EXACT = ROUNDING[torch.float64]
M, N = 12, 10
RHO = {"c": 0.4, "U": 0.7, "W": 1.1}


@pytest.fixture(scope="module")
def lin():
    model = make_model("tanh", "last", 3)
    initial = symmetric_init(model, M, 3, torch.float64)
    return Linearized(model, initial, make_inputs(N, 4, 3, "last", 5), Workers(1))


def numbers(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def inside(lin, towards: Params) -> Params:
    """φ_0 moved to the boundary of Ω_ρ, each head and block along its own part of ``towards``."""
    moved = {}
    for block, start in lin.initial.items():
        step = towards[block].reshape(M, -1)
        step = step / step.norm(dim=1, keepdim=True) * RHO[block] / math.sqrt(M)
        moved[block] = start + step.reshape(start.shape)
    return moved


def test_no_point_of_the_ball_is_nearer(lin):
    y = 0.5 * numbers(1, N)
    for seed in range(20):
        towards = {b: numbers([seed, k], *v.shape) for k, (b, v) in enumerate(lin.initial.items())}
        if seed % 2:
            towards = lin.adjoint(y)  # towards the labels
        params = inside(lin, towards)
        error = float((lin.outputs(params) - lin.linear_outputs(params)).abs().max())
        left = y - lin.outputs(params)
        measured = float(left.norm()) / math.sqrt(N)
        for z in (left, numbers(seed, N), y):
            assert least_rmse(lin, y, z, RHO, error) <= measured


def test_the_distance_from_the_linear_class_is_attained(lin):
    """Labels t beyond a supporting point of the linear class, along its normal, are t away."""
    z = numbers(7, N)
    z /= z.norm()
    extreme = lin.linear_outputs(inside(lin, lin.adjoint(z)))
    for t in (0.0, 0.3):
        found = least_rmse(lin, extreme + t * z, 2.0 * z, RHO, 0.0)
        assert found == pytest.approx(t / math.sqrt(N), abs=EXACT)


def test_the_linearization_error_is_taken_off(lin):
    z, y = torch.full((N,), 3.0, dtype=torch.float64), 9.0 * torch.ones(N, dtype=torch.float64)
    free = least_rmse(lin, y, z, RHO, 0.0)
    assert free - least_rmse(lin, y, z, RHO, 0.2) == pytest.approx(0.2)
    assert least_rmse(lin, y, 0 * z, RHO, 0.2) == -0.2, "no direction, no bound"
