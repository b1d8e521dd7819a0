"""Approximation error: app_j = f_lin(X_j; φ̃) − f̃(X_j), arXiv 2601.16514.

φ̃_i = θ_i(0) + v(θ_i(0))/√m are the transported parameters of the target f̃ ∈ F_ν.
"""

from __future__ import annotations

import math

from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs, Params
from ntkbound.heads.sums import in_chunks
from ntkbound.heads.terms.linearization import linearized_outputs
from ntkbound.machine.parallel import Workers
from ntkbound.machine.ranks import ALONE, Ranks
from ntkbound.theorems.shallow_transformer.transport import TransportMap


def transported_parameters(
    initial: Params, transport: TransportMap, ranks: Ranks = ALONE
) -> Params:
    """φ̃ of the heads held here, float64, block → (m, *shape)."""
    root = math.sqrt(ranks.total(initial["c"].shape[0]))

    def part(heads: slice) -> Params:
        theta = {b: v[heads].double() for b, v in initial.items()}
        return {b: theta[b] + v / root for b, v in transport(theta).items()}

    return in_chunks(initial, part)


def approximation_errors(
    model: HeadModel,
    initial: Params,
    transported: Params,
    inputs: Inputs,
    y: Tensor,
    workers: Workers,
) -> Tensor:
    """app_j with the labels y as f̃, (n,)."""
    return linearized_outputs(model, initial, transported, inputs, workers) - y
