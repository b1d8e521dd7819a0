"""Spectra of the model at the start: B, the Gram matrix of W_V alone, the Jacobian of the scores.

Source: arXiv 2411.07538, Theorems 1 and 3; G and the corrected α are derived in
docs/attention-kernels.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ntkbound.theorems.attention_kernels.problem import State

LARGEST = 1 << 21  # entries of a Jacobian that is still decomposed


def gram(state: State) -> np.ndarray:
    """(Nn, Nn) G with r_{t+1} = (I − ηG) r_t when W_V alone is trained: Σ_h c_h B_h B_hᵀ."""
    root = rooted(state)
    return np.asarray(root @ root.T)


def rooted(state: State) -> np.ndarray:
    """(Nn, HD) [√c_1 B_1 … √c_H B_H], a root of G."""
    D = state.weights.W_Q.shape[1]
    return np.asarray(state.B * np.repeat(np.sqrt(state.weights.factor), D)[None, :])


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What the spectra of one state are."""

    state: State

    @cached_property
    def of_B(self) -> tuple[np.ndarray, np.ndarray]:
        """Left singular vectors (Nn, r) and singular values (r,) of B, r = min(Nn, HD)."""
        U, values, _ = np.linalg.svd(self.state.B, full_matrices=False)
        return U, values

    @property
    def sigma_min(self) -> float:
        """The smallest of the min(Nn, HD) singular values of B."""
        return float(self.of_B[1][-1])

    @property
    def sigma_B(self) -> float:
        """σ_min(B) as a map onto R^{Nn}: 0 where HD < Nn."""
        rows, columns = self.state.B.shape
        return self.sigma_min if columns >= rows else 0.0

    @property
    def rank_B(self) -> int:
        return rank(self.of_B[1], self.state.B.shape)

    @cached_property
    def of_G(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (Nn,), smallest first, and eigenvectors (Nn, Nn) of G.

        From singular values of its root, so that small ones keep their digits.
        """
        U, values, _ = np.linalg.svd(rooted(self.state), full_matrices=True)
        whole = np.zeros(len(U))
        whole[: len(values)] = np.square(values)
        return whole[::-1], U[:, ::-1]

    @property
    def alpha(self) -> float:
        """α = ‖W_O‖² σ_B², Theorem 1 as the paper has it."""
        return self.state.weights.spread * self.sigma_B**2

    @property
    def corrected(self) -> float:
        """min_h ‖W_O^h‖² σ_B² ≤ λ_min(G)."""
        least = float(np.square(self.state.weights.W_O).sum(axis=1).min())
        return least * self.sigma_B**2

    @cached_property
    def of_J(self) -> list[np.ndarray] | None:
        """Singular values of ∂vec C_h/∂W_Q^h, a head each; None where they would take too long."""
        problem, weights = self.state.problem, self.state.weights
        entries = self.state.S[0].size * weights.W_Q[0].size
        if entries > LARGEST:
            return None
        return [
            np.linalg.svd(problem.kernel.jacobian(problem.X, W_Q, k), compute_uv=False)
            for W_Q, k in zip(weights.W_Q, self.state.k, strict=True)
        ]

    @property
    def shape_J(self) -> tuple[int, int]:
        return self.state.S[0].size, self.state.weights.W_Q[0].size

    @property
    def rank_J(self) -> int | None:
        """The least rank over heads."""
        return None if self.of_J is None else min(rank(s, self.shape_J) for s in self.of_J)

    @property
    def delta(self) -> float | None:
        """δ, the least σ_min over heads of J as a map onto R^{Nn²}: 0 where Dd < Nn²."""
        rows, columns = self.shape_J
        if self.of_J is None or columns < rows:
            return None if self.of_J is None else 0.0
        return min(float(s[-1]) for s in self.of_J)


def rank(values: np.ndarray, shape: tuple[int, int]) -> int:
    """Singular values above rounding of the largest."""
    return int((values > values[0] * max(shape) * np.finfo(np.float64).eps).sum())
