"""Π: the projection onto Ω_ρ of arXiv 2601.16514,

Ω_ρ = { |c_i − c_i(0)| ≤ ρ_c/√m, ‖U_i − U_i(0)‖ ≤ ρ_u/√m, ‖W_i − W_i(0)‖_F ≤ ρ_w/√m for all i },

a product of balls, one per head and block, so each is projected by itself. No rounding leaves a
head outside: a ball of k numbers is taken narrower by ``margin(k)``, which is more than two ways of
adding k squares can differ, and each φ_0 + Δ is rounded towards φ_0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ntkbound.heads.model import Params
from ntkbound.machine.ranks import ALONE, Ranks

BOUNDARY_TOLERANCE = 1e-9  # of the radius: the margin, and the rounding of φ_0 + Δ in float64


def margin(numbers: int, dtype: torch.dtype = torch.float64) -> float:
    """(k + 8)ε: the share by which the ball of a head of k numbers is narrowed.

    Heads are projected if they are beyond (1 − margin) of their radius, onto (1 − 2 margin) of it.
    """
    return (numbers + 8) * torch.finfo(dtype).eps


def displacement_norms(params: Params, centre: Params, lead: int) -> Params:
    """‖θ_i − θ_i(0)‖ of every block and head, (..., m); ``lead`` is the number of axes before m."""
    return {b: _norms(params[b] - centre[b], lead) for b in params}


def project_(params: Params, centre: Params, radii: dict[str, Tensor]) -> None:
    """Projects in place. ``params`` (R, m, *shape), ``radii`` block → (R,), already divided by √m.

    A radius of 0 pins the block to its initial value. Heads end inside their balls as measured in
    the precision of ``params``, however their squares are added.
    """
    for block, value in params.items():
        delta = value - centre[block]
        norms = _norms(delta, lead=1)
        radius, narrower = radii[block].to(value)[:, None], margin(delta[0, 0].numel(), value.dtype)
        outside = norms > radius * (1 - narrower)
        if value.device.type != "cpu" or outside.any():  # asking a GPU would mean waiting for it
            factor = torch.where(
                outside,
                radius * (1 - 2 * narrower) / norms.where(outside, torch.ones_like(norms)),
                1.0,
            )
            factor = factor.reshape(factor.shape + (1,) * (value.ndim - 2))
            # Heads inside their ball keep their bits: only the others are rewritten.
            inside = ~outside.reshape(factor.shape)
            back = torch.nextafter(centre[block] + delta * factor, centre[block])
            torch.where(inside, value, back, out=value)


def boundary_fraction(
    norms: Params, radii: dict[str, float], ranks: Ranks = ALONE
) -> dict[str, float]:
    """Fraction of heads on the sphere of their ball, per block; a pinned block counts as 1."""
    return {
        b: float(ranks.sum_((sizes >= radii[b] * (1 - BOUNDARY_TOLERANCE)).double().sum()))
        / ranks.total(len(sizes))
        for b, sizes in norms.items()
    }


def _norms(delta: Tensor, lead: int) -> Tensor:
    if delta.ndim == lead + 1:
        return delta.abs()
    norms: Tensor = delta.flatten(lead + 1).norm(dim=-1)
    return norms
