"""What was measured along one audited run, and sums over its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ntkbound.theorems.shallow_transformer.audit.observer import Columns

Array = np.ndarray


@dataclass(frozen=True)
class Run:
    """One audited run: columns of its observer, one row per audited step, and its scalars."""

    columns: Columns
    eta: float
    tau: int
    delta: float
    distance: float  # Σ ν² ≥ V_0
    inside: bool  # ν ≤ ρ: φ̃ ∈ Ω_ρ
    start: float  # V_0
    end: float  # V_τ
    app_rms: float
    app_max: float
    min_mse: float  # over all s ≤ τ

    def mean(self, values: Array) -> float:
        """The average over all s < τ of a column, interpolated between audited steps."""
        return float((weights(self.columns["step"], self.tau) * values).sum() / self.tau)

    @property
    def mean_rmse(self) -> float:
        """√mean R̂."""
        return math.sqrt(self.mean(self.columns["mse"]))


def weights(steps: Array, tau: int) -> Array:
    """(K,) weights with Σ_k w_k y_k = Σ_{s<τ} of the piecewise linear curve through (s_k, y_k).

    ``steps`` increase from 0 to τ − 1; all of them audited means all weights 1.
    """
    every = np.arange(tau)
    return np.array([np.interp(every, steps, row).sum() for row in np.eye(len(steps))])
