"""What a target asks of the class F_ν: the smallest displacement whose linear model fits labels y.

With J = ∇f(X; φ_0) and Θ = JJᵀ, among all displacements with f_lin = y the one of least norm is
Δ = JᵀΘ^{-1}y, ‖Δ‖² = yᵀΘ^{-1}y (docs/linearized.md). A ridge λ gives Δ = Jᵀα, α = (Θ + λI)^{-1}y,
with residual y − f_lin = λα. Scaled to the transport map, v_i = √m Δ_i.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.tangent_kernel import tangent_kernel
from ntkbound.heads.training.projection import displacement_norms
from ntkbound.heads.transport import TransportMap
from ntkbound.machine.ranks import ALONE, Ranks


@dataclass(frozen=True)
class KernelFit:
    """Kernel regression at one ridge: α = (Θ + λI)^{-1} y with λ = ridge · tr Θ/n."""

    ridge: float
    alpha: Tensor  # (n,)
    residual: float  # ‖y − f_lin‖/‖y‖, the relative training residual
    rkhs_norm: float  # √(yᵀ(Θ + λI)^{-1}y)
    displacement_norm: float  # ‖Δ‖ = √(αᵀΘα) ≤ rkhs_norm, equal without ridge


def kernel_fits(kernel: Tensor, y: Tensor, ridges: Sequence[float]) -> list[KernelFit]:
    """One fit per relative ridge, all from one eigendecomposition of Θ (n, n); ``y`` (n,).

    Directions with eigenvalues below n·ε·λ_max are beyond float64: they are left unfitted, and
    their share of y counts in the residual.
    """
    values, vectors = torch.linalg.eigh(kernel)
    n, parts = len(y), vectors.mT @ y
    seen = values > n * torch.finfo(values.dtype).eps * values[-1]
    size = float(y.norm())
    fits = []
    for ridge in ridges:
        shifted = values + ridge * float(values.clamp(min=0).mean())
        part = torch.where(seen, parts / shifted.where(seen, torch.ones_like(shifted)), 0.0)
        alpha = vectors @ part
        left = y - kernel @ alpha  # of the kernel itself: rounding at a bad condition shows
        fits.append(
            KernelFit(
                ridge=ridge,
                alpha=alpha,
                residual=float(left.norm()) / size if size else 0.0,
                rkhs_norm=math.sqrt(float(parts @ part)),
                displacement_norm=math.sqrt(float(values.clamp(min=0) @ part.square())),
            )
        )
    return fits


def minimum_norm_displacement(lin: Linearized, alpha: Tensor) -> Params:
    """Δ = Jᵀα, block → (m, *shape), float64."""
    return lin.adjoint(alpha)


def required_nu(displacement: Params, ranks: Ranks = ALONE) -> dict[str, float]:
    """√m max_i ‖Δ_i‖ per block: the smallest ν whose class holds this transport map."""
    still = {b: torch.zeros_like(v) for b, v in displacement.items()}
    norms = displacement_norms(displacement, still, lead=0)
    return {
        b: math.sqrt(ranks.total(len(v))) * float(ranks.max_(v.max())) for b, v in norms.items()
    }


def with_computed_transport(lin: Linearized, task: Task, ridge: float) -> tuple[Task, Params]:
    """The task with the transport map v(θ_i(0)) = √m Δ_i of its own labels, and φ̃.

    ``lin`` is on the samples of ``task``.

    The map is known at these heads only. Its ν are the realised sup norms, so that φ̃ ∈ Ω_ν. It
    depends on φ_0 and is no map of the theorem: bounds that need one independent of φ_0 do not
    apply, and the notes say so.

    Raises InputError where the kernel does not fit into memory.
    """
    (fit,) = kernel_fits(tangent_kernel(lin), task.y, [ridge])
    displacement = minimum_norm_displacement(lin, fit.alpha)
    nu = required_nu(displacement, lin.workers.ranks)
    root = math.sqrt(lin.m)
    # A block that does not move has ν = 0, and stays 0 whatever it is divided by.
    inside = {b: v * (root / (nu[b] or 1.0)) for b, v in displacement.items()}
    told = ", ".join(f"{b} {value:.3g}" for b, value in nu.items())
    note = (
        f"transported parameters computed by kernel regression with ridge {ridge:g} (relative "
        f"residual {fit.residual:.3g}, ν realised {told}), depend on φ_0: the approximation bound "
        "does not apply"
    )
    transport = TransportMap("computed", nu, lambda theta: inside)
    moved = {b: lin.initial[b].double() + v / root for b, v in transport(lin.initial).items()}
    return replace(task, transport=transport, notes=(*task.notes, note)), moved
