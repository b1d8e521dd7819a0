"""The linearized loss curve against a linear model that is trained."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.heads.terms import tangent_kernel
from ntkbound.heads.terms.linear_dynamics import (
    SpectralMeasure,
    dense_measure,
    lanczos_measure,
    parting_step,
    products_needed,
)
from ntkbound.machine.parallel import Workers
from tests.support.problems import (
    QUERIES,
    make_case,
)
from tests.support.reference import jacobian
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)


def trained_linear(J, r, eta, tau):
    """R̂ of f_lin along plain gradient descent on the displacement itself."""
    delta, losses = np.zeros(J.shape[1]), []
    for _ in range(tau + 1):
        residual = r + J @ delta
        losses.append(np.mean(residual**2))
        delta -= eta * (2 / len(r)) * J.T @ residual
    return np.array(losses)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("measure", ["dense", "lanczos"])
def test_the_prediction_is_a_trained_linear_model(query, measure):
    lin, task, _, _ = make_case(query, n=8, m=10)
    J = jacobian("tanh", lin.initial, task.inputs)
    r = lin.outputs(lin.initial) - task.y
    tau, eta = 60, 1.5
    if measure == "dense":
        found = dense_measure(tangent_kernel.tangent_kernel(lin), r)
    else:
        product = partial(tangent_kernel.kernel_product, lin)
        found = lanczos_measure(product, r, products_needed(tau))
    truth = trained_linear(J, r.numpy(), eta, tau)
    assert_close(found.losses(eta, np.arange(tau + 1)), truth, 1e-12, f"{query}, {measure}")
    assert truth[-1] < 0.9 * truth[0]


@settings(max_examples=15)
@given(st.integers(1, 400), st.integers(0, 20))
def test_lanczos_is_exact_with_the_products_it_asks_for(steps, seed):
    """A spectrum over [0, 2], the whole range of a stable step: the hardest case."""
    rng = np.random.default_rng(seed)
    values = np.sort(rng.uniform(0, 2, 500))
    r = torch.from_numpy(rng.standard_normal(500))
    scaled = torch.from_numpy(values) * 500 / 2  # η = 1: factors 1 − λ cover [−1, 1]
    found = lanczos_measure(lambda v: scaled * v, r, products_needed(steps))
    truth = SpectralMeasure(scaled.numpy(), r.square().numpy(), 500)
    at = np.array([0, steps])
    gap = np.abs(found.losses(1.0, at) - truth.losses(1.0, at)).max()
    assert gap <= 1e-11 * truth.losses(1.0, at)[0]


def test_lanczos_stops_at_an_invariant_space_and_at_zero():
    values = torch.tensor([1.0, 1.0, 2.0, 2.0], dtype=torch.float64)
    found = lanczos_measure(lambda v: values * v, torch.ones(4, dtype=torch.float64), 4)
    assert found.values == pytest.approx([1, 2]) and found.weights == pytest.approx([2, 2])
    nothing = lanczos_measure(lambda v: values * v, torch.zeros(4, dtype=torch.float64), 4)
    assert nothing.losses(0.1, np.array([0, 5])).tolist() == [0, 0]


def test_a_step_beyond_stability_is_infinite_not_nan():
    measure = SpectralMeasure(np.array([0.0, 10.0]), np.array([1.0, 1.0]), 2)
    losses = measure.losses(1.0, np.array([0, 10_000]))
    assert losses[0] == 1 and losses[1] == math.inf


def test_the_parting_is_the_first_recorded_step_outside_the_tolerance():
    steps, predicted = np.array([0, 1, 4, 9]), np.array([1.0, 0.5, 0.25, 0.1])
    assert parting_step(steps, predicted * [1, 1.04, 1.06, 2], predicted, 0.05) == 4
    assert parting_step(steps, predicted * [1, 0.94, 1, 1], predicted, 0.05) == 1
    assert parting_step(steps, predicted * 1.04, predicted, 0.05) is None
    assert parting_step(steps, predicted, np.array([1.0, 0.5, np.inf, np.inf]), 0.05) == 4
