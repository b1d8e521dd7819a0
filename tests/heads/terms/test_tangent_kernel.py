"""The tangent kernel, its drift and its infinite-width limit against explicit Jacobians."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core.errors import InputError
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, fresh_heads
from ntkbound.heads.terms import tangent_kernel
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine import memory
from ntkbound.machine.parallel import Workers
from tests.support.problems import (
    BOUNDED,
    QUERIES,
    make_inputs,
    make_model,
    make_params,
    random_labels,
)
from tests.support.reference import flat, jacobian
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)


def check_kernel(activation="tanh", query="last", n=5, m=6, T=3, d=2, seed=0):
    model, inputs = make_model(activation, query, d), make_inputs(n, T, d, query, seed)
    params = make_params(model, m, seed)
    J = jacobian(activation, params, inputs)
    for view in (model, AutogradView(model)):
        name = f"{activation}, {query}, {type(view).__name__}"
        lin = Linearized(view, params, inputs, ONE)
        kernel = tangent_kernel.tangent_kernel(lin)
        assert_close(kernel, J @ J.T, EXACT, f"kernel: {name}")
        part = tangent_kernel.tangent_kernel(lin.rows(slice(0, 2)), inputs)
        assert_close(part, (J @ J.T)[:2], EXACT, f"kernel between samples: {name}")
        v = random_labels(n, seed)
        assert_close(flat(lin.adjoint(v)), J.T @ v.numpy(), EXACT, name)
        assert_close(
            tangent_kernel.kernel_product(lin, v), J @ (J.T @ v.numpy()), EXACT, f"Θv: {name}"
        )


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", BOUNDED)
def test_the_kernel_is_the_product_of_jacobians(activation, query):
    check_kernel(activation, query)


@given(
    n=st.integers(1, 6), m=st.integers(1, 5), T=st.integers(1, 4), d=st.integers(2, 3),
    query=st.sampled_from(QUERIES), seed=st.integers(0, 100),
)  # fmt: skip
def test_the_kernel_at_any_size(n, m, T, d, query, seed):
    check_kernel("erf", query, max(n, 2), m, T, d, seed)


def forgets_the_query(self, params, inputs):
    factors = ShallowTransformer.gradient_factors.original(self, params, inputs)
    return [tangent_kernel.GradientFactor(factor.features) for factor in factors]


def weighs_samples_twice(self, params, inputs, weights, workers):
    true = ShallowTransformer.weighted_gradient_sums.original
    return true(self, params, inputs, weights * 2, workers)


@pytest.mark.parametrize("wrong", [forgets_the_query, weighs_samples_twice])
def test_a_wrong_factor_fails_the_check(wrong, monkeypatch):
    names = {
        forgets_the_query: "gradient_factors",
        weighs_samples_twice: "weighted_gradient_sums",
    }
    wrong.original = getattr(ShallowTransformer, names[wrong])
    monkeypatch.setattr(ShallowTransformer, names[wrong], wrong)
    with pytest.raises(AssertionError):
        check_kernel()


@pytest.mark.parametrize("query", ["last", "fixed"])
def test_blocks_and_threads_do_not_matter(query, monkeypatch):
    model, inputs = make_model("tanh", query, 3), make_inputs(9, 4, 3, query, 1)
    params = make_params(model, 12, 2)
    lin = Linearized(model, params, inputs, ONE)
    whole = tangent_kernel.tangent_kernel(lin)
    monkeypatch.setattr(tangent_kernel, "FEATURE_BYTES", 9 * 8 * 13 * 2)  # two heads at a time
    monkeypatch.setattr(tangent_kernel, "TILE", 4)
    blocked = tangent_kernel.tangent_kernel(lin)
    assert_close(blocked, whole, EXACT, "two heads and four rows at a time")
    two = tangent_kernel.tangent_kernel(replace(lin, workers=Workers(2)))
    assert torch.equal(blocked, two), "threads change bits"
    assert_close(blocked, blocked.mT, EXACT, "symmetry")
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    permuted = {b: v[order] for b, v in params.items()}
    again = tangent_kernel.tangent_kernel(lin.at(permuted))
    assert_close(again, whole, EXACT, "permuted heads")


def test_the_drift_by_tiles(monkeypatch):
    model, inputs = make_model("tanh", "last", 2), make_inputs(7, 3, 2, "last", 1)
    a, b = (make_params(model, 5, seed) for seed in (1, 2))
    lin = Linearized(model, a, inputs, ONE)
    before, after = (tangent_kernel.tangent_kernel(lin.at(p)) for p in (a, b))
    monkeypatch.setattr(tangent_kernel, "TILE", 3)
    change = tangent_kernel.kernel_change(lin, b)
    assert change.drift == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-12)
    assert change.norm == pytest.approx(float(before.norm()), rel=1e-12)
    assert change.trace == pytest.approx(float(before.trace()), rel=1e-12)
    assert tangent_kernel.kernel_change(lin, a).drift == 0


def test_the_infinite_width_kernel_and_its_error():
    """The streamed mean and error are those of the batches; the error is of the right size."""
    model, inputs = make_model("tanh", "last", 2), make_inputs(4, 3, 2, "last", 1)
    lin = Linearized(model, make_params(model, 2, 1), inputs, ONE)
    found = tangent_kernel.infinite_width_kernel(lin, 64, 5)
    assert found.heads == 64
    theta = fresh_heads(model, 5, 0, 64, torch.float64, "kernel")
    batches = [{b: v[i : i + 2] for b, v in theta.items()} for i in range(0, 64, 2)]
    each = torch.stack([tangent_kernel.tangent_kernel(lin.at(batch)) for batch in batches])
    assert_close(found.kernel, each.mean(0), EXACT, "mean")
    assert_close(found.error, each.std(0) / math.sqrt(32), EXACT, "standard error")
    wide = tangent_kernel.infinite_width_kernel(lin, 16384, 6)
    gap = float((found.kernel - wide.kernel).norm() / wide.kernel.norm())
    assert 0.3 < gap / found.relative_error < 3
    assert wide.relative_error < found.relative_error / 8


def test_memory_is_asked_for_before_it_is_used(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    model, inputs = make_model("tanh", "last", 2), make_inputs(3, 3, 2, "last", 1)
    with pytest.raises(InputError, match=r"3 × 3 samples needs 0\.1 GiB of memory and 0\.0 "):
        tangent_kernel.tangent_kernel(Linearized(model, make_params(model, 2, 1), inputs, ONE))


def test_available_memory_is_a_plausible_number():
    assert 1 << 24 < memory.available() < 1 << 50


def test_activations_without_bounds_have_a_kernel_too():
    assert ACTIVATIONS["relu"].constants is None
    check_kernel("relu", "mean", seed=3)
