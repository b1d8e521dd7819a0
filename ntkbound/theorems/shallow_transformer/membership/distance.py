"""How far labels are from everything inside Ω_ρ: a lower bound on the error of every iterate.

For φ ∈ Ω_ρ write f = f_lin + e with |e_j| ≤ ε_lin. For any z in R^n with ‖z‖ = 1

    ‖y − f(φ)‖ ≥ ⟨z, y − f_lin(φ) − e⟩ ≥ ⟨z, y⟩ − h(Jᵀz) − ε_lin ‖z‖₁,
    h(g) = sup_{φ ∈ Ω_ρ} ⟨g, φ − φ_0⟩ = m^{-1/2} Σ_b ρ_b Σ_i ‖g_{i,b}‖,

h being the support function of a product of balls (docs/studies.md, membership). The largest
⟨z, y⟩ − h(Jᵀz) over z is the distance of y from the linear class J(Ω_ρ − φ_0); any z gives a bound,
and the direction of the residual that training leaves is close to the best where ρ binds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from ntkbound.heads.linearized import Linearized


def least_rmse(
    lin: Linearized, y: Tensor, residual: Tensor, rho: Mapping[str, float], error: float
) -> float:
    """No parameters inside Ω_ρ have a smaller RMSE on labels ``y`` (n,); negative says nothing.

    residual (n,): its direction is z. rho: block → ρ_b. error: a proved ε_lin on Ω_ρ. Derived
    above; float64.
    """
    size = float(residual.norm())
    if not size:
        return -error
    z = residual / size
    gradient = lin.adjoint(z)
    reach = sum(
        rho[block] * float(g.reshape(len(g), -1).norm(dim=1).sum()) for block, g in gradient.items()
    )
    least = float(z @ y) - reach / math.sqrt(lin.m) - error * float(z.abs().sum())
    return least / math.sqrt(len(y))
