"""Linearization error: lin_j(φ) = f(X_j; φ) − f_lin(X_j; φ), arXiv 2601.16514.

f_lin(X; φ) = ⟨∇f(X; φ_0), φ − φ_0⟩, since f(·; φ_0) = 0 under symmetric initialisation.
"""

from __future__ import annotations

from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs, Params
from ntkbound.heads.sums import outputs, tangent
from ntkbound.machine.parallel import Workers


def linearized_outputs(
    model: HeadModel, initial: Params, params: Params, inputs: Inputs, workers: Workers
) -> Tensor:
    """f_lin(X_j; φ), (..., n)."""
    return tangent(model, initial, params, initial, inputs, workers)[1]


def linearization_errors(
    model: HeadModel, initial: Params, params: Params, inputs: Inputs, workers: Workers
) -> Tensor:
    """lin_j(φ), (n,)."""
    linear = linearized_outputs(model, initial, params, inputs, workers)
    return outputs(model, params, inputs, workers) - linear
