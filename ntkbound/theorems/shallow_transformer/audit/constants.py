"""What the proof puts in place of measured numbers, and the bound that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ntkbound.core.outcome import Bound
from ntkbound.theorems.shallow_transformer.audit.columns import Run
from ntkbound.theorems.shallow_transformer.audit.observer import Columns
from ntkbound.theorems.shallow_transformer.bounds import Bounds, rmse_root


@dataclass(frozen=True)
class Constant:
    """A proved constant, or, with the reason why none is known, the largest measured value."""

    value: float
    unknown: str = ""


@dataclass(frozen=True)
class Constants:
    """The constants of the links that need no φ̃."""

    linearization: Constant
    squared_feature_norm: Constant

    @property
    def stand_ins(self) -> dict[str, str]:
        """Each constant that is measured, and why none is known."""
        found = vars(self).items()
        return {name: c.unknown for name, c in found if isinstance(c, Constant) and c.unknown}


@dataclass(frozen=True)
class TargetConstants(Constants):
    """All constants of the chain."""

    approximation: Constant
    change_of_feature: Constant
    distance: float  # ν_c² + ν_u² + ν_w² ≥ V_0

    @property
    def epsilon(self) -> float:
        return self.linearization.value + self.approximation.value + self.change_of_feature.value


def constants(bounds: Bounds, columns: Columns) -> Constants:
    """Those without φ̃: each its bound, or the largest value in ``columns``."""
    norm = bounds.feature_norm
    squared = Bound(None if norm.value is None else norm.value**2, norm.reason)
    return Constants(
        linearization=_constant(bounds.linearization, columns["linearization_heads"]),
        squared_feature_norm=_constant(squared, columns["squared_feature"]),
    )


def target_constants(bounds: Bounds, run: Run) -> TargetConstants:
    """All of them: each its bound, or the largest value in ``run``."""
    change = run.columns["change_of_feature_heads"]
    return TargetConstants(
        **vars(constants(bounds, run.columns)),
        approximation=_constant(bounds.approximation, np.array([run.app_max])),
        change_of_feature=_constant(bounds.change_of_feature, change),
        distance=run.distance,
    )


def _constant(bound: Bound, measured: np.ndarray) -> Constant:
    if bound.value is None:
        return Constant(float(measured.max()), bound.reason)
    return Constant(bound.value)


def final_bound(run: Run, known: TargetConstants) -> Bound:
    """The right-hand end of the chain."""
    L2 = known.squared_feature_norm.value
    value = rmse_root(known.epsilon, L2, known.distance, run.eta, run.tau)
    if math.isinf(value):
        return Bound(None, f"ηL² = {run.eta * L2:.3g} ≥ 1")
    return Bound(value)
