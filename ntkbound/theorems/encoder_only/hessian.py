"""The spectral norm of the Hessian of f(X_1) in all weights.

Iteration with products Hv alone: Lanczos' recurrence, whose k products give the best bound from
below that k steps of power iteration from the same vector could give, and which does not mind
largest eigenvalues of both signs. ReLU has no second derivative, so H is that of the pieces.

Source: arXiv 2311.01575, Theorem 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.machine.ranks import Ranks
from ntkbound.theorems.encoder_only.problem import Problem, Weights, attention

PRODUCTS = 60
TOLERANCE = 1e-4  # relative, to an eigenvalue


def hessian_norm(problem: Problem, weights: Weights, ranks: Ranks) -> float:
    """The largest |eigenvalue| of ∂²f(X_1), from below; to 1e-4 unless 60 products are too few."""
    parts = (ranks.gather(one) for one in (weights.Q, weights.K, weights.V, weights.O))
    blocks = [one.clone().requires_grad_() for one in parts]
    gradient = torch.autograd.grad(_first(problem, blocks), blocks, create_graph=True)
    sizes, shapes = [one.numel() for one in blocks], [one.shape for one in blocks]

    def product(v: Tensor) -> Tensor:
        along = [part.view(shape) for part, shape in zip(v.split_with_sizes(sizes), shapes,
                                                         strict=True)]  # fmt: skip
        found = torch.autograd.grad(gradient, blocks, along, retain_graph=True)
        return torch.cat([one.flatten() for one in found])

    rng = streams.generator(0, "encoder-only/hessian")
    return largest(product, torch.from_numpy(rng.standard_normal(sum(sizes))))


def largest(product: Callable[[Tensor], Tensor], start: Tensor) -> float:
    """The largest |eigenvalue| of a symmetric matrix that is known by its products (Lanczos 1950):
    that of the tridiagonal matrix of the recurrence w = Hv_k − α_k v_k − β_{k−1} v_{k−1},
    v_{k+1} = w/β_k."""
    v, before = start / start.norm(), torch.zeros_like(start)
    diagonal: list[float] = []
    beside: list[float] = []
    found = 0.0
    for _ in range(PRODUCTS):
        w = product(v)
        diagonal.append(float(v @ w))
        w = w - diagonal[-1] * v
        if beside:
            w -= beside[-1] * before
        values, vectors = np.linalg.eigh(
            np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        )
        top = int(np.abs(values).argmax())
        found, size = float(abs(values[top])), float(w.norm())
        if size * abs(vectors[-1, top]) <= TOLERANCE * found or size == 0:
            break
        beside.append(size)
        before, v = v, w / size
    return found


def _first(problem: Problem, blocks: Sequence[Tensor]) -> Tensor:
    """f(X_1)."""
    Q, K, V, O = blocks  # noqa: E741
    one = Problem(problem.X[:1], problem.y[:1], problem.tau0, problem.tau1, problem.factor, 1.0)
    U = attention(one, Q.mT @ K)[1][0]
    return problem.factor * (torch.relu(U @ V.mT) @ O).sum()
