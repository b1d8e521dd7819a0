"""The a-priori bounds against the worst of what they must cover: any inputs, any φ̃ ∈ Ω_ν.

They know neither, so no valid one can be smaller than what some admissible problem attains. The
problems here have tokens ±e (half of each): ‖M‖ = 1 − ‖a‖² wherever attention goes.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Inputs, symmetric_init
from ntkbound.heads.terms.worst import Search, worst_linearization
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.certificates import a_priori
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem

M, D, TOKENS = 64, 4, 8
PROBLEM = Problem(
    n=200, m=M, d=D, T=TOKENS, activation="tanh", rho=Norms(1, 1, 1), nu=Norms(1, 1, 1), eta=0.01,
    tau=100, delta=0.05,
)  # fmt: skip
MODEL = ShallowTransformer(D, ACTIVATIONS["tanh"])


def opposite_tokens(count: int) -> Tensor:
    """(count, T, d): half of the tokens e, half −e, ‖e‖ = 1."""
    e = np.random.default_rng(0).standard_normal((count, 1, D))
    signs = np.repeat([1.0, -1.0], TOKENS // 2).reshape(1, TOKENS, 1)
    return torch.from_numpy(signs * e / np.linalg.norm(e, axis=2, keepdims=True))


def test_linearization():
    X = opposite_tokens(12)
    initial = symmetric_init(MODEL, M, 0, torch.float64)
    radii = dict.fromkeys(MODEL.blocks, 1 / math.sqrt(M))
    search = Search(4, 20, 0)
    lin = Linearized(MODEL, initial, Inputs(X, X[:, -1]), Workers(1))
    found = worst_linearization(lin, radii, search).error
    assert 1 < a_priori.linearization(PROBLEM) / float(found.max()) < 6


def gradient(c: Tensor, U: Tensor, k: Tensor, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """∇h of one input X (T, d) for heads (c, U, k = W q) of any leading shape."""
    p = torch.softmax(k @ X.T, -1)
    v = U @ X.T
    z = (p * v).sum(-1, keepdim=True)
    slope = (c / torch.cosh(z[..., 0]) ** 2)[..., None]
    return torch.tanh(z[..., 0]), slope * (p @ X), slope * ((p * (v - z)) @ X)


def change_of_feature(X: Tensor, starts: int, steps: int) -> float:
    """sup over Δ and v in the unit balls/√m of |⟨∇f(φ_0 + Δ) − ∇f(φ_0), Δ − v⟩|, ascended head by
    head: the best v points against the change of the gradient."""
    initial = symmetric_init(MODEL, M, 0, torch.float64)
    base = (initial["c"], initial["U"], initial["W"] @ X[-1])
    before, r = gradient(*base, X), 1 / math.sqrt(M)  # ‖q‖ = 1
    generator = torch.Generator().manual_seed(0)
    best = torch.zeros(2, M, dtype=torch.float64)

    def size(x: Tensor) -> Tensor:
        return x.abs() if x.ndim == 2 else x.norm(dim=-1, keepdim=True).clamp(min=1e-300)

    for row, sign in zip(best, (1, -1), strict=True):
        deltas = [
            torch.randn(starts, *b.shape, dtype=torch.float64, generator=generator) for b in base
        ]
        deltas = [r * x / size(x) for x in deltas]
        for step in range(steps):
            deltas = [x.requires_grad_() for x in deltas]
            now = gradient(*(b + x for b, x in zip(base, deltas, strict=True)), X)
            change = [a - b for a, b in zip(now, before, strict=True)]
            value = sign * change[0] * deltas[0] + r * change[0].abs()
            for g, x in zip(change[1:], deltas[1:], strict=True):
                value = value + sign * (g * x).sum(-1) + r * (g.square().sum(-1) + 1e-30).sqrt()
            torch.maximum(row, value.detach().amax(0), out=row)
            slopes = torch.autograd.grad(value.sum(), deltas)
            moved = [
                x.detach() + 0.3 * 0.97**step * r * g / size(g).clamp(min=1e-300)
                for x, g in zip(deltas, slopes, strict=True)
            ]
            deltas = [x * (r / size(x)).clamp(max=1) for x in moved]
    return float(best.sum(1).max()) / math.sqrt(M)


def test_change_of_feature():
    found = change_of_feature(opposite_tokens(1)[0], starts=4, steps=60)
    assert 1 < a_priori.change_of_feature(PROBLEM) / found < 6


@pytest.mark.parametrize("m", [64, 256])
def test_approximation(m):
    """One token, one input, a map of norms 1 with a sign that is a coin of the head: the mean over
    m/2 pairs of ±(|σ(z)| + σ'(z)), z ~ N(0, 1), has this 95 % quantile."""
    rng = np.random.default_rng(0)
    z, coins = rng.standard_normal((20_000, m // 2)), rng.integers(0, 2, (20_000, m // 2)) * 2 - 1
    means = (coins * (np.abs(np.tanh(z)) + np.cosh(z) ** -2.0)).mean(1)
    attained = np.quantile(np.abs(means), 0.95)
    bound = a_priori.approximation(replace(PROBLEM, m=m))
    assert 1 < bound / attained < 6
