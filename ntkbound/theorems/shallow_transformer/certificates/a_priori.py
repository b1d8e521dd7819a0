"""Bounds before any head is drawn: m, n, d, ν, ρ, δ and σ are all they know.

The norms u = ‖U_i(0)‖ are chi distributed with d degrees of freedom, so a bound that is a mean of
κ(u_i) over the m/2 pairs is itself bounded, with probability at least 1 − δ, by Chernoff's
inequality; its moment generating function is an upper Riemann sum of the increasing κ. Inputs are
arbitrary in the unit ball (others are rescaled). Proofs: docs/certificates.md §5.

Runs that differ in their seed alone share these bounds: within one process each is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy.special import chdtr, chdtrc

from ntkbound.core.outcome import Bound
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.theorems.shallow_transformer.bounds import OUTSIDE, descent_bound
from ntkbound.theorems.shallow_transformer.certificates.geometry import THIRD_CUMULANT
from ntkbound.theorems.shallow_transformer.minimum import minimum
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem

CELLS = 1000  # of the radial sum
BEYOND = 9.0  # the sum ends at √d + this; what lies further is added in closed form
SHARES = 48  # cells of r = ‖a‖ ∈ [0, 1]
SCORES = 400  # cells of z ∈ [0, LARGEST_SCORE]
LARGEST_SCORE = 10.0

Array = np.ndarray


@cache
def linearization(problem: Problem) -> float:
    """≥ sup over Ω_ρ and X of |f − f_lin|.

    κ(u) = mean over a pair of sup ½ D²h[Δ, Δ]·√m², where σ'' helps one of the two signs of c only.
    """
    r = problem.scaled(problem.rho)
    return _pair_mean(problem, r, r, own=True) / (2 * math.sqrt(problem.m))


@cache
def change_of_feature(problem: Problem) -> float:
    """≥ |⟨∇f(φ) − ∇f(φ_0), φ − φ̃⟩| for every φ ∈ Ω_ρ and φ̃ ∈ Ω_ν: D²h[Δ, Δ] and D²h[Δ, v]."""
    return (_own(problem) + _toward(problem)) / math.sqrt(problem.m)


@cache
def combined(problem: Problem) -> float:
    """≥ |change of feature − linearization| at the same φ: ½ D²h[Δ, Δ] and D²h[Δ, v]."""
    return (_own(problem) / 2 + _toward(problem)) / math.sqrt(problem.m)


def _own(problem: Problem) -> float:
    r = problem.scaled(problem.rho)
    return _pair_mean(replace(problem, delta=problem.delta / 2), r, r, own=True)


def _toward(problem: Problem) -> float:
    r, v = problem.scaled(problem.rho), problem.scaled(problem.nu)
    return _pair_mean(replace(problem, delta=problem.delta / 2), r, v, own=False)


def _pair_mean(problem: Problem, r: Norms, v: Norms, own: bool) -> float:
    return _mean_of(problem, lambda u: _second_derivative(problem, u, r, v, own))


def _second_derivative(problem: Problem, u: Array, r: Norms, v: Norms, own: bool) -> Array:
    """m·|D²h[Δ, v]| for Δ of radii r and v of radii v: the mean over both signs of c if ``own``.

    For every cell of r̂ = ‖a‖: |Dz[Δ]| ≤ D = ρ_u r̂ + Ūρ_w(1 − r̂²), and |κ₃| ≤ τ(r̂)Ūρ_wν_w.
    """
    root = math.sqrt(problem.m)
    U = (problem.B_x * u + r.u / root)[:, None]
    low, high = _shares()
    share = 1 - low**2  # ≥ 1 − ‖a‖² ≥ ‖M‖
    D, Dv = (x.u * high + U * x.w * share for x in (r, v))
    bent = (r.u * v.w + v.u * r.w) * share + U * r.w * v.w * _third_cumulant(high)
    C = 1 + r.c / root
    steep = r.c * Dv + v.c * D + C * bent
    curved = C * D * Dv
    largest = _envelope(problem, steep, curved).max(1)
    if not own or r.c >= root:  # beyond √m a head may change the sign of its c
        return np.asarray(largest)
    _, s1, s2 = problem.sigma
    s3 = ACTIVATIONS[problem.activation].smoothness.third
    # Either σ'' helps one twin only; the other's σ' is at most σ1. Or σ'' changes its sign between
    # the two, whose scores differ by at most 2D/√m, and both values together are ≤ σ3 · 2D/√m.
    # The twins move apart, each through cells of its own: every factor is the largest of any cell.
    steepest = s1 * steep.max(1)
    one = (largest + steepest) / 2
    both = steepest + curved.max(1) * np.minimum(s2, s3 * D.max(1) / root)
    return np.asarray(np.maximum(one, both))


def _shares() -> tuple[Array, Array]:
    """Both ends of every cell of ‖a‖ in [0, 1]."""
    edges = np.linspace(0, 1, SHARES + 1)
    return edges[:-1], edges[1:]


def _third_cumulant(r: Array) -> Array:
    """τ(r): largest |third central moment| on [−1, 1] with a mean in [−r, r]."""
    near = (1 + r) ** 3 / 4
    middle = 2 * r * (1 - r**2)
    return np.where(r < 1 / 3, near, np.where(r < 1 / math.sqrt(3), middle, THIRD_CUMULANT))


@cache
def squared_feature_norm(problem: Problem) -> float:
    """L² ≥ sup over Ω_ρ and X of ‖∇f‖² = mean of σ² + c²σ'²(‖a‖² + ‖M U‖²‖q‖²), as a pair mean."""
    r, root = problem.rho, math.sqrt(problem.m)
    table = _table(problem.activation)

    def kappa(u: Array) -> Array:
        U = (u + r.u / root)[:, None]
        low, high = _shares()
        B = problem.B_x
        a, b = B * high, B**2 * problem.B_q * U * (1 - low**2)
        inner = ((1 + r.c / root) ** 2 * (a**2 + b**2)).max(1)
        # Cells of z: the largest |σ| and |σ'| of each.
        return np.asarray((table[0] ** 2 + table[1] ** 2 * inner[:, None]).max(1))

    return _mean_of(problem, kappa)


