"""Worst case over Ω_ρ: searched suprema of the linearization and change-of-feature errors.

Ω_ρ is a product over heads and both errors are sums over heads, so for one input the supremum of ±
error splits into m independent tiny problems. For one input the shallow Transformer sees W only
as k = W q, so each has 1 + 2d unknowns, whatever the query. Every problem is climbed from a few
starts by the rule of ``terms.ascent``: by the native kernel for the shallow Transformer, by
autograd for any other head model. What is returned is attained at a feasible φ: a lower bound of
the supremum, never an estimate above it. The best value never decreases, and every accumulation
point of an ascent is first-order stationary (docs/theory.md); how far its end is from that is part
of the result. The global maximum is not promised.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.heads.blocks import BLOCK_ELEMENTS, BLOCK_HEADS
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import HeadModel, Inputs, Params
from ntkbound.heads.native_model import runs_natively
from ntkbound.heads.sums import measured
from ntkbound.heads.terms.ascent import ARMIJO, GROW, SHRINK, SPAN, Ascent
from ntkbound.heads.terms.probes import unit
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers, partition

CANDIDATES = 8  # points per start, of which the best begins the ascent
DRAWN_HEADS = 16  # whose candidates are drawn together
JOB_HEADS = 64  # heads of one sample that a thread takes at a time


@dataclass(frozen=True)
class Search:
    """How hard to look; ``seed`` draws the candidates."""

    restarts: int
    steps: int
    seed: int


class Supremum(NamedTuple):
    """What was attained, and what an ascent from there could still gain to first order."""

    error: Tensor  # (n,)
    gap: Tensor  # (n,), same units: 0 at a stationary point


@dataclass(frozen=True)
class Heads:
    """Heads of one run, or of several side by side, as each of n samples sees them."""

    model: HeadModel  # what one sample sees
    base: Params  # θ_0, block → (n, heads, *shape)
    radii: Params  # block → (n, heads)
    goal: Params | None  # v = φ̃ − φ_0, (n, heads, *shape): change of feature; None: linearization


def worst_linearization(lin: Linearized, radii: dict[str, float], search: Search) -> Supremum:
    """sup over Ω_ρ of |f − f_lin| at each sample; ``radii`` are ρ/√m."""
    return _supremum(lin, None, radii, search)


def worst_change_of_feature(
    lin: Linearized, transported: Params, radii: dict[str, float], search: Search
) -> Supremum:
    """sup over φ ∈ Ω_ρ of |⟨∇f(φ) − ∇f(φ_0), φ − φ̃⟩| for the fixed φ̃ at each sample."""
    return _supremum(lin, transported, radii, search)


def _supremum(
    lin: Linearized, transported: Params | None, radii: dict[str, float], search: Search
) -> Supremum:
    model, inputs, ranks = lin.model, lin.inputs, lin.workers.ranks
    total = torch.zeros(2, 2, inputs.n, dtype=torch.float64)
    for block in partition(lin.heads, BLOCK_HEADS):
        base = measured(lin.initial, block, model)
        target = None if transported is None else measured(transported, block, model)
        heads = seen_heads(model, base, target, radii, inputs)
        points = candidates(heads.model, search, ranks.held(block, lin.heads))
        total += signed_suprema(heads, inputs, points, search.steps, lin.workers).sum(-1)
    errors, gaps = ranks.sum_(total) / math.sqrt(lin.m)
    error, sign = errors.max(0)
    return Supremum(error, gaps.gather(0, sign.unsqueeze(0))[0])


def seen_heads(
    model: HeadModel,
    base: Params,
    target: Params | None,
    radii: dict[str, float],
    inputs: Inputs,
) -> Heads:
    """The problems of float64 heads θ_0 (and θ̃, for the change of feature) at every sample."""
    seen, at, stretch = model.seen_by_samples(base, inputs)
    count = base[model.output_block].shape[0]
    goal = None
    if target is not None:
        goal = model.seen_by_samples({b: target[b] - base[b] for b in base}, inputs)[1]
    limits = zip(seen.blocks, radii.values(), strict=True)
    return Heads(
        seen,
        at,
        {b: (r * stretch[b]).unsqueeze(1).expand(-1, count) for b, r in limits},
        goal,
    )


def candidates(model: HeadModel, search: Search, heads: Sequence[slice]) -> Params:
    """Random points of the unit balls, block → (heads, restarts, CANDIDATES, *shape).

    On the spheres, and every second one uniformly far inside: some maxima lie there. Keyed by the
    seed and the head's index. The output block has none: its best value is known.
    """
    points = {}
    for block, shape in model.blocks.items():
        if block == model.output_block:
            continue
        size = math.prod(shape)

        def draw(rng: np.random.Generator, count: int, size: int = size) -> np.ndarray:
            v = rng.standard_normal((count, search.restarts, CANDIDATES, size))
            v /= np.linalg.norm(v, axis=-1, keepdims=True)
            v[:, :, 1::2] *= rng.random((count, search.restarts, CANDIDATES // 2, 1))
            return v

        purpose = f"search/{block}/{search.restarts}"
        parts = [
            streams.rows(search.seed, purpose, h.start, h.stop, draw, DRAWN_HEADS) for h in heads
        ]
        drawn = np.concatenate(parts)
        points[block] = torch.from_numpy(drawn.reshape(*drawn.shape[:3], *shape))
    return points


def signed_suprema(
    heads: Heads, inputs: Inputs, points: Params, steps: int, workers: Workers
) -> Tensor:
    """Largest +error and −error of every head at every sample, and their gaps, (2, 2, n, heads).

    The first candidate of the first starts is replaced by ±∇h(θ_0), once for every pattern of signs
    of its blocks. A head's result depends on no other head.
    """
    if runs_natively(heads.model) and isinstance(heads.model, ShallowTransformer):
        return _natively(heads, heads.model, inputs, points, steps, workers)
    count, n = heads.base[heads.model.output_block].shape[1], inputs.n
    restarts = next(iter(points.values())).shape[1]
    # A block also holds two values of δc, two signs and all starts: count them as tokens.
    rows = partition(n, max(1, BLOCK_ELEMENTS // (inputs.T * count * 4 * restarts)))

    def one(part: slice) -> Tensor:
        return _by_autograd(heads, part, inputs.rows(part), points, steps)

    return torch.cat(list(workers.map(one, rows)), dim=2)


def _natively(
    heads: Heads,
    model: ShallowTransformer,
    inputs: Inputs,
    points: Params,
    steps: int,
    workers: Workers,
) -> Tensor:
    from ntkbound.heads.native.search import Rule, Searcher

    searcher = Searcher(
        inputs.X.double().numpy(),
        model.activation.name,
        change=heads.goal is not None,
        points=torch.stack([points["U"], points["k"]], dim=3).numpy(),
        steps=steps,
        rule=Rule(ARMIJO, SHRINK, GROW, SPAN),
    )
    blocks, goal = ("c", "U", "k"), heads.goal or heads.base
    base = tuple(heads.base[b].contiguous().numpy() for b in blocks)
    radii = tuple(heads.radii[b].contiguous().numpy() for b in blocks)
    target = tuple(goal[b].contiguous().numpy() for b in blocks)
    count = base[0].shape[1]
    out = np.empty((2, 2, inputs.n, count))

    def one(job: tuple[int, slice]) -> None:
        sample, part = job
        searcher.search(sample, part.start, part.stop, base + radii, target, out)

    list(workers.map(one, product(range(inputs.n), partition(count, JOB_HEADS))))
    return torch.from_numpy(out)


def _by_autograd(heads: Heads, rows: slice, inputs: Inputs, points: Params, steps: int) -> Tensor:
    model = heads.model
    # One sample per leading index, then axes for the sign and the start.
    single = Inputs(inputs.X[:, None, None, None], inputs.q[:, None, None, None])
    base = {b: v[rows, None, None] for b, v in heads.base.items()}
    leaves = {b: v.clone().requires_grad_() for b, v in base.items()}
    start = model.h(leaves, single)
    slopes = torch.autograd.grad(start.sum(), list(leaves.values()))
    gradient, start = dict(zip(leaves, slopes, strict=True)), start.detach()
    goal = None if heads.goal is None else {b: v[rows, None, None] for b, v in heads.goal.items()}

    def error(delta: Params) -> Tensor:
        moved = {b: base[b] + delta[b] for b in base}
        if goal is None:
            return (model.h(moved, single) - start).squeeze(-2) - _inner(gradient, delta, model)
        direction = {b: delta[b] - goal[b] for b in base}
        change = model.jvp(moved, direction, single)[1].squeeze(-2)
        return change - _inner(gradient, direction, model)

    radii = {b: r[rows, None, None] for b, r in heads.radii.items()}
    climbed = _candidates(model, gradient, points)
    return Ascent(error, radii, model.output_block).suprema(climbed, steps)


def _candidates(model: HeadModel, gradient: Params, points: Params) -> Iterator[Params]:
    """Candidate by candidate: block → (samples, 2, starts, heads, *shape)."""
    samples = gradient[model.output_block].shape[0]
    for candidate in range(CANDIDATES):
        chosen = {}
        for i, (block, drawn) in enumerate(points.items()):
            point = drawn[:, :, candidate].transpose(0, 1)  # (starts, heads, *shape)
            point = point.expand(samples, 2, *point.shape).clone()
            if candidate == 0:
                steepest = unit(_scaled(gradient[block]), lead=4).squeeze(2)
                for start in range(min(2 ** len(points), point.shape[2])):
                    odd = start & 1 if i == 0 else (start ^ (start >> i)) & 1
                    point[:, :, start] = -steepest if odd else steepest
            chosen[block] = point
        yield chosen


def _scaled(v: Tensor) -> Tensor:
    """Largest entry 1 per head: the squares of a saturated head's gradient would underflow."""
    flat = v.flatten(4) if v.ndim > 4 else v.unsqueeze(4)
    top = flat.abs().amax(-1)
    return v / torch.where(top > 0, top, 1.0).reshape(*top.shape, *[1] * (v.ndim - 4))


def _inner(grads: Params, delta: Params, model: HeadModel) -> Tensor:
    """Σ over blocks of ⟨∇h, Δ⟩ per head."""

    def of(block: str) -> Tensor:
        products, shape = grads[block] * delta[block], model.blocks[block]
        return products.flatten(-len(shape)).sum(-1) if shape else products

    first, *others = map(of, model.blocks)
    return sum(others, start=first)
