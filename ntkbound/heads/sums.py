"""Heads in float64, the precision of everything that is measured, a few at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ntkbound.heads.model import HeadModel, Params, slice_heads
from ntkbound.machine.parallel import Workers, partition

CHUNK_HEADS = 4096


def measured(params: Params, heads: slice, model: HeadModel) -> Params:
    """Some heads in float64."""
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


def squared_distance(model: HeadModel, one: Params, other: Params, workers: Workers) -> float:
    """‖φ − φ'‖² over all blocks and heads."""
    total = torch.zeros(len(one), dtype=torch.float64)
    for heads in partition(one[model.output_block].shape[0], CHUNK_HEADS):
        a, b = measured(one, heads, model), measured(other, heads, model)
        total += torch.stack([(a[block] - b[block]).square().sum() for block in a])
    return float(workers.ranks.sum_(total.sum()))
