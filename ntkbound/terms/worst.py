"""Worst case over Ω_ρ: searched suprema of the linearization and change-of-feature errors.

Ω_ρ is a product over heads and both errors are sums over heads, so for one input the supremum of ±
error splits into m independent tiny problems. They are solved together, for all inputs, signs and
starting points, by projected ascent with normalised block gradients and a shrinking step. What is
returned is attained at a feasible φ: a lower bound of the supremum, never an estimate above it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ntkbound import streams
from ntkbound.models.blocks import sum_heads
from ntkbound.models.heads import HeadModel, Inputs, Params
from ntkbound.models.sums import measured
from ntkbound.parallel import Workers
from ntkbound.terms.probes import unit

FIRST_STEP, LAST_STEP = 1.0, 0.02  # of the radius; geometric in between
INNER = 0.2  # of the radius: where every second random start lies, the others on the boundary


@dataclass(frozen=True)
class Search:
    """How hard to look; ``seed`` draws the starting points."""

    restarts: int
    steps: int
    seed: int


PerHead = Callable[[Params, Params, Params], Tensor]  # (θ_0, Δ, ∇h(θ_0)) → error of each head


def worst_linearization(
    model: HeadModel,
    initial: Params,
    radii: dict[str, float],
    inputs: Inputs,
    search: Search,
    workers: Workers,
) -> Tensor:
    """sup over Ω_ρ of |f − f_lin| at each sample, (n,); ``radii`` are ρ/√m."""

    def per_head(heads: slice, sample: Inputs) -> PerHead:
        def error(base: Params, delta: Params, grads: Params) -> Tensor:
            moved = {b: base[b] + delta[b] for b in base}
            linear = _inner(grads, delta, model)
            return (model.h(moved, sample) - model.h(base, sample)).squeeze(-2) - linear

        return error

    return _supremum(model, initial, radii, inputs, search, workers, per_head)


def worst_change_of_feature(
    model: HeadModel,
    initial: Params,
    transported: Params,
    radii: dict[str, float],
    inputs: Inputs,
    search: Search,
    workers: Workers,
) -> Tensor:
    """sup over φ ∈ Ω_ρ of |⟨∇f(φ) − ∇f(φ_0), φ − φ̃⟩| for the fixed φ̃ at each sample, (n,)."""

    def per_head(heads: slice, sample: Inputs) -> PerHead:
        target = measured(transported, heads, model)

        def error(base: Params, delta: Params, grads: Params) -> Tensor:
            moved = {b: base[b] + delta[b] for b in base}
            direction = {b: moved[b] - target[b] for b in base}
            change = model.jvp(moved, direction, sample)[1].squeeze(-2)
            return change - _inner(grads, direction, model)

        return error

    return _supremum(model, initial, radii, inputs, search, workers, per_head)


def _supremum(
    model: HeadModel,
    initial: Params,
    radii: dict[str, float],
    inputs: Inputs,
    search: Search,
    workers: Workers,
    per_head: Callable[[slice, Inputs], PerHead],
) -> Tensor:
    m = initial[model.output_block].shape[0]

    def block(rows: slice, heads: slice) -> Tensor:
        base = measured(initial, heads, model)
        sample = inputs.rows(rows)
        grads = model.gradients(base, sample)  # block → (samples, heads, *shape)
        # One sample per leading index, then axes for the sign and the starting point.
        single = Inputs(sample.X[:, None, None, None], sample.q[:, None, None, None])
        starts = _starts(model, grads, radii, heads, search)
        return _ascend(per_head(heads, single), base, grads, starts, radii, model, search.steps)

    # A block also holds two signs and all restarts: count them as tokens to keep it in cache.
    signed = sum_heads(block, inputs.n, m, inputs.T * 2 * search.restarts, workers)
    return signed.amax(0) / math.sqrt(m)


def _starts(
    model: HeadModel, grads: Params, radii: dict[str, float], heads: slice, search: Search
) -> Params:
    """Δ (samples, 2, restarts, heads, *shape): along ±∇h(θ_0) first, then random points."""
    starts = {}
    for block, shape in model.blocks.items():
        size = math.prod(shape)

        def draw(rng: np.random.Generator, count: int, size: int = size) -> np.ndarray:
            return rng.standard_normal((count, max(0, search.restarts - 2), size))

        purpose = f"search/{block}/{search.restarts}"
        drawn = torch.from_numpy(streams.rows(search.seed, purpose, heads.start, heads.stop, draw))
        count = heads.stop - heads.start
        scattered = drawn.transpose(0, 1).reshape(-1, count, *shape)
        along = grads[block].unsqueeze(1)  # (samples, 1, heads, *shape)
        everywhere = scattered.expand(along.shape[0], *scattered.shape)
        every = torch.cat([along, -along, everywhere], dim=1)[:, : search.restarts].unsqueeze(1)
        points = radii[block] * unit(every, lead=4)
        points[:, :, 3::2] *= INNER  # some maxima of an indefinite form are reached from inside
        starts[block] = points.expand(-1, 2, *points.shape[2:]).contiguous()
    return starts


def _ascend(
    error: PerHead,
    base: Params,
    grads: Params,
    delta: Params,
    radii: dict[str, float],
    model: HeadModel,
    steps: int,
) -> Tensor:
    """Largest ±error of every head and sample, (2, samples, heads)."""
    lead = {b: g[:, None, None] for b, g in grads.items()}
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    best: Tensor | None = None
    for step in range(steps + 1):
        leaves = {b: v.requires_grad_() for b, v in delta.items()}
        value = sign * error(base, leaves, lead)  # (samples, 2, restarts, heads)
        found = value.detach().amax(2)
        best = found if best is None else torch.maximum(best, found)
        if step == steps:
            break
        slopes = torch.autograd.grad(value.sum(), list(leaves.values()))
        size = FIRST_STEP * (LAST_STEP / FIRST_STEP) ** (step / max(1, steps - 1))
        delta = {
            b: _into_ball(v.detach() + size * radii[b] * unit(g, lead=4), radii[b])
            for (b, v), g in zip(leaves.items(), slopes, strict=True)
        }
    assert best is not None
    return best.transpose(0, 1)


def _into_ball(delta: Tensor, radius: float) -> Tensor:
    """Projection onto the ball, per head; blocks start at axis 4."""
    if delta.ndim == 4:
        return delta.clamp(-radius, radius)
    norms = delta.flatten(4).norm(dim=-1).reshape(*delta.shape[:4], *[1] * (delta.ndim - 4))
    return torch.where(norms > radius, delta * (radius / norms.clamp(min=1e-300)), delta)


def _inner(grads: Params, delta: Params, model: HeadModel) -> Tensor:
    """Σ over blocks of ⟨∇h, Δ⟩ per head."""
    products = []
    for block, shape in model.blocks.items():
        product = grads[block] * delta[block]
        products.append(product.flatten(-len(shape)).sum(-1) if shape else product)
    return torch.stack(products).sum(0)