@cache
def approximation(problem: Problem) -> float:
    """≥ max_j |f_lin(X_j; φ̃) − y_j|, with labels y that average ``label_heads`` heads.

    |g| ≤ G(u) = sup over r and z of ν_c|σ| + |σ'| max_r (ν_u r + ν_w u(1 − r²)). For every λ and
    N_λ > 0, by log x ≤ log N_λ + x/N_λ − 1 and e^{λg} ≤ cosh λG + (g/G) sinh λG,

        log E e^{λ(g − Eg)} ≤ ψ(λ) = log N_λ − 1 + E cosh(λG)/N_λ + E|sinh(λG)/N_λ − λG|,

    and ε = [ψ(λ) + (M/N) ψ(λN/M) + log(2n/δ)/N]/λ for N = m/2 pairs and M heads behind
    the labels; M = 0, y = f̃, leaves the middle term out.
    """
    nu = problem.scaled(problem.nu)
    edges, weights = _cells(problem.d)
    low, high = _shares()
    u = problem.B_x * edges[:, None]
    inner = (nu.u * high + nu.w * u * (1 - low**2)).max(1)
    table = _table(problem.activation)
    G = (nu.c * table[0] + table[1] * inner[:, None]).max(1)
    if G[-1] == 0:
        return 0.0
    N = problem.m // 2
    budget = math.log(2 * problem.n / problem.delta) / N

    def psi(lam: Array) -> Array:
        tail = _tail(problem.d, lam * G[-1])
        x, below = np.multiply.outer(lam, G), np.multiply.outer(lam, np.append(0.0, G[:-1]))
        total = np.cosh(x) @ weights + tail
        # |sinh x/N − x| over a cell, from its ends
        scale = 1 / total[:, None]
        gap = np.maximum(np.sinh(x) * scale - below, x - np.sinh(below) * scale)
        return np.asarray(np.log(total) + gap @ weights + 2 * tail)

    def at(log_lam: Array) -> Array:
        lam = np.exp(log_lam)
        exponent = psi(lam) + budget
        if problem.label_heads:
            M = problem.label_heads
            exponent += M / N * psi(lam * N / M)
        return np.asarray(exponent / lam)

    centre = math.log(math.sqrt(2 * budget) / math.sqrt(float(weights @ G**2)))
    return minimum(at, centre - 3, centre + 1)


