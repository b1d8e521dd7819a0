"""Tighter certificates for every term of the theorem, each proved in docs/certificates.md."""

from ntkbound.theorems.shallow_transformer.certificates.a_priori import (
    Problem,
    approximation,
    change_of_feature,
    combined,
    linearization,
    squared_feature_norm,
    training_rmse,
)
from ntkbound.theorems.shallow_transformer.certificates.certificate import (
    Certificate,
    Level,
    tightest,
)
from ntkbound.theorems.shallow_transformer.certificates.certify import certify, sharpened
from ntkbound.theorems.shallow_transformer.certificates.exchangeable import approximation_bound
from ntkbound.theorems.shallow_transformer.certificates.suprema import Suprema, suprema

__all__ = [
    "Certificate",
    "Level",
    "Problem",
    "Suprema",
    "approximation",
    "approximation_bound",
    "certify",
    "change_of_feature",
    "combined",
    "linearization",
    "sharpened",
    "squared_feature_norm",
    "suprema",
    "tightest",
    "training_rmse",
]
