"""Minimum-norm displacements and the computed transport against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.terms import kernel_regression as membership
from ntkbound.heads.terms import tangent_kernel
from ntkbound.machine.parallel import Workers
from tests.support.problems import (
    QUERIES,
    make_case,
    make_inputs,
    make_model,
    make_params,
    random_labels,
)
from tests.support.reference import flat, jacobian
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)


@pytest.mark.parametrize("query", QUERIES)
def test_the_displacement_is_the_least_squares_one(query):
    """Against NumPy's minimum-norm solution, and through f_lin of the package."""
    lin, task, _, _ = make_case(query, n=6, m=8)
    J = jacobian("tanh", lin.initial, task.inputs)
    (fit,) = membership.kernel_fits(tangent_kernel.tangent_kernel(lin), task.y, [0.0])
    delta = membership.minimum_norm_displacement(lin, fit.alpha)
    truth = np.linalg.lstsq(J, task.y.numpy(), rcond=None)[0]
    assert_close(flat(delta), truth, 1e-8, "minimum norm")
    assert fit.rkhs_norm == pytest.approx(np.linalg.norm(truth), rel=1e-9)
    assert fit.displacement_norm == pytest.approx(fit.rkhs_norm, rel=1e-9)
    assert fit.residual < 1e-10
    moved = {b: lin.initial[b] + delta[b] for b in delta}
    assert_close(lin.linear_outputs(moved), task.y, 1e-9, "f_lin = y")
    nu = membership.required_nu(delta)
    for block, value in delta.items():
        sizes = [np.linalg.norm(head) for head in value.numpy()]
        assert nu[block] == pytest.approx(math.sqrt(8) * max(sizes)), block
    assert math.sqrt(sum(v**2 for v in nu.values())) >= fit.displacement_norm


@given(st.integers(0, 50), st.floats(1e-6, 1e3))
def test_a_ridge_fit_is_the_regularised_solution(seed, ridge):
    model, inputs = make_model("tanh", "last", 2), make_inputs(5, 3, 2, "last", seed)
    y = random_labels(5, seed)
    lin = Linearized(model, make_params(model, 6, seed), inputs, ONE)
    kernel = tangent_kernel.tangent_kernel(lin)
    exact, fit = membership.kernel_fits(kernel, y, [0.0, ridge])
    K, v = kernel.numpy(), y.numpy()
    alpha = np.linalg.solve(K + ridge * np.trace(K) / 5 * np.eye(5), v)
    assert_close(fit.alpha, alpha, 1e-7, "α")
    assert fit.residual == pytest.approx(
        np.linalg.norm(v - K @ alpha) / np.linalg.norm(v), rel=1e-6
    )
    assert fit.rkhs_norm == pytest.approx(math.sqrt(v @ alpha), rel=1e-6)
    assert fit.displacement_norm == pytest.approx(math.sqrt(alpha @ K @ alpha), rel=1e-6)
    assert fit.displacement_norm <= fit.rkhs_norm <= exact.rkhs_norm * (1 + 1e-9)


def test_directions_beyond_float64_stay_unfitted():
    """Rank one: only the part of y along it is fitted, the rest is the residual."""
    u = torch.tensor([0.6, 0.8], dtype=torch.float64)
    (fit,) = membership.kernel_fits(torch.outer(u, u), torch.tensor([1.0, 0.0]).double(), [0.0])
    assert fit.displacement_norm == pytest.approx(0.6)
    assert fit.residual == pytest.approx(0.8)


def test_the_computed_transport_lies_in_its_own_class():
    """φ̃ = φ_0 + Δ block by block, inside Ω_ν of the realised ν; no labels, no displacement."""
    lin, task, _, _ = make_case(n=5, m=6)
    found, at = membership.with_computed_transport(lin, task, 0.0)
    assert found.transport is not None
    for block, value in at.items():
        v = math.sqrt(6) * (value - lin.initial[block])
        largest = max(np.linalg.norm(head) for head in v.numpy())
        assert found.transport.nu[block] == pytest.approx(largest, rel=1e-12)
    assert_close(lin.linear_outputs(at), task.y, 1e-9, "f_lin(φ̃) = y")
    zero = type(task)(task.inputs, torch.zeros(5).double(), 1.0, 1.0)
    _, still = membership.with_computed_transport(lin, zero, 0.0)
    assert all(torch.equal(still[b], v) for b, v in lin.initial.items())
