"""What one run is about, and its parameters: nouns that everything downstream takes.

Source: arXiv 2311.01575, Eq. (1.1) to (1.4). With tokens as rows of X (ds, d),

    P = W_Qᵀ W_K,   A = softmax_rows(τ0 X P Xᵀ),   U = A X,   Z = U W_Vᵀ,   f = s Σ_i ReLU(Z_i)·w_O,
    ℓ = (w/2) Σ_n (f(X_n) − y_n)².

All arithmetic is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Problem:
    """Data and constants of one run.

    X (N, ds, d) tokens as rows; y (N,) targets. tau0: scaling of the logits; tau1: of the output,
    as the initialisation has it; factor: s, tau1/ds for mean pooling and tau1 for sum; weight: w,
    1/N for the mean loss and 1 for the sum.
    """

    X: Tensor
    y: Tensor
    tau0: float
    tau1: float
    factor: float
    weight: float

    @property
    def N(self) -> int:
        return self.X.shape[0]

    @property
    def ds(self) -> int:
        return self.X.shape[1]

    @property
    def d(self) -> int:
        return self.X.shape[2]


@dataclass(frozen=True, eq=False)
class Weights:
    """Q, K, V (dm, d) and O (dm,): W_Q, W_K, W_V and w_O, rows dealt over ranks."""

    Q: Tensor
    K: Tensor
    V: Tensor
    O: Tensor  # noqa: E741 - the paper's symbol


def attention(problem: Problem, P: Tensor) -> tuple[Tensor, Tensor]:
    """A (N, ds, ds) and U = A X (N, ds, d), from P = W_Qᵀ W_K (d, d)."""
    X = problem.X
    A = torch.softmax(problem.tau0 * (X @ P @ X.mT), dim=2)
    return A, A @ X
