"""The spectral norm of the Hessian of f(X_1) in all weights, by power iteration.

Where eigenvalues of both signs are largest in size the iterates do not settle, but ‖Hv‖ does: it
rises to the largest |eigenvalue|. ReLU has no second derivative, so H is that of the pieces.

Source: arXiv 2311.01575, Theorem 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.machine.ranks import Ranks
from ntkbound.theorems.encoder_only.problem import Problem, Weights, attention

PRODUCTS = 60
TOLERANCE = 1e-4  # relative, between two products


def hessian_norm(problem: Problem, weights: Weights, ranks: Ranks) -> float:
    """The largest |eigenvalue| of ∂²f(X_1); from below, to 1e-4 between two products."""
    blocks = [
        ranks.gather(one).clone().requires_grad_()
        for one in (weights.Q, weights.K, weights.V, weights.O)
    ]
    gradient = torch.autograd.grad(_first(problem, blocks), blocks, create_graph=True)
    rng = streams.generator(0, "encoder-only/hessian")
    along = [torch.from_numpy(rng.standard_normal(one.shape)) for one in blocks]
    found = 0.0
    for _ in range(PRODUCTS):
        size = _norm(along)
        along = [part / size for part in along]
        along = list(torch.autograd.grad(gradient, blocks, along, retain_graph=True))
        before, found = found, _norm(along)
        if found - before <= TOLERANCE * found:
            break
    return found


def _first(problem: Problem, blocks: Sequence[Tensor]) -> Tensor:
    """f(X_1)."""
    Q, K, V, O = blocks  # noqa: E741
    one = Problem(problem.X[:1], problem.y[:1], problem.tau0, problem.tau1, problem.factor, 1.0)
    U = attention(one, Q.mT @ K)[1][0]
    return problem.factor * (torch.relu(U @ V.mT) @ O).sum()


def _norm(parts: Sequence[Tensor]) -> float:
    return float(torch.stack([part.square().sum() for part in parts]).sum().sqrt())
