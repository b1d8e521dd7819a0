"""Activations σ with their first two derivatives and the exact constants of the theorem.

``constants`` are (σ0, σ1, σ2) with |σ| ≤ σ0, |σ'| ≤ σ1, |σ''| ≤ σ2 (arXiv 2601.16514, §1 of the
theory notes): each is the supremum itself, so none can be lowered. ``third`` is the supremum of
the third derivative's size, which only the certificates need.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """σ as ``value``; ``slope(z, σ(z))`` is σ'(z) and ``curvature(z, σ(z))`` is σ''(z).

    They take the value as well, so that all three share one transcendental.
    """

    name: str
    value: Function
    slope: Callable[[Tensor, Tensor], Tensor]
    constants: tuple[float, float, float] | None
    parity: int  # +1 even, −1 odd, 0 neither
    curvature: Callable[[Tensor, Tensor], Tensor] | None = None
    third: float | None = None


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation(
            "tanh",
            torch.tanh,
            lambda z, s: 1 - s * s,
            (1.0, 1.0, 4 / (3 * math.sqrt(3))),
            parity=-1,
            curvature=lambda z, s: -2 * s * (1 - s * s),
            third=2.0,
        ),
        Activation(
            "erf",
            torch.erf,
            lambda z, s: (2 / math.sqrt(math.pi)) * torch.exp(-z * z),
            (1.0, 2 / math.sqrt(math.pi), math.sqrt(8 / (math.pi * math.e))),
            parity=-1,
            curvature=lambda z, s: (-4 / math.sqrt(math.pi)) * z * torch.exp(-z * z),
            third=4 / math.sqrt(math.pi),
        ),
        Activation(  # centred: 2/(1 + e^{-z}) − 1
            "sigmoid",
            lambda z: torch.tanh(z / 2),
            lambda z, s: (1 - s * s) / 2,
            (1.0, 0.5, 1 / (3 * math.sqrt(3))),
            parity=-1,
            curvature=lambda z, s: -s * (1 - s * s) / 2,
            third=0.25,
        ),
        Activation(
            "bump",
            lambda z: torch.exp(-z * z / 2),
            lambda z, s: -z * s,
            (1.0, math.exp(-0.5), 1.0),
            parity=1,
            curvature=lambda z, s: (z * z - 1) * s,
            # the third derivative (3z − z³) e^{−z²/2} is extremal at z² = 3 − √6
            third=math.sqrt(6 * (3 - math.sqrt(6))) * math.exp(-(3 - math.sqrt(6)) / 2),
        ),
        Activation(
            "relu",
            torch.relu,
            lambda z, s: (z > 0).to(z.dtype),
            None,
            parity=0,
        ),
    )
}
