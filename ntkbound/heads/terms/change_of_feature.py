"""Change of feature: cof_j(φ) = ⟨∇f(X_j; φ) − ∇f(X_j; φ_0), φ − φ̃⟩, arXiv 2601.16514."""

from __future__ import annotations

from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs, Params
from ntkbound.heads.sums import tangent
from ntkbound.machine.parallel import Workers


def change_of_feature_errors(
    model: HeadModel,
    initial: Params,
    params: Params,
    transported: Params,
    inputs: Inputs,
    workers: Workers,
) -> Tensor:
    """cof_j(φ), (n,)."""
    now = tangent(model, params, params, transported, inputs, workers)[1]
    return now - tangent(model, initial, params, transported, inputs, workers)[1]
