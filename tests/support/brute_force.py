"""The suprema of one head's errors by brute force: a product of grids, then L-BFGS from its best.

Written apart from the package: the three gradient formulas of theory §1 with the token covariance
formed in full, in NumPy, over many points at a time. One sample sees W only as k = W q, and δW in
its ball as δk in a ball ‖q‖ times as large; both errors are affine in δc, so δc is at one end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import minimize
from scipy.special import erf

POLISHED = 3  # grid points per end of δc from which L-BFGS starts
STEP = 1e-6  # of the central differences, in radians of the parametrisation

Array = np.ndarray


def activation(name: str, z: Array) -> tuple[Array, Array]:
    """σ(z) and σ'(z)."""
    if name == "tanh":
        return np.tanh(z), 1 - np.tanh(z) ** 2
    if name == "sigmoid":
        return np.tanh(z / 2), (1 - np.tanh(z / 2) ** 2) / 2
    bell = np.exp(-(z**2) / 2)
    if name == "bump":
        return bell, -z * bell
    return erf(z), 2 / math.sqrt(math.pi) * bell**2


@dataclass(frozen=True)
class HeadProblem:
    """One head (c, U, k) at one sample, its radii, and v = φ̃ − φ_0 as (c, U, k)."""

    name: str
    X: Array  # (T, d)
    theta: tuple[float, Array, Array]
    radii: tuple[float, float, float]
    goal: tuple[float, Array, Array]

    def head(self, c: Array, U: Array, k: Array) -> tuple[Array, Array, Array, Array]:
        """h and its gradients in c, U, k at P points: (P,), (P,), (P, d), (P, d)."""
        scores = k @ self.X.T
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        a = p @ self.X
        apart = self.X - a[:, None]
        M = np.einsum("pt,pta,ptb->pab", p, apart, apart)
        value, slope = activation(self.name, (U * a).sum(1))
        weight = (c * slope)[:, None]
        return c * value, value, weight * a, weight * np.einsum("pab,pb->pa", M, U)

    def errors(self, dc: Array, dU: Array, dk: Array) -> tuple[Array, Array]:
        """f − f_lin and ⟨∇h(θ_0 + Δ) − ∇h(θ_0), Δ − v⟩ of this head, each (P,)."""
        start = [np.array(b)[None] for b in self.theta]
        h0, *before = self.head(*start)
        h, *after = self.head(start[0] + dc, start[1] + dU, start[2] + dk)

        def along(g: list[Array], c: Array, U: Array, k: Array) -> Array:
            return g[0] * c + (g[1] * U).sum(1) + (g[2] * k).sum(1)

        change = [x - y for x, y in zip(after, before, strict=True)]
        far = (dc - self.goal[0], dU - self.goal[1], dk - self.goal[2])
        return h - h0 - along(before, dc, dU, dk), along(change, *far)

    def suprema(self) -> Array:
        """Largest +error and −error of both kinds, (2 kinds, 2 signs)."""
        grid = ball_grid(self.X.shape[1])
        points = np.hstack([np.repeat(grid, len(grid), 0), np.tile(grid, (len(grid), 1))])
        found = np.full((2, 2), -np.inf)
        for end in (1.0, -1.0):
            everywhere = self.at(points, end)
            for kind, side in product(range(2), range(2)):
                sign = 1 - 2 * side
                first = np.argsort(-sign * everywhere[kind])[:POLISHED]
                tops = [self.polished(points[i], end, kind, sign) for i in first]
                found[kind, side] = max(found[kind, side], *tops)
        return found

    def at(self, x: Array, end: float) -> Array:
        """Both errors at points x (P, 2d) of the parametrised balls, (2, P)."""
        d, (r_c, r_u, r_k) = self.X.shape[1], self.radii
        U, k = into_ball(x[:, :d]), into_ball(x[:, d:])
        return np.stack(self.errors(np.full(len(x), end * r_c), r_u * U, r_k * k))

    def polished(self, x: Array, end: float, kind: int, sign: int) -> float:
        """± the error after L-BFGS from x, by central differences; never below that at x."""
        value = sign * self.at(x[None], end)[kind, 0]
        scale, eye = abs(value) or 1.0, STEP * np.eye(len(x))

        def cost(x: Array) -> tuple[float, Array]:
            near = x + np.concatenate([0 * eye[:1], eye, -eye])
            f = -sign * self.at(near, end)[kind] / scale
            return f[0], (f[1 : 1 + len(x)] - f[1 + len(x) :]) / (2 * STEP)

        return max(value, -scale * minimize(cost, x, jac=True, method="L-BFGS-B").fun)


def into_ball(x: Array) -> Array:
    """x ↦ x sin‖x‖/‖x‖: smooth, onto the unit ball, its sphere at ‖x‖ = π/2."""
    return x * np.sinc(np.linalg.norm(x, axis=1, keepdims=True) / math.pi)


def ball_grid(d: int) -> Array:
    """Points x of ``into_ball``: its centre, and directions at four distances up to the sphere."""
    if d == 1:
        return np.linspace(-math.pi / 2, math.pi / 2, 41)[:, None]
    angle = 2 * math.pi * np.arange(20) / 20
    around = np.stack([np.cos(angle), np.sin(angle)], 1)
    rings = [math.pi / 2 * r * around for r in (0.2, 0.45, 0.7, 1.0)]
    return np.concatenate([np.zeros((1, 2)), *rings])
