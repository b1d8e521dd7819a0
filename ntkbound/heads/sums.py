"""f, tangents and feature norms of a whole model: every mean over heads, in float64.

All measured quantities are sums over heads; they meet here, over ranks too, streamed over chunks,
so that no float64 copy of all parameters is ever held. Parameters (m, *shape) of one run give (n,)
numbers where those of R runs, (R, m, *shape), give (R, n), each the bits that its run gets alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs, Params, slice_heads, together
from ntkbound.machine.parallel import Workers, partition

CHUNK_HEADS = 4096


def measured(params: Params, heads: slice, model: HeadModel) -> Params:
    """Some heads in float64, the precision of everything that is measured."""
    return {b: v.double() for b, v in slice_heads(params, heads, model).items()}


def in_chunks(like: Params, work: Callable[[slice], Params]) -> Params:
    """``work(heads)`` of all heads, float64, block → as in ``like``, a few heads at a time.

    No second copy of so many parameters is ever held.
    """
    whole = {b: torch.empty(v.shape, dtype=torch.float64) for b, v in like.items()}
    for heads in partition(len(next(iter(like.values()))), CHUNK_HEADS):
        for block, part in work(heads).items():
            whole[block][heads] = part
    return whole


def _sums(
    model: HeadModel, at: Params, to: Params, origin: Params, inputs: Inputs, workers: Workers
) -> Tensor:
    """(4, ..., n)"""
    lead, m = at[model.output_block].shape[:-1], at[model.output_block].shape[-1]
    if not lead:
        at, to, origin = together(at), together(to), together(origin)
    total = torch.zeros(*(lead or (1,)), 4, inputs.n, dtype=torch.float64)
    for heads in partition(m, CHUNK_HEADS):
        end, start = measured(to, heads, model), measured(origin, heads, model)
        delta = {b: end[b] - start[b] for b in end}
        total += model.tangent_sums(measured(at, heads, model), delta, inputs, workers)
    sums = workers.ranks.sum_(total)
    return sums.movedim(1, 0) if lead else sums[0]


def tangent(
    model: HeadModel, at: Params, to: Params, origin: Params, inputs: Inputs, workers: Workers
) -> tuple[Tensor, Tensor]:
    """f(X_j; φ) and ⟨∇f(X_j; φ), to − origin⟩ at φ = ``at``, float64 (..., n) each.

    With at = origin = φ_0 the second is f_lin(X_j; to).
    """
    value, derivative, _ = tangent_and_norm(model, at, to, origin, inputs, workers)
    return value, derivative


def tangent_and_norm(
    model: HeadModel, at: Params, to: Params, origin: Params, inputs: Inputs, workers: Workers
) -> tuple[Tensor, Tensor, Tensor]:
    """f, ⟨∇f, to − origin⟩ and ‖∇f(X_j; φ)‖² at φ = ``at`` in one pass, float64 (..., n) each."""
    m = workers.ranks.total(at[model.output_block].shape[-1])
    h, dh, _, norm = _sums(model, at, to, origin, inputs, workers)
    return h / math.sqrt(m), dh / math.sqrt(m), norm / m


def outputs(model: HeadModel, params: Params, inputs: Inputs, workers: Workers) -> Tensor:
    """f(X_j; φ) = m^{-1/2} Σ_i h(X_j; θ_i), float64 (..., n)."""
    return tangent(model, params, params, params, inputs, workers)[0]


def squared_feature_norms(
    model: HeadModel, params: Params, inputs: Inputs, workers: Workers
) -> Tensor:
    """‖∇f(X_j; φ)‖² = (1/m) Σ_i ‖∇h(X_j; θ_i)‖², float64 (..., n)."""
    return tangent_and_norm(model, params, params, params, inputs, workers)[2]


def squared_distance(model: HeadModel, one: Params, other: Params, workers: Workers) -> float:
    """‖φ − φ'‖² over all blocks and heads."""
    total = torch.zeros(len(one), dtype=torch.float64)
    for heads in partition(one[model.output_block].shape[0], CHUNK_HEADS):
        a, b = measured(one, heads, model), measured(other, heads, model)
        total += torch.stack([(a[block] - b[block]).square().sum() for block in a])
    return float(workers.ranks.sum_(total.sum()))


def adjoint(
    model: HeadModel, at: Params, weights: Tensor, inputs: Inputs, workers: Workers
) -> Params:
    """Jᵀw = Σ_j w_j ∇f(X_j; φ) at φ = ``at``, float64, block → (m, *shape); ``weights`` (n,)."""

    def part(heads: slice) -> Params:
        sums = model.weighted_gradient_sums(measured(at, heads, model), inputs, weights, workers)
        return {b: v / math.sqrt(m) for b, v in sums.items()}

    m = workers.ranks.total(at[model.output_block].shape[0])
    return in_chunks(at, part)
