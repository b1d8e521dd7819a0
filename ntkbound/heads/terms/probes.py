"""Where in Ω_ρ an error is measured: the probes that are not a trajectory.

``random``: uniform in every ball. ``aligned``: S1's gradient-aligned perturbation on the boundary
(arXiv 2601.16514, experiments): ΔU_i, ΔW_i along Σ_j ∂σ(z_i(X_j)), without the factor c_i and with
one perturbation for all samples, Δc_i = +ρ_c/√m. With the factor c_i, or a perturbation per sample,
second-order terms cancel inside symmetric pairs and the error decays faster than 1/√m.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params
from ntkbound.heads.sums import in_chunks, measured


def random_probe(lin: Linearized, radii: dict[str, float], seed: int) -> Params:
    """φ_0 + Δ with Δ uniform in the product of balls; ``radii`` already divided by √m."""
    model, ranks = lin.model, lin.workers.ranks

    def part(heads: slice) -> Params:
        base = measured(lin.initial, heads, model)
        for block, value in base.items():
            size = math.prod(model.blocks[block])

            def draw(rng: np.random.Generator, rows: int, size: int = size) -> np.ndarray:
                direction = rng.standard_normal((rows, size))
                direction /= np.linalg.norm(direction, axis=1, keepdims=True)
                return direction * rng.random((rows, 1)) ** (1 / size)

            purpose = f"probe/random/{block}"
            ball = [
                streams.rows(seed, purpose, own.start, own.stop, draw)
                for own in ranks.held(heads, lin.heads)
            ]
            delta = torch.from_numpy(np.concatenate(ball)).reshape(value.shape)
            base[block] = value + radii[block] * delta
        return base

    return in_chunks(lin.initial, part)


def aligned_probe(lin: Linearized, radii: dict[str, float]) -> Params:
    """φ_0 + Δ with Δ on the boundary along the unsigned gradient sums."""
    model, everywhere = lin.model, torch.ones(lin.inputs.n, dtype=torch.float64)

    def part(heads: slice) -> Params:
        base = measured(lin.initial, heads, model)
        unsigned = base | {model.output_block: torch.ones_like(base[model.output_block])}
        total = model.weighted_gradient_sums(unsigned, lin.inputs, everywhere, lin.workers)
        moved = {b: base[b] + radii[b] * unit(total[b]) for b in base}
        moved[model.output_block] = base[model.output_block] + radii[model.output_block]
        return moved

    return in_chunks(lin.initial, part)


def unit(v: Tensor, lead: int = 1) -> Tensor:
    """v/‖v‖ per head (a scalar block: its sign), 0 where v = 0; ``lead`` axes precede the block."""
    if v.ndim == lead:
        return torch.sign(v)
    norms = v.flatten(lead).norm(dim=-1).reshape(*v.shape[:lead], *[1] * (v.ndim - lead))
    return torch.where(norms > 0, v / norms.where(norms > 0, torch.ones_like(norms)), 0.0)
