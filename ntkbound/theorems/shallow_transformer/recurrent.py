"""What is proved about the recurrent baseline: the size of its gradient, and nothing else.

Source: the comparison in arXiv 2601.16514 (after arXiv 2402.12241); constants derived in
docs/recurrent.md. For one head h = c h_T, h_t = σ(w h_{t−1} + U·x_t), and r = |w|σ1,

    |∂h_T/∂w| ≤ σ0σ1 Σ_{k<T−1} r^k,     ‖∂h_T/∂U‖ ≤ σ1 B_x Σ_{k<T} r^k.

Both are exponential in T for r > 1, linear at r = 1 and bounded in T for r < 1. On Ω_ρ every head
has |w| ≤ ω + ρ_w/√m and |c| ≤ C = 1 + ρ_c/√m, so that for every sample and every φ ∈ Ω_ρ

    ‖∇f(X; φ)‖² ≤ σ0² + C²σ1² [ (σ0 Σ_{k<T−1} r^k)² + (B_x Σ_{k<T} r^k)² ],  r = (ω + ρ_w/√m)σ1.

The linearization, approximation, change-of-feature and training bounds of the Transformer's theorem
rest on the form of its heads; no such bound is claimed here.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ntkbound.core.outcome import Bound
from ntkbound.theorems.shallow_transformer.bounds import Bounds
from ntkbound.theorems.shallow_transformer.problem import Problem

NOT_PROVED = "proved for the Transformer's heads, not for recurrent ones"


def geometric(ratio: float, terms: int) -> float:
    """Σ_{k<terms} ratio^k, infinite where it leaves the range of float64."""
    total = 0.0
    for _ in range(terms):
        total = 1.0 + ratio * total
    return total


def squared_feature_norm(problem: Problem, omega: float) -> float:
    """The bound on ‖∇f(X_j; φ)‖², every sample and every φ ∈ Ω_ρ; it may be infinite.

    ``omega``: the size |w_i(0)| of the recurrent weights.
    """
    s0, s1, _ = problem.sigma
    root = math.sqrt(problem.m)
    C = 1 + problem.rho.c / root
    r = (omega + problem.rho.w / root) * s1
    by_w = s0 * geometric(r, problem.T - 1)
    by_U = problem.B_x * geometric(r, problem.T)
    return s0 * s0 + C * C * s1 * s1 * (by_w * by_w + by_U * by_U)


def bounds(problem: Problem, omega: float) -> Bounds:
    """The feature norm's bound, and a reason in place of every other."""
    norm = math.sqrt(squared_feature_norm(problem, omega))
    found = Bound(None, "exceeds the range of float64", absent="vacuous")
    if math.isfinite(norm):
        found = Bound(norm)
    return replace(Bounds.none(NOT_PROVED), feature_norm=found)
