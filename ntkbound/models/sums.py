"""Every sum over heads, in one place.

f, f_lin, gradient norms and the searched suprema are all sums over heads, streamed over a fixed
partition into blocks of samples × heads: memory stays flat in n·m·T, bits do not depend on threads,
and this is the one seam at which heads spread over processes would meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ntkbound.models.heads import HeadModel, Inputs, Params, slice_heads
from ntkbound.parallel import Workers, partition

BLOCK_HEADS = 256
BLOCK_ELEMENTS = 1 << 15  # sample × token × head elements of a block: a few arrays fit in L2

PerHead = Callable[[slice, slice], Tensor]


def sum_heads(per_head: PerHead, n: int, m: int, T: int, workers: Workers) -> Tensor:
    """Σ_i of ``per_head(rows, heads)``, a tensor (..., rows, heads) of any block; (..., n)."""
    heads = partition(m, BLOCK_HEADS)
    rows = partition(n, max(1, BLOCK_ELEMENTS // (T * min(m, BLOCK_HEADS))))

    def one(block: slice) -> Tensor:
        total = per_head(block, heads[0]).sum(-1)
        for more in heads[1:]:
            total += per_head(block, more).sum(-1)
        return total

    return torch.cat(list(workers.map(one, rows)), dim=-1)


def measured(params: Params, heads: slice, model: HeadModel) -> Params:
    """Some heads in float64, the precision of everything that is measured."""
    return {b: v.double() for b, v in slice_heads(params, heads, model).items()}


def outputs(model: HeadModel, params: Params, inputs: Inputs, workers: Workers) -> Tensor:
    """f(X_j; φ) = m^{-1/2} Σ_i h(X_j; θ_i), float64 (n,)."""
    m = params[model.output_block].shape[-1]

    def block(rows: slice, heads: slice) -> Tensor:
        return model.h(measured(params, heads, model), inputs.rows(rows))

    return sum_heads(block, inputs.n, m, inputs.T, workers) / math.sqrt(m)


def tangent(
    model: HeadModel, at: Params, to: Params, origin: Params, inputs: Inputs, workers: Workers
) -> tuple[Tensor, Tensor]:
    """f(X_j; φ) and ⟨∇f(X_j; φ), to − origin⟩ at φ = ``at``, float64 (n,) each.

    With at = origin = φ_0 the second is f_lin(X_j; to).
    """
    m = at[model.output_block].shape[-1]

    def block(rows: slice, heads: slice) -> Tensor:
        base = measured(at, heads, model)
        end, start = measured(to, heads, model), measured(origin, heads, model)
        delta = {b: end[b] - start[b] for b in end}
        return torch.stack(model.jvp(base, delta, inputs.rows(rows)))

    value, derivative = sum_heads(block, inputs.n, m, inputs.T, workers) / math.sqrt(m)
    return value, derivative


def squared_feature_norms(
    model: HeadModel, params: Params, inputs: Inputs, workers: Workers
) -> Tensor:
    """‖∇f(X_j; φ)‖² = (1/m) Σ_i ‖∇h(X_j; θ_i)‖², float64 (n,)."""
    m = params[model.output_block].shape[-1]

    def block(rows: slice, heads: slice) -> Tensor:
        return model.squared_gradient_norms(measured(params, heads, model), inputs.rows(rows))

    return sum_heads(block, inputs.n, m, inputs.T, workers) / m
