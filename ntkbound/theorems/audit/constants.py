"""What the proof puts in place of measured numbers, and the bound that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ntkbound.theorems.audit.run import Run
from ntkbound.theorems.bound import Bound
from ntkbound.theorems.shallow_transformer import Bounds, rmse_root


@dataclass(frozen=True)
class Constants:
    """What the proof puts in place of measured numbers.

    ``measured`` names those for which no constant is known, so that the largest measured value
    stands in: then nothing is proved, and the row says so.
    """

    linearization: float
    approximation: float
    change_of_feature: float
    squared_feature_norm: float
    distance: float  # ν_c² + ν_u² + ν_w² ≥ V_0
    measured: frozenset[str] = frozenset()

    @property
    def epsilon(self) -> float:
        return self.linearization + self.approximation + self.change_of_feature


def constants(bounds: Bounds | None, distance: float, run: Run) -> Constants:
    """The proved constants; without them (``bounds`` None) the largest measured values."""
    if bounds is None:
        c = run.columns
        names = ("linearization", "approximation", "change_of_feature", "squared_feature_norm")
        return Constants(
            linearization=float(c["linearization_heads"].max()),
            approximation=run.app_max,
            change_of_feature=float(c["change_of_feature_heads"].max()),
            squared_feature_norm=float(c["squared_feature"].max()),
            distance=distance,
            measured=frozenset(names),
        )
    return Constants(
        linearization=_value(bounds.linearization),
        approximation=_value(bounds.approximation),
        change_of_feature=_value(bounds.change_of_feature),
        squared_feature_norm=_value(bounds.feature_norm) ** 2,
        distance=distance,
    )


def _value(bound: Bound) -> float:
    assert bound.value is not None, bound.reason
    return bound.value


def final_bound(run: Run, known: Constants) -> Bound:
    """The right-hand end of the chain."""
    L2 = known.squared_feature_norm
    value = rmse_root(known.epsilon, L2, known.distance, run.eta, run.tau)
    if math.isinf(value):
        return Bound(None, f"ηL² = {run.eta * L2:.3g} ≥ 1")
    return Bound(value)