def training_rmse(problem: Problem) -> Bound:
    """Bound on √min_{s<τ} R̂(φ_s) in exact arithmetic: 90 % of δ for approximation, 5 % each for
    the other two."""
    if not problem.target_inside:
        return OUTSIDE
    epsilon, L2 = ingredients(problem)
    return descent_bound(problem, epsilon, L2, problem.nu.squared)


def ingredients(problem: Problem) -> tuple[float, float]:
    """ε and L² of the training bound, both at once with probability ≥ 1 − δ."""
    small = replace(problem, delta=problem.delta / 20)
    app = approximation(replace(problem, delta=0.9 * problem.delta))
    return combined(small) + app, squared_feature_norm(small)


@cache
def _table(activation: str) -> Array:
    """Largest |σ|, |σ'|, |σ''| on every cell of |z|, and beyond the last one, (3, cells)."""
    sigma = ACTIVATIONS[activation]
    known = sigma.smoothness
    z = torch.linspace(0, LARGEST_SCORE, SCORES + 1, dtype=torch.float64)
    value = sigma.value(z)
    each = torch.stack([value, sigma.slope(z, value), known.curvature(z, value)]).abs().numpy()
    half = LARGEST_SCORE / SCORES / 2
    slopes = np.array([*known.suprema[1:], known.third])
    limits = np.array(known.suprema)[:, None]
    # A function of slope at most s, between its ends: at most their mean plus s·half the cell.
    cells = np.minimum((each[:, :-1] + each[:, 1:]) / 2 + half * slopes[:, None], limits)
    # Beyond, |σ'| and |σ''| only fall and |σ| stays below σ0.
    beyond = np.array([[known.suprema[0]], [each[1, -1]], [each[2, -1]]])
    return np.concatenate([cells, beyond], axis=1)


def _envelope(problem: Problem, steep: Array, curved: Array) -> Array:
    """sup over z of steep·|σ'| + curved·|σ''|."""
    best = np.zeros_like(steep)
    for slope, curvature in _corners(problem.activation):
        np.maximum(best, steep * slope + curved * curvature, out=best)
    return best


@cache
def _corners(activation: str) -> list[tuple[float, float]]:
    """The cells of |σ'|, |σ''| that can be the largest for some non-negative weights: the upper
    right convex hull, by one pass from the largest |σ'| down."""
    hull: list[tuple[float, float]] = []
    for x, y in sorted(map(tuple, _table(activation)[1:].T.tolist()), reverse=True):
        if hull and y <= hull[-1][1]:
            continue
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x0 - x1) * (y - y1) < (y1 - y0) * (x1 - x):
                break
            hull.pop()
        hull.append((x, y))
    return hull


@cache
def _cells(d: int) -> tuple[Array, Array]:
    """Right edges of the cells of u and their probabilities."""
    edges = np.linspace(0, _last(d), CELLS + 1)
    return edges[1:], np.diff(chdtr(d, edges**2))


def _last(d: int) -> float:
    return math.sqrt(d) + BEYOND


def _tail(d: int, top: Array) -> Array:
    """≥ E[e^{f(u)}; u > last] if f(u) ≤ top·(u/last)² there: a chi-square integral."""
    shrunk = 1 - 2 * top / _last(d) ** 2
    finite = np.where(shrunk > 0, shrunk, 1.0)
    beyond = finite ** (-d / 2) * chdtrc(d, _last(d) ** 2 * finite)
    return np.where(shrunk > 0, beyond, math.inf)


def _mean_of(problem: Problem, kappa: Callable[[Array], Array]) -> float:
    """mean_i κ(u_i) over the m/2 pairs is at most this with probability ≥ 1 − δ.

    κ increases at most quadratically: min over λ of [log E e^{λκ} + log(1/δ)/N]/λ.
    """
    edges, weights = _cells(problem.d)
    values = kappa(edges)
    budget = math.log(1 / problem.delta) / (problem.m // 2)

    def at(log_lam: Array) -> Array:
        lam = np.exp(log_lam)
        mean = np.exp(np.multiply.outer(lam, values)) @ weights
        return np.asarray((np.log(mean + _tail(problem.d, lam * values[-1])) + budget) / lam)

    mean = float(weights @ values)
    spread = math.sqrt(max(float(weights @ (values - mean) ** 2), (1e-3 * mean) ** 2))
    if mean == 0:
        return 0.0
    centre = math.log(math.sqrt(2 * budget) / spread)
    lowest = min(centre - 6, math.log(200 / values[-1]))
    return minimum(at, lowest, centre + 1)
