"""Tighter certificates for every term of the theorem, each proved in docs/certificates.md."""

from ntkbound.theorems.shallow_transformer.certificates.a_priori import (
    approximation,
    change_of_feature,
    combined,
    linearization,
    squared_feature_norm,
    training_rmse,
)
from ntkbound.theorems.shallow_transformer.certificates.any_head import of_any_head
from ntkbound.theorems.shallow_transformer.certificates.certificate import Level, tightest
from ntkbound.theorems.shallow_transformer.certificates.certify import (
    TRANSFORMER_ONLY,
    Certified,
    certify,
    sharpened,
)
from ntkbound.theorems.shallow_transformer.certificates.exchangeable import approximation_bound
from ntkbound.theorems.shallow_transformer.certificates.suprema import (
    Suprema,
    TargetSuprema,
    suprema,
    target_suprema,
)

__all__ = [
    "TRANSFORMER_ONLY",
    "Certified",
    "Level",
    "Suprema",
    "TargetSuprema",
    "approximation",
    "approximation_bound",
    "certify",
    "change_of_feature",
    "combined",
    "linearization",
    "of_any_head",
    "sharpened",
    "squared_feature_norm",
    "suprema",
    "target_suprema",
    "tightest",
    "training_rmse",
]
