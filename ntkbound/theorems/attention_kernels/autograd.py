"""The model written out in torch, its gradients by autograd: for users' kernels, and for checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from ntkbound.theorems.attention_kernels.own import Own
from ntkbound.theorems.attention_kernels.problem import Problem

Function = Callable[[Tensor, Tensor], Tensor]


def dots(q: Tensor, k: Tensor) -> Tensor:
    """q·k/√d"""
    return q @ k.mT / math.sqrt(q.shape[-1])


def distances(q: Tensor, k: Tensor) -> Tensor:
    """−‖q − k‖²/(2√d)"""
    apart = q.unsqueeze(-2) - k.unsqueeze(-3)
    return -apart.square().sum(-1) / (2 * math.sqrt(q.shape[-1]))


FUNCTIONS: Mapping[str, Function] = {
    "softmax": lambda q, k: torch.softmax(dots(q, k), -1),
    "gaussian": lambda q, k: torch.exp(distances(q, k)),
    "linear": dots,
    "normalised-gaussian": lambda q, k: torch.softmax(distances(q, k), -1),
}


class Loss:
    """The loss of a problem as a function of W_Q, W_K (H, D, d) and u (H, D)."""

    def __init__(self, problem: Problem) -> None:
        kernel = problem.kernel
        self.kernel = kernel if isinstance(kernel, Own) else FUNCTIONS[problem.config.kernel]
        self.X = torch.from_numpy(np.ascontiguousarray(problem.X))
        self.y = torch.from_numpy(np.ascontiguousarray(problem.y))

    def attention(self, W_Q: Tensor, W_K: Tensor) -> Tensor:
        """(H, N, n, n) S."""
        return self.kernel(self.X @ W_Q[:, None], self.X @ W_K[:, None])

    def of_attention(self, S: Tensor, u: Tensor) -> Tensor:
        """½ Σ (Σ_h S_h X u_h − y)²."""
        v = torch.einsum("iaD,hD->hia", self.X, u)
        return (torch.einsum("hiaj,hij->ia", S, v) - self.y).square().sum() / 2

    def __call__(self, W_Q: Tensor, W_K: Tensor, u: Tensor) -> Tensor:
        return self.of_attention(self.attention(W_Q, W_K), u)

    def value(self, *weights: np.ndarray) -> float:
        """The loss alone."""
        with torch.no_grad():
            return self(*(torch.from_numpy(w) for w in weights)).item()

    def gradients(self, *weights: np.ndarray) -> tuple[float, list[np.ndarray], float]:
        """The loss, its gradients in W_Q, W_K and u, and ‖∂f/∂S‖²."""
        W_Q, W_K, u = leaves = [torch.from_numpy(w).requires_grad_() for w in weights]
        S = self.attention(W_Q, W_K)
        loss = self.of_attention(S, u)
        found = torch.autograd.grad(loss, [*leaves, S], allow_unused=True)
        *own, dS = [
            np.zeros(leaf.shape) if g is None else g.numpy()
            for leaf, g in zip([*leaves, S], found, strict=True)
        ]
        return loss.item(), own, float(np.square(dS).sum())
