"""Activations σ with their first derivative and the exact constants of the theorem.

``constants`` are (σ0, σ1, σ2) with |σ| ≤ σ0, |σ'| ≤ σ1, |σ''| ≤ σ2 (arXiv 2601.16514, §1 of the
theory notes): each is the supremum itself, so none can be lowered.
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
    """σ as ``value``; ``slope(z, σ(z))`` is σ'(z), so that both share one transcendental."""

    name: str
    value: Function
    slope: Callable[[Tensor, Tensor], Tensor]
    constants: tuple[float, float, float] | None
    parity: int  # +1 even, −1 odd, 0 neither


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation(
            "tanh",
            torch.tanh,
            lambda z, s: 1 - s * s,
            (1.0, 1.0, 4 / (3 * math.sqrt(3))),
            parity=-1,
        ),
        Activation(
            "erf",
            torch.erf,
            lambda z, s: (2 / math.sqrt(math.pi)) * torch.exp(-z * z),
            (1.0, 2 / math.sqrt(math.pi), math.sqrt(8 / (math.pi * math.e))),
            parity=-1,
        ),
        Activation(  # centred: 2/(1 + e^{-z}) − 1
            "sigmoid",
            lambda z: torch.tanh(z / 2),
            lambda z, s: (1 - s * s) / 2,
            (1.0, 0.5, 1 / (3 * math.sqrt(3))),
            parity=-1,
        ),
        Activation(
            "bump",
            lambda z: torch.exp(-z * z / 2),
            lambda z, s: -z * s,
            (1.0, math.exp(-0.5), 1.0),
            parity=1,
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
