"""Gradient descent on the linearized model, solved: the loss curve the tangent kernel predicts.

Plain gradient descent on f_lin(X; φ) = f(X; φ_0) + ⟨∇f(X; φ_0), φ − φ_0⟩ has the residual

    r_s = (I − (2η/n) Θ)^s r_0,      R̂_lin(s) = ‖r_s‖²/n = (1/n) Σ_k w_k (1 − 2ηλ_k/n)^{2s}

with the eigenpairs (λ_k, u_k) of Θ at φ_0 and w_k = ⟨u_k, r_0⟩². The measure {λ_k, w_k} is all that
enters: it comes from one eigendecomposition, or, without the kernel, from Lanczos iteration on
products Θv (docs/linearized.md proves how many products are enough).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

QUADRATURE = 1e-12  # error of a loss by Lanczos quadrature, relative to the loss at step 0
BREAKDOWN = 1e-13  # of ‖Θ‖: a smaller next Lanczos vector means that the Krylov space is whole

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SpectralMeasure:
    """r_0 as the kernel sees it: points λ_k and weights w_k ≥ 0 with Σ w_k = ‖r_0‖²; n samples."""

    values: np.ndarray  # (K,) increasing
    weights: np.ndarray  # (K,)
    n: int

    def losses(self, eta: float, steps: np.ndarray) -> np.ndarray:
        """R̂_lin at the given steps, infinite where descent on the linear model has diverged."""
        factors = np.abs(1 - 2 * eta * self.values / self.n)
        with np.errstate(over="ignore", invalid="ignore"):
            curve = (factors ** (2.0 * steps[:, None]) @ self.weights) / self.n
        return np.asarray(np.nan_to_num(curve, nan=np.inf, posinf=np.inf))


def dense_measure(kernel: Tensor, residual: Tensor) -> SpectralMeasure:
    """The measure by one eigendecomposition of Θ (n, n) for r_0 (n,)."""
    values, vectors = torch.linalg.eigh(kernel)
    return SpectralMeasure(
        values.numpy(), (vectors.mT @ residual).square().numpy(), residual.shape[0]
    )


def products_needed(steps: int) -> int:
    """Lanczos iterations after which R̂_lin(steps) is exact to QUADRATURE.

    K iterations integrate polynomials of degree 2K − 1 exactly, and x^{2s} on [−1, 1] is within
    2 e^{−D²/(4s)} of one of degree D: D = √(4s log(4/ε)) makes the error at most ε.
    """
    degree = min(2 * steps, math.ceil(math.sqrt(4 * steps * math.log(4 / QUADRATURE))))
    return degree // 2 + 1


def lanczos_measure(product: Product, residual: Tensor, iterations: int) -> SpectralMeasure:
    """Gauss quadrature of the measure of r_0 (n,) from ``iterations`` products Θv.

    Full reorthogonalisation: memory n × iterations. The largest point approaches λ_max from below.
    """
    n, size = residual.shape[0], float(residual.norm())
    if size == 0:
        return SpectralMeasure(np.zeros(1), np.zeros(1), n)
    count = min(iterations, n)
    basis = torch.zeros(count, n, dtype=torch.float64)
    diagonal, beside = np.zeros(count), np.zeros(count)
    basis[0] = residual / size
    for k in range(count):
        v = product(basis[k])
        diagonal[k] = float(v @ basis[k])
        for _ in range(2):  # once leaves a component of the size of the rounding it removed
            v = v - basis[: k + 1].mT @ (basis[: k + 1] @ v)
        beside[k] = float(v.norm())
        if k + 1 == count or beside[k] <= BREAKDOWN * np.abs(diagonal[: k + 1]).max():
            count = k + 1
            break
        basis[k + 1] = v / beside[k]
    jacobi = np.diag(diagonal[:count])
    jacobi += np.diag(beside[: count - 1], 1) + np.diag(beside[: count - 1], -1)
    values, vectors = np.linalg.eigh(jacobi)
    return SpectralMeasure(values, (size * vectors[0]) ** 2, n)


def parting_step(
    steps: np.ndarray, measured: np.ndarray, predicted: np.ndarray, tolerance: float
) -> int | None:
    """First recorded step with |measured − predicted| > tolerance · predicted; None if none has."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(measured - predicted) > tolerance * predicted
    apart |= np.isfinite(measured) & ~np.isfinite(predicted)
    return int(steps[apart.argmax()]) if apart.any() else None
