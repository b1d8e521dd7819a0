"""Transport maps v: targets f̃(X) = E_θ ⟨v(θ), ∇h(X; θ)⟩, and φ̃ that moves initial heads by v/√m.

A map assigns to an initial head θ a displacement inside the balls of radii ν: its target is in the
class F_ν (arXiv 2601.16514). Norm bounds hold exactly, rounding included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ntkbound.heads.model import Params
from ntkbound.heads.sums import in_chunks
from ntkbound.machine.ranks import ALONE, Ranks

Shape = Callable[[Params], Params]  # θ → displacement inside the unit balls


@dataclass(frozen=True)
class TransportMap:
    """θ → v(θ), block → (heads, *shape), with |v_b(θ)| ≤ ν_b for every θ and block b."""

    name: str
    nu: Mapping[str, float]
    shape: Shape

    def __call__(self, theta: Params) -> Params:
        return {b: _into_ball(v, self.nu[b]) for b, v in self.shape(theta).items()}


def _into_ball(v: Tensor, radius: float) -> Tensor:
    """radius·v, with ‖v‖ > 1 first scaled to 1; never outside the ball, even by rounding."""
    axes = tuple(range(1, v.ndim))
    norms = v.abs() if not axes else v.square().sum(axes, keepdim=True).sqrt()
    inside = 1 - 8 * torch.finfo(v.dtype).eps
    return v * (radius * inside / norms.clamp(min=1.0))


def transported_parameters(
    initial: Params, transport: TransportMap, ranks: Ranks = ALONE
) -> Params:
    """φ̃_i = θ_i(0) + v(θ_i(0))/√m of the heads held here, float64, block → (m, *shape)."""
    root = math.sqrt(ranks.total(len(next(iter(initial.values())))))

    def part(heads: slice) -> Params:
        theta = {b: v[heads].double() for b, v in initial.items()}
        return {b: theta[b] + v / root for b, v in transport(theta).items()}

    return in_chunks(initial, part)
