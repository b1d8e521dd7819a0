"""Change of feature: cof_j(φ) = ⟨∇f(X_j; φ) − ∇f(X_j; φ_0), φ − φ̃⟩, arXiv 2601.16514."""

from __future__ import annotations

from torch import Tensor

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params


def change_of_feature_errors(lin: Linearized, params: Params, transported: Params) -> Tensor:
    """cof_j(φ), (n,)."""
    now = lin.tangent(params, params, transported)[1]
    return now - lin.tangent(lin.initial, params, transported)[1]
