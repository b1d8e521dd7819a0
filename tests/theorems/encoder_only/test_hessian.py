"""The Hessian's norm against the whole matrix, on one rank and on two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ntkbound.machine.ranks import ALONE
from ntkbound.theorems.encoder_only import hessian
from ntkbound.theorems.encoder_only.hessian import hessian_norm
from tests.theorems.encoder_only.support import drawn, leaves, outputs


def whole(problem, weights):
    """All second derivatives of f(X_1), in one matrix."""
    blocks = leaves(weights)
    shapes, sizes = [b.shape for b in blocks], [b.numel() for b in blocks]
    one = replace(problem, X=problem.X[:1], y=problem.y[:1])

    def f(theta):
        parts = (p.reshape(s) for p, s in zip(theta.split(sizes), shapes, strict=True))
        return outputs(one, *parts)[0]

    theta = torch.cat([b.detach().flatten() for b in blocks])
    return torch.func.hessian(f)(theta)


@pytest.mark.parametrize("init", ["lecun", "he", "ntk"])
@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_norm_is_the_largest_eigenvalue_in_size(init, pooling):
    for seed in range(3):
        problem, weights = drawn(seed, N=2, init=init, pooling=pooling)
        values = torch.linalg.eigvalsh(whole(problem, weights))
        found = hessian_norm(problem, weights, ALONE)
        assert found == pytest.approx(float(values.abs().max()), rel=1e-4)
        assert found <= float(values.abs().max()) * (1 + 1e-12)  # from below


def test_eigenvalues_of_both_signs():
    """One token of one dimension: f is bilinear in w_O and W_V, the spectrum symmetric."""
    problem, weights = drawn(1, N=1, ds=1, d=1, dm=6)
    values = torch.linalg.eigvalsh(whole(problem, weights))
    assert float(values[0]) == pytest.approx(-float(values[-1]), rel=1e-12)
    assert hessian_norm(problem, weights, ALONE) == pytest.approx(float(values[-1]), rel=1e-12)


def test_more_products_come_nearer(monkeypatch):
    problem, weights = drawn(2, N=1, ds=4, d=5, dm=12)
    exact = float(torch.linalg.eigvalsh(whole(problem, weights)).abs().max())
    monkeypatch.setattr(hessian, "TOLERANCE", 0.0)
    found = []
    for products in (1, 4, 16, 60):
        monkeypatch.setattr(hessian, "PRODUCTS", products)
        found.append(hessian_norm(problem, weights, ALONE))
    assert found == sorted(found) and found[-1] == pytest.approx(exact, rel=1e-10)


def test_a_network_without_curvature():
    problem, weights = drawn(3, N=1)
    dead = replace(weights, V=torch.zeros_like(weights.V), O=torch.zeros_like(weights.O))
    assert hessian_norm(problem, dead, ALONE) == 0.0


def test_it_falls_with_width_for_ntk_and_not_for_lecun():
    """Theorem 3 at τ0 = 1/dm, d = 8, ds = 4, raw: slopes −.50 and −.04 in the specification."""
    widths, slopes = (64, 256, 1024), {}
    for init in ("ntk", "lecun"):
        logs = [np.mean([np.log(hessian_norm(*drawn(seed, N=1, ds=4, d=8, dm=dm, tau0=1 / dm,
                                                    init=init), ALONE)) for seed in range(4)])
                for dm in widths]  # fmt: skip
        slopes[init] = np.polyfit(np.log(widths), logs, 1)[0]
    assert -0.75 < slopes["ntk"] < -0.3
    assert -0.2 < slopes["lecun"] < 0.2
