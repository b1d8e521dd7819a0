"""Suprema over Ω_ρ, per sample, from the realised φ_0, inputs and transport (a posteriori).

With ζ = z(θ + Δ) − z(θ), ξ = ζ − Dz[Δ] and η = Dz(θ + Δ)[Δ] − ζ, exactly and for every head,

    h(θ+Δ) − h − ⟨∇h, Δ⟩   = δc (σ(z+ζ) − σ(z)) + c [σ(z+ζ) − σ(z) − σ'(z)ζ] + c σ'(z) ξ
    ⟨∇h(θ+Δ), Δ⟩ − h(θ+Δ) + h = δc σ'(z+ζ) ζ + c [σ'(z+ζ)ζ − σ(z+ζ) + σ(z)] + (c+δc) σ'(z+ζ) η

and their sum is ⟨∇h(θ+Δ) − ∇h, Δ⟩. The parts in ζ are suprema of one variable, found on a grid
with its error; ξ and η are of second order (``geometry``). A head with c = −1 beside its twin with
c = +1: over a pair both signs of every term occur once, so both signs of the error have the same
bound. What is left of the change of feature, ⟨∇h(θ+Δ) − ∇h, v⟩ for the realised displacement v, is
linear in Δ up to a third derivative. Proofs: docs/certificates.md §2 and §3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads.blocks import sum_heads
from ntkbound.heads.model import Inputs, Params, slice_heads
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.certificates.geometry import (
    Geometry,
    Radii,
    Reach,
    geometry,
    norm,
)

GRID = 9  # points of the one-variable suprema


@dataclass(frozen=True)
class Suprema:
    """Upper bounds over Ω_ρ at every sample, (n,) each."""

    linearization: Tensor  # |f − f_lin|
    squared_feature_norm: Tensor  # ‖∇f‖²


@dataclass(frozen=True)
class TargetSuprema(Suprema):
    """Those that a realised φ̃ adds."""

    change_of_feature: Tensor  # |⟨∇f(φ) − ∇f(φ_0), φ − φ̃⟩|
    combined: Tensor  # |change_of_feature − linearization|, both at the same φ


def suprema(
    model: ShallowTransformer,
    initial: Params,
    radii: Mapping[str, float],
    inputs: Inputs,
    workers: Workers,
) -> Suprema:
    """Bounds for every φ with ‖φ_i − φ_i(0)‖ inside ``radii`` (ρ/√m), block by block.

    ``initial`` is symmetric: head i + m/2 repeats head i with −c_i, and |c_i| = 1.
    """
    lin, norms = _suprema(model, initial, None, radii, inputs, workers)
    return Suprema(lin, norms)


def target_suprema(
    model: ShallowTransformer,
    initial: Params,
    transported: Params,
    radii: Mapping[str, float],
    inputs: Inputs,
    workers: Workers,
) -> TargetSuprema:
    """``suprema``, and those that involve φ̃ = ``transported``."""
    return TargetSuprema(*_suprema(model, initial, transported, radii, inputs, workers))


def _suprema(
    model: ShallowTransformer,
    initial: Params,
    transported: Params | None,
    radii: Mapping[str, float],
    inputs: Inputs,
    workers: Workers,
) -> list[Tensor]:
    """The fields of ``Suprema``, or of ``TargetSuprema``, in their order."""
    pairs = initial["c"].shape[0] // 2
    d = inputs.X.shape[-1]

    def block(rows: slice, heads: slice) -> Tensor:
        sample = inputs.rows(rows)
        twin = slice(pairs + heads.start, pairs + heads.stop)
        base = {b: v.double() for b, v in slice_heads(initial, heads, model).items()}
        g = geometry(model, base, sample)
        key = sample.q.norm(dim=1, keepdim=True) if model.key == "W" else torch.ones(1, 1).double()
        reach = Reach.over(g, Radii(radii["c"], radii["U"], radii[model.key] * key))
        pair = _Pair(model, reach)
        lin, combined, change = pair.one_variable()
        norms = pair.squared_gradient_norm(key)
        if transported is None:
            return torch.stack([lin, norms])
        toward = sum(
            pair.toward(_displacement(model, initial, transported, half), sample)
            for half in (heads, twin)
        )
        return torch.stack([lin, norms, change + toward, combined + toward])

    # A block also holds d × d matrices: count them as tokens to keep it in cache.
    total = sum_heads(block, inputs.n, pairs, max(inputs.T, d * d // 4), workers)
    total = workers.ranks.sum_(total)
    m = workers.ranks.total(2 * pairs)
    root = math.sqrt(m)
    return [total[0] / root, total[1] / m, *(row / root for row in total[2:])]


def _displacement(
    model: ShallowTransformer, initial: Params, transported: Params, heads: slice
) -> Params:
    """v_i/√m of some heads, and their c."""
    start, end = (slice_heads(p, heads, model) for p in (initial, transported))
    moved = {b: end[b].double() - start[b].double() for b in start}
    return moved | {"sign": start["c"].double()}


class _Pair:
    """Bounds of the two heads of every pair together, (rows, pairs) each."""

    def __init__(self, model: ShallowTransformer, reach: Reach) -> None:
        activation = model.activation
        known = activation.smoothness
        self.model, self.reach, self.radii = model, reach, reach.radii
        self.geometry: Geometry = reach.geometry
        self.activation = activation
        self.s0, self.s1, self.s2 = known.suprema
        self.s3 = known.third
        z = self.geometry.z
        self.value = activation.value(z)
        self.slope = activation.slope(z, self.value)
        self.curvature = known.curvature(z, self.value)
        Z = self.Z = reach.score
        # σ', σ'' anywhere on [z − Z, z + Z]
        bent = self.curvature.abs() + self.s3 * Z
        self.curved = bent.clamp(max=self.s2)
        risen = self.slope.abs() + self.curvature.abs() * Z + self.s3 * Z**2 / 2
        self.steep = risen.clamp(max=self.s1)
        self.size = 1 + self.radii.c  # |c + δc|

    def one_variable(self) -> tuple[Tensor, Tensor, Tensor]:
        """Pair bounds of linearization, of its complement (combined) and of their sum."""
        Z, r = self.Z, self.radii
        tops = [torch.zeros(2, *Z.shape, dtype=Z.dtype) for _ in range(3)]
        sign = torch.tensor([1.0, -1.0], dtype=Z.dtype).reshape(2, 1, 1)
        for share in np.linspace(-1, 1, GRID):
            step = float(share) * Z
            value = self.activation.value(self.geometry.z + step)
            slope = self.activation.slope(self.geometry.z + step, value)
            rise, run = value - self.value, slope * step
            early = r.c * rise.abs() + sign * (rise - self.slope * step)
            late = r.c * run.abs() + sign * (run - rise)
            for top, found in zip(tops, (early, late, early + late), strict=True):
                torch.maximum(top, found, out=top)
        # Between grid points a maximum is at most ½ (spacing/2)² sup|second derivative| higher.
        gap = (Z / (GRID - 1)) ** 2 / 2
        early_bend = (1 + r.c) * self.s2
        late_bend = (1 + r.c) * (self.s2 + Z * self.s3) + r.c * self.s2
        bends: tuple[Tensor | float, ...] = (early_bend, late_bend, early_bend + late_bend)
        lin, combined, change = (
            top.sum(0) + 2 * gap * bend for top, bend in zip(tops, bends, strict=True)
        )
        xi = self.slope.abs() * self.reach.remainder_of_pair
        eta = 2 * self.size * self.steep * self.reach.late_remainder
        return lin + xi, combined + eta, change + xi + eta

    def toward(self, v: Params, inputs: Inputs) -> Tensor:
        """sup over Δ of |⟨∇h(θ+Δ) − ∇h(θ), v⟩| for one head of every pair.

        D²h(θ)[Δ, v] is linear in Δ: its supremum is a norm. The rest is half a third derivative.
        """
        g, r, reach = self.geometry, self.radii, self.reach
        c, U = v["sign"], v["U"]
        X = inputs.X
        x = self.model.scores(v[self.model.key], inputs)  # X_t · v_W q
        y = X @ U.mT
        x = x - (g.p * x).sum(1, keepdim=True)
        y = y - (g.p * y).sum(1, keepdim=True)
        Mk, MU = X.mT @ (g.p * x), X.mT @ (g.p * y)
        along = (g.weighted * x).sum(1)  # b · v_W q
        Kk = X.mT @ (g.weighted * x) - g.a * along.unsqueeze(1)
        first = (U.mT * g.a).sum(1) + along  # Dz[v]
        common = (v["c"] * self.slope + c * self.curvature * first).unsqueeze(1)
        bent = (c * self.slope).unsqueeze(1)
        linear = r.c * (self.slope * first).abs()
        linear = linear + r.u * norm(common * g.a + bent * Mk)
        linear = linear + r.k * norm(common * g.b + bent * (MU + Kk))
        v_c, v_u, v_k = v["c"].abs(), norm(U), norm(self.key_of(v, inputs))
        D, Dv = reach.first(r.u, r.k), reach.first(v_u, v_k)
        D2, D2v, D3v = reach.second(r.u, r.k), reach.second(v_u, v_k), reach.third(v_u, v_k)
        s1, s2, s3 = self.steep, self.curved, self.s3
        third = v_c * (s2 * D**2 + s1 * D2) + 2 * r.c * (s2 * D * Dv + s1 * D2v)
        third = third + self.size * (s3 * D**2 * Dv + s2 * (2 * D * D2v + Dv * D2) + s1 * D3v)
        second = v_c * s1 * D + r.c * s1 * Dv + self.size * (s2 * D * Dv + s1 * D2v)
        return torch.minimum(linear + third / 2, second)

    def key_of(self, v: Params, inputs: Inputs) -> Tensor:
        """v_W q, or v_k, (rows, d, pairs)."""
        key = v[self.model.key]
        if self.model.key == "k":
            return key.mT.unsqueeze(0)
        moved = inputs.q @ key.flatten(0, 1).mT  # (rows, pairs·d)
        return moved.reshape(len(inputs.q), *key.shape[:2]).mT

    def squared_gradient_norm(self, query: Tensor) -> Tensor:
        """sup of ‖∇h‖² over the ball, both heads of a pair together."""
        g, r, reach, B = self.geometry, self.radii, self.reach, self.geometry.tokens
        value = (self.value.abs() + self.steep * self.Z).clamp(max=self.s0)
        a = torch.minimum(g.a_norm + reach.attention_change, B)
        b = g.b_norm + r.u * reach.variance + r.k * reach.K3
        b = torch.minimum(b, B**2 * (g.u_norm + r.u))
        return 2 * (value**2 + (self.size * self.steep) ** 2 * (a**2 + (query * b) ** 2))
