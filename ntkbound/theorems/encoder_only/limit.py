"""The kernel in the limit of infinite width: NTK initialisation, τ0 = dm^{-1}.

All attention is uniform there, so only the token means Φ*_n count. With w ~ N(0, I),

    K_∞ = κ {E[ReLU(Φ*w)ReLU(Φ*w)ᵀ] + E[1{Φ*w > 0}1{Φ*w > 0}ᵀ] ∘ (Φ*Φ*ᵀ)},

κ = 1 for mean pooling and ds² for sum. Both expectations are arc-cosine kernels of the angle θ,

    E[ReLU·ReLU] = ‖Φ*_n‖‖Φ*_m‖ (sin θ + (π − θ) cos θ)/(2π),    E[1·1] = (π − θ)/(2π).

Source: arXiv 2311.01575, Lemma 1, which prints the second term as the matrix product of the first
expectation and Φ*Φ*ᵀ; corrected in docs/encoder-only.md.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ntkbound.theorems.encoder_only.problem import Problem

NEAR = 1.0  # π − θ below which sin − θ cos is a series: its leading terms cancel
TERMS = 10  # of the series: the next is below 1e-20
VANISHED = 1e-12  # of the longest token: means up to it are rounding


def distances(problem: Problem, K: Tensor) -> dict[str, float]:
    """‖K − K_∞‖_F/‖K_∞‖_F and the same to Lemma 1 as printed; none where all means vanish."""
    if problem.X.mean(dim=1).norm(dim=1).max() <= VANISHED * problem.X.norm(dim=2).max():
        return {}
    names = {"distance_to_limit": limit, "distance_to_printed_limit": printed}
    found = {name: of(problem) for name, of in names.items()}
    return {name: float((K - one).norm() / one.norm()) for name, one in found.items()}


def limit(problem: Problem) -> Tensor:
    """K_∞ (N, N), Lemma 1 corrected."""
    means = problem.X.mean(dim=1)
    return _kappa(problem) * (outputs(means) + signs(means) * (means @ means.mT))


def printed(problem: Problem) -> Tensor:
    """Lemma 1 as printed (N, N), not symmetric: no derivative, and a matrix product for ∘."""
    means = problem.X.mean(dim=1)
    first = outputs(means)
    return _kappa(problem) * (first + first @ (means @ means.mT))


def _kappa(problem: Problem) -> float:
    return (problem.factor * problem.ds / problem.tau1) ** 2


def outputs(points: Tensor) -> Tensor:
    """E[ReLU(p·w)ReLU(q·w)] for rows p, q of ``points``, (N, N)."""
    norms, rest = points.norm(dim=1), _rest(points)
    power, series = rest**3, torch.zeros_like(rest)
    for k in range(1, TERMS + 1):
        series += 2 * k / math.factorial(2 * k + 1) * power
        power = power * -(rest**2)
    plain = torch.sin(rest) - rest * torch.cos(rest)
    return torch.outer(norms, norms) * torch.where(rest < NEAR, series, plain) / (2 * math.pi)


def signs(points: Tensor) -> Tensor:
    """E[1{p·w > 0}1{q·w > 0}] for rows p, q of ``points``, (N, N)."""
    there = points.norm(dim=1) > 0
    return torch.where(there[:, None] & there, _rest(points), 0.0) / (2 * math.pi)


def _rest(points: Tensor) -> Tensor:
    """π − θ for every pair of rows, to full accuracy at both ends: of directions u, v it is twice
    the angle whose tangent is ‖u + v‖/‖u − v‖."""
    norms = points.norm(dim=1, keepdim=True)
    unit = points / torch.where(norms > 0, norms, 1.0)
    exact = "donot_use_mm_for_euclid_dist"
    apart, along = (torch.cdist(unit, other, compute_mode=exact) for other in (unit, -unit))
    return 2 * torch.atan2(along, apart)
