"""Fields and quantities that several studies share."""

from __future__ import annotations

from typing import Any

from ntkbound.studies.study import Quantity

# Fast settings for a sweep whose rates show at any size; what a study varies comes on top.
TINY: dict[str, Any] = {
    "n": 48,
    "T": 4,
    "d": 3,
    "tau": 60,
    "inputs": "ball",
    "teacher_heads": 2048,
    "records": 6,
    "search_samples": 2,
    "search_restarts": 2,
    "search_steps": 8,
}
# For studies that do not look at the worst case.
NO_SEARCH: dict[str, Any] = {"search_samples": 1, "search_restarts": 1, "search_steps": 2}

# The published settings of arXiv 2601.16514's experiments.
PUBLISHED: dict[str, Any] = {
    "n": 5000,
    "validation": 0.2,
    "T": 16,
    "d": 8,
    "inputs": "shrunk",
    "transport": "anchors",
    "teacher_heads": 8192,
    "nu": 3,
    "rho": 3,
    "eta_scale": 1.75,
    "tau": 4000,
}


def seeds(count: int) -> dict[str, int]:
    """The axis ``seed`` with that many values."""
    return {"from": 0, "to": count - 1}


MIN_MSE = Quantity("min MSE", "optimization", "training", "min_mse", bound=True)
APPROXIMATION = Quantity("approximation", "approximation", "transported", "max", bound=True)
WORST = Quantity("linearization, worst", "linearization", "worst", "max", bound=True)
TRAJECTORY = Quantity("linearization, trajectory", "linearization", "trajectory", "max", bound=True)
ALIGNED = Quantity("linearization, aligned", "linearization", "aligned", "mean")
COF = Quantity(
    "change of feature, trajectory", "change_of_feature", "trajectory", "max", bound=True
)
COF_WORST = Quantity("change of feature, worst", "change_of_feature", "worst", "max", bound=True)
FEATURE_NORM = Quantity("max ‖∇f‖", "gradient", "training", "feature_norm_max", bound=True)
LOSS_GRADIENT = Quantity("max ‖∇R̂‖", "gradient", "training", "loss_gradient_norm_max")
