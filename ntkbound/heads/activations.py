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

from ntkbound.core.errors import InputError

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Smoothness:
    """(σ0, σ1, σ2), the supremum σ3 of the third derivative's size, and σ'' itself."""

    suprema: tuple[float, float, float]
    third: float
    curvature: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """σ as ``value``; ``slope(z, σ(z))`` is σ'(z) and ``curvature(z, σ(z))`` is σ''(z).

    They take the value as well, so that all three share one transcendental. ``native``: the native
    kernels know it, under its name; any other runs in torch.
    """

    name: str
    value: Function
    slope: Callable[[Tensor, Tensor], Tensor]
    constants: tuple[float, float, float] | None
    parity: int  # +1 even, −1 odd, 0 neither
    curvature: Callable[[Tensor, Tensor], Tensor] | None = None
    third: float | None = None
    native: bool = False

    @property
    def suprema(self) -> tuple[float, float, float]:
        """(σ0, σ1, σ2). Raises InputError for an activation that no bound is about."""
        if self.constants is None:
            told = f"{self.name} has no bounded second derivative, so no bound holds"
            raise InputError(told, field="activation")
        return self.constants

    @property
    def smooth(self) -> bool:
        """Whether all of ``smoothness`` is known."""
        return None not in (self.constants, self.third, self.curvature)

    @property
    def smoothness(self) -> Smoothness:
        """What the certificates need beside the bounds. Raises InputError where it is not known."""
        if self.curvature is None or self.third is None:
            told = f"no constant is known for the third derivative of {self.name}"
            raise InputError(told, field="activation")
        return Smoothness(self.suprema, self.third, self.curvature)


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
            native=True,
        ),
        Activation(
            "erf",
            torch.erf,
            lambda z, s: (2 / math.sqrt(math.pi)) * torch.exp(-z * z),
            (1.0, 2 / math.sqrt(math.pi), math.sqrt(8 / (math.pi * math.e))),
            parity=-1,
            curvature=lambda z, s: (-4 / math.sqrt(math.pi)) * z * torch.exp(-z * z),
            third=4 / math.sqrt(math.pi),
            native=True,
        ),
        Activation(  # centred: 2/(1 + e^{-z}) − 1
            "sigmoid",
            lambda z: torch.tanh(z / 2),
            lambda z, s: (1 - s * s) / 2,
            (1.0, 0.5, 1 / (3 * math.sqrt(3))),
            parity=-1,
            curvature=lambda z, s: -s * (1 - s * s) / 2,
            third=0.25,
            native=True,
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
            native=True,
        ),
        Activation(
            "relu",
            torch.relu,
            lambda z, s: (z > 0).to(z.dtype),
            None,
            parity=0,
            native=True,
        ),
    )
}
