"""The theorem's problem: sizes, norms, step size and activation, in which nothing is left open.

The one description that bounds, certificates, the planner and the audit share. What is realised
rather than given, u_i = ‖U_i(0)‖, travels beside it as an array (m,).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ntkbound.heads.activations import ACTIVATIONS

Target = Literal["drawn", "computed", "unknown"]


@dataclass(frozen=True)
class Norms:
    """One number per block: the radii ρ of Ω_ρ or the norms ν of a transport map."""

    c: float
    u: float
    w: float  # of W, or of k = W q, or of the recurrent weight

    @classmethod
    def of(cls, blocks: Mapping[str, float]) -> Norms:
        """Of blocks ``c``, ``U`` and one more, whatever the model calls it."""
        (w,) = (value for block, value in blocks.items() if block not in ("c", "U"))
        return cls(blocks["c"], blocks["U"], w)

    def __add__(self, other: Norms) -> Norms:
        return Norms(self.c + other.c, self.u + other.u, self.w + other.w)

    @property
    def squared(self) -> float:
        return self.c**2 + self.u**2 + self.w**2

    def inside(self, other: Norms) -> bool:
        """ν ≤ ρ, block by block."""
        return self.c <= other.c and self.u <= other.u and self.w <= other.w


UNBOUNDED = Norms(math.inf, math.inf, math.inf)  # ν of a target about which nothing is known


@dataclass(frozen=True)
class Problem:
    """Everything that is fixed before a head is drawn.

    target
        What is known of φ̃: a transport map that is independent of φ_0 (``drawn``), one that was
        ``computed`` from φ_0, or none (``unknown``: ν is infinite, and bounds that need it are not
        asked for).
    label_heads
        Heads averaged into every label, so that it differs a little from f̃; 0: y = f̃ exactly.
    """

    n: int
    m: int
    d: int
    T: int  # no bound of the Transformer depends on it
    activation: str  # of ``ACTIVATIONS``
    rho: Norms
    nu: Norms
    eta: float
    tau: int
    delta: float
    label_heads: int = 0
    target: Target = "drawn"
    B_x: float = 1.0  # ‖X_t‖ ≤ B_x
    B_q: float = 1.0  # ‖q‖ ≤ B_q

    @property
    def sigma(self) -> tuple[float, float, float]:
        """σ0 ≥ |σ|, σ1 ≥ |σ'|, σ2 ≥ |σ''|. Raises InputError where the activation has none."""
        return ACTIVATIONS[self.activation].suprema

    @property
    def target_inside(self) -> bool:
        """ν ≤ ρ: φ̃ ∈ Ω_ρ."""
        return self.nu.inside(self.rho)

    @property
    def eta_scale(self) -> float:
        """η√τ."""
        return self.eta * math.sqrt(self.tau)

    def after(self, tau: int) -> Problem:
        """The same with τ steps of size η = ``eta_scale``/√τ."""
        return replace(self, tau=tau, eta=self.eta_scale / math.sqrt(tau))

    def scaled(self, norms: Norms) -> Norms:
        """Norms of the same model with tokens and query in unit balls (docs/theory.md §4).

        U·a and U, ρ_u, ν_u scale by B_x; X W q and ρ_w, ν_w by B_x B_q.
        """
        return Norms(norms.c, self.B_x * norms.u, self.B_x * self.B_q * norms.w)
