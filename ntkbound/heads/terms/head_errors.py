"""Errors head by head: what the triangle inequality across heads makes of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ntkbound.heads.blocks import sum_heads
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params
from ntkbound.heads.sums import measured


def linearization_head_sums(lin: Linearized, params: Params) -> Tensor:
    """m^{-1/2} Σ_i |h(X_j; θ_i) − h(X_j; θ_i(0)) − ⟨∇h(X_j; θ_i(0)), θ_i − θ_i(0)⟩|, (n,).

    The linearization error is the same sum without the absolute values.
    """

    def block(rows: slice, heads: slice) -> Tensor:
        base, at = measured(lin.initial, heads, lin.model), measured(params, heads, lin.model)
        sample = lin.inputs.rows(rows)
        before, linear = lin.model.jvp(base, _minus(at, base), sample)
        return (lin.model.h(at, sample) - before - linear).abs()

    n, T = lin.inputs.n, lin.inputs.T
    return sum_heads(block, n, lin.heads, T, lin.workers) / math.sqrt(lin.heads)


def head_sums(lin: Linearized, params: Params, transported: Params) -> tuple[Tensor, Tensor]:
    """That of the linearization error, and the same of the change of feature, in one pass."""

    def block(rows: slice, heads: slice) -> Tensor:
        base, at = measured(lin.initial, heads, lin.model), measured(params, heads, lin.model)
        sample = lin.inputs.rows(rows)
        before, linear = lin.model.jvp(base, _minus(at, base), sample)
        toward = _minus(at, measured(transported, heads, lin.model))
        after, now = lin.model.jvp(at, toward, sample)
        change = now - lin.model.jvp(base, toward, sample)[1]
        return torch.stack([after - before - linear, change]).abs()

    n, T = lin.inputs.n, lin.inputs.T
    linear, change = sum_heads(block, n, lin.heads, T, lin.workers) / math.sqrt(lin.heads)
    return linear, change


def _minus(a: Params, b: Params) -> Params:
    return {block: a[block] - b[block] for block in a}
