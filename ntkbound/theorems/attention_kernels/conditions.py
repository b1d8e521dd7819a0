"""Theorems 2 and 3 as inequalities left ≤ right, their left sides in logarithms: κ underflows.

Source: arXiv 2411.07538, Eqs. (8) and (12), (53); the power of κ that is missing there is derived
in docs/attention-kernels.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ntkbound.theorems.attention_kernels.spectrum import Spectrum
from ntkbound.theorems.attention_kernels.weights import Weights

RIGHT_2, RIGHT_3 = -math.log10(54), 0.0  # log10 of the right sides


@dataclass(frozen=True)
class Sizes:
    """λ_Q, λ_K (H,) largest singular values of each head's W_Q, W_K, and that of W_V."""

    Q: np.ndarray
    K: np.ndarray
    V: float

    @property
    def lambda_V(self) -> float:
        """λ_V = (2/3)(1 + σ_max(W_V))."""
        return 2 / 3 * (1 + self.V)


def sizes(weights: Weights) -> Sizes:
    """σ_max(W_V) is that of the whole matrix, so of W_V^h the largest over heads."""

    def largest(W: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.svd(W, compute_uv=False)[..., 0])

    return Sizes(largest(weights.W_Q), largest(weights.W_K), float(largest(weights.W_V).max()))


@dataclass(frozen=True, eq=False)
class Left:
    """The left sides at one state; math.inf where a denominator is 0."""

    spectrum: Spectrum

    @cached_property
    def sizes(self) -> Sizes:
        return sizes(self.spectrum.state.weights)

    @cached_property
    def of_X(self) -> float:
        """‖X‖_F² over all samples."""
        return float(np.square(self.spectrum.state.problem.X).sum())

    @property
    def residual(self) -> float:
        """‖MH_0 − y‖"""
        return math.sqrt(2 * self.spectrum.state.loss)

    @property
    def log_kappa(self) -> float:
        """log κ = −(9/4)‖X‖_F²(λ_Q² + λ_K²), of the head where it is least."""
        largest = float((np.square(self.sizes.Q) + np.square(self.sizes.K)).max())
        return -9 / 4 * self.of_X * largest

    @property
    def least_value(self) -> float:
        """min |v|"""
        return float(np.abs(self.spectrum.state.v).min())

    def theorem2(self) -> float:
        """log10 of n²√(NH)‖X‖_F⁵ Σ_h(λ_Q² + λ_K²) λ_V ‖MH_0 − y‖ over
        ‖W_O‖ σ_B² min(λ_Q, λ_K, σ_B)."""
        config, at = self.spectrum.state.problem.config, self.sizes
        N, n, _, _, H = config.sizes
        sigma = self.spectrum.sigma_B
        squares = float(np.square(at.Q).sum() + np.square(at.K).sum())
        least = min(float(at.Q.min()), float(at.K.min()), sigma)
        return _log10(n**2 * math.sqrt(N * H), self.of_X**2.5, squares, at.lambda_V,
                      self.residual) - _log10(
            math.sqrt(self.spectrum.state.weights.spread), sigma, sigma, least)  # fmt: skip

    def theorem3(self) -> float | None:
        """log10 of 8n‖X‖_F⁵‖W_O‖ λ_V (λ_Q + λ_K) κ^{-1} ‖MH_0 − y‖ over
        δ² min|v|² min(δ, λ_Q); None where δ was not computed."""
        delta, at = self.spectrum.delta, self.sizes
        if delta is None:
            return None
        n = self.spectrum.state.problem.config.sizes[1]
        spread = math.sqrt(self.spectrum.state.weights.spread)
        above = _log10(8 * n, self.of_X**2.5, spread, at.lambda_V, float((at.Q + at.K).max()),
                       self.residual)  # fmt: skip
        least = min(delta, float(at.Q.min()))
        below = _log10(delta, delta, self.least_value, self.least_value, least)
        return above - below - self.log_kappa / math.log(10)

    def theorem3_corrected(self) -> float | None:
        """With κ^{-2}: the induction sums steps to 1/γ, and γ has κ²."""
        paper = self.theorem3()
        return None if paper is None else paper - self.log_kappa / math.log(10)

    def log_gamma(self) -> float | None:
        """log of γ = δ² κ² min|v|²/2; −inf where it is 0."""
        delta = self.spectrum.delta
        if delta is None:
            return None
        return math.log(10) * _log10(delta, delta, self.least_value, self.least_value, 0.5) + (
            2 * self.log_kappa
        )


def _log10(*factors: float) -> float:
    """Of a product; −inf where a factor is 0."""
    return sum(math.log10(x) if x > 0 else -math.inf for x in factors)
