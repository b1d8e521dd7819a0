"""Linearization error: lin_j(φ) = f(X_j; φ) − f_lin(X_j; φ), arXiv 2601.16514."""

from __future__ import annotations

from torch import Tensor

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params


def linearization_errors(lin: Linearized, params: Params) -> Tensor:
    """lin_j(φ), (n,)."""
    linear = lin.linear_outputs(params)
    return lin.outputs(params) - linear
