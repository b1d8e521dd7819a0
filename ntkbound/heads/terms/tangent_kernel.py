"""The tangent kernel Θ(X, X') = ⟨∇f(X; φ), ∇f(X'; φ)⟩ = mean_i ⟨∇h(X; θ_i), ∇h(X'; θ_i)⟩.

For the shallow Transformer (arXiv 2601.16514; docs/linearized.md) with g = c σ'(z)

    Θ = mean_i [ σσ' + g g' (a·a' + (M U)·(M U)' (q·q')) ],

a sum of products of feature matrices (n × heads·d), accumulated in float64 over blocks of heads;
any other head model brings its gradients in the same form (``HeadModel.gradient_factors``).
Products Θv = J(Jᵀv) need neither the kernel nor the features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ntkbound.heads.blocks import BLOCK_ELEMENTS
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import GradientFactor, HeadModel, Inputs, Params, fresh_heads
from ntkbound.heads.sums import measured
from ntkbound.machine import memory
from ntkbound.machine.parallel import Workers, partition

FEATURE_BYTES = 64 << 20  # of one block of heads, all samples
TILE = 1024  # rows and columns of the kernel made at once where it is not kept
BATCHES = 32  # independent averages that the standard error of the infinite width comes from


def kernel_bytes(n: int, copies: int) -> int:
    """Bytes of ``copies`` float64 matrices n × n and the features of a block of heads."""
    return copies * 8 * n * n + 2 * FEATURE_BYTES


def tangent_kernel(lin: Linearized, columns: Inputs | None = None) -> Tensor:
    """Θ at φ_0 between the samples (n) and ``columns`` (n', by default the same), float64 (n, n').

    Memory: one n × n' matrix per gradient factor (two for the shallow Transformer) beside the
    result. Raises InputError where that is more than there is.
    """
    model, inputs, workers = lin.model, lin.inputs, lin.workers
    n, other = inputs.n, inputs.n if columns is None else columns.n
    memory.require(
        kernel_bytes(math.isqrt(n * other), 3),
        f"the tangent kernel of {n} × {other} samples",
        "use fewer samples, or matrix-free products",
    )
    grams: list[Tensor] = []
    couplings: list[Tensor | None] = []
    for heads in partition(lin.heads, _heads_at_once(model, max(n, other))):
        base = measured(lin.initial, heads, model)
        left = _factors(model, base, inputs, workers)
        right = left if columns is None else _factors(model, base, columns, workers)
        if not grams:
            grams = [torch.zeros(n, other, dtype=torch.float64) for _ in left]
            couplings = [_coupling(a, b) for a, b in zip(left, right, strict=True)]
        _accumulate(grams, left, right, columns is None, workers)
    total = torch.zeros_like(grams[0])
    for gram, coupling in zip(grams, couplings, strict=True):
        workers.ranks.sum_(gram)
        total += gram if coupling is None else gram.mul_(coupling)
    if columns is None:  # only tiles on and right of the diagonal were made
        for rows in partition(n, TILE):
            total[rows.stop :, rows] = total[rows, rows.stop :].mT
    return total.div_(lin.m)


def _heads_at_once(model: HeadModel, n: int) -> int:
    numbers = sum(math.prod(shape) for shape in model.blocks.values())
    return max(1, FEATURE_BYTES // (8 * n * numbers))


def _factors(
    model: HeadModel, base: Params, inputs: Inputs, workers: Workers
) -> list[GradientFactor]:
    heads = base[model.output_block].shape[0]
    rows = partition(inputs.n, max(1, BLOCK_ELEMENTS // (inputs.T * heads)))
    parts = list(workers.map(lambda r: model.gradient_factors(base, inputs.rows(r)), rows))
    return [_joined(list(same)) for same in zip(*parts, strict=True)]


def _joined(parts: list[GradientFactor]) -> GradientFactor:
    vectors = [part.vectors for part in parts if part.vectors is not None]
    return GradientFactor(
        torch.cat([part.features for part in parts]), torch.cat(vectors) if vectors else None
    )


def _coupling(a: GradientFactor, b: GradientFactor) -> Tensor | None:
    return None if a.vectors is None or b.vectors is None else a.vectors @ b.vectors.mT


def _accumulate(
    grams: list[Tensor],
    left: list[GradientFactor],
    right: list[GradientFactor],
    symmetric: bool,
    workers: Workers,
) -> None:
    def tile(rows: slice) -> None:
        first = rows.start if symmetric else 0
        for gram, a, b in zip(grams, left, right, strict=True):
            gram[rows, first:].addmm_(a.features[rows], b.features[first:].mT)

    for _ in workers.map(tile, partition(len(grams[0]), TILE)):
        pass


def kernel_product(lin: Linearized, v: Tensor) -> Tensor:
    """Θv = J(Jᵀv) at φ_0 for v (n,), float64: two sweeps over the heads, no n × n memory."""
    moved = lin.adjoint(v)
    zero = {b: torch.zeros_like(value) for b, value in moved.items()}
    return lin.tangent(lin.initial, moved, zero)[1]


@dataclass(frozen=True)
class KernelChange:
    """‖Θ_s − Θ_0‖_F/‖Θ_0‖_F, with ‖Θ_0‖_F and tr Θ_0."""

    drift: float
    norm: float
    trace: float


def kernel_change(lin: Linearized, params: Params) -> KernelChange:
    """How far the kernel moved from φ_0 to ``params``, tile by tile: memory O(TILE²)."""
    moved, norm, trace = 0.0, 0.0, 0.0
    for rows, columns, twice in _tiles(lin.inputs):
        here = lin.on(rows)
        a, b = tangent_kernel(here, columns), tangent_kernel(here.at(params), columns)
        weight = 2.0 if twice else 1.0
        moved += weight * float((b - a).square().sum())
        norm += weight * float(a.square().sum())
        trace += 0.0 if twice else float(a.trace())
    return KernelChange(math.sqrt(moved / norm), math.sqrt(norm), trace)


def _tiles(inputs: Inputs) -> Iterator[tuple[Inputs, Inputs | None, bool]]:
    """Rows and columns (None: the same) of tiles on and right of the diagonal; off it: twice."""
    blocks = partition(inputs.n, TILE)
    for i, rows in enumerate(blocks):
        yield inputs.rows(rows), None, False
        for columns in blocks[i + 1 :]:
            yield inputs.rows(rows), inputs.rows(columns), True


@dataclass(frozen=True)
class InfiniteWidth:
    """An average of single-head kernels over fresh heads, and what its sampling leaves open."""

    kernel: Tensor  # (n, n)
    error: Tensor  # (n, n) standard errors
    heads: int

    @property
    def relative_error(self) -> float:
        """√(Σ error²)/‖Θ_∞‖_F: the size that noise alone gives to a relative difference."""
        return float(self.error.norm() / self.kernel.norm())


def infinite_width_kernel(lin: Linearized, heads: int, seed: int) -> InfiniteWidth:
    """E_θ ⟨∇h(X; θ), ∇h(X'; θ)⟩ over about ``heads`` fresh initial heads, streamed.

    None of the heads of ``lin`` itself are among them. The standard errors come from BATCHES
    averages of equally many heads.
    """
    n = lin.inputs.n
    memory.require(
        kernel_bytes(n, 6),
        f"the infinite-width kernel of {n} samples",
        "use fewer samples",
    )
    each = max(1, -(-heads // BATCHES))
    mean = torch.zeros(n, n, dtype=torch.float64)
    spread = torch.zeros_like(mean)
    for count, batch in enumerate(partition(BATCHES * each, each), start=1):
        theta = fresh_heads(lin.model, seed, batch.start, batch.stop, torch.float64, "kernel")
        kernel = tangent_kernel(lin.at(theta))
        step = kernel - mean
        mean += step / count
        spread += step.mul_(kernel.sub_(mean))  # Welford: no cancellation between large sums
    error = spread.div_(BATCHES * (BATCHES - 1)).sqrt_()
    return InfiniteWidth(mean, error, BATCHES * each)
