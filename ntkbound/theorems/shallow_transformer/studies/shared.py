"""Quantities that several studies share."""

from __future__ import annotations

from ntkbound.core.quantity import Quantity

THEOREM = "shallow-transformer"

MIN_MSE = Quantity("optimization", "training", "min_mse", "min MSE")
MIN_RMSE = Quantity("optimization", "training", "min_rmse", "min RMSE")
VALIDATION = Quantity("optimization", "training", "min_validation_mse", "best validation MSE")
APPROXIMATION = Quantity("approximation", "transported", "max", "approximation")
WORST = Quantity("linearization", "worst", "max", "linearization, worst")
TRAJECTORY = Quantity("linearization", "trajectory", "max", "linearization, trajectory")
ALIGNED = Quantity("linearization", "aligned", "mean", "linearization, aligned")
COF = Quantity("change_of_feature", "trajectory", "max", "change of feature, trajectory")
COF_WORST = Quantity("change_of_feature", "worst", "max", "change of feature, worst")
FEATURE_NORM = Quantity("gradient", "training", "feature_norm_max", "max ‖∇f‖")
LOSS_GRADIENT = Quantity("gradient", "training", "loss_gradient_norm_max", "max ‖∇R̂‖")
