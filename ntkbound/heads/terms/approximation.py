"""Approximation error: app_j = f_lin(X_j; φ̃) − f̃(X_j), arXiv 2601.16514.

φ̃_i = θ_i(0) + v(θ_i(0))/√m are the transported parameters of the target f̃ ∈ F_ν.
"""

from __future__ import annotations

from torch import Tensor

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params


def approximation_errors(lin: Linearized, transported: Params, y: Tensor) -> Tensor:
    """app_j with the labels y as f̃, (n,)."""
    return lin.linear_outputs(transported) - y
