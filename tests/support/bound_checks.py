"""Assertions about the explicit bounds: attacked from inside Ω_ρ, with exact constants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.worst import Search, worst_change_of_feature, worst_linearization
from ntkbound.heads.training import projection
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.theorems.shallow_transformer import bounds as theorem
from tests.support import reference
from tests.support.checks import ONE, norms_of
from tests.support.problems import BoundCase, in_ball


def check_constants(name: str) -> None:
    """Neither exceeded nor too large: each is attained, or approached at infinity."""
    activation = ACTIVATIONS[name]
    z = np.linspace(-30, 30, 600_001)

    def value(x: object) -> np.ndarray:
        return activation.value(torch.from_numpy(np.atleast_1d(np.asarray(x, float)))).numpy()

    def slope(x: object) -> np.ndarray:
        t = torch.from_numpy(np.atleast_1d(np.asarray(x, float)))
        return activation.slope(t, activation.value(t)).numpy()

    def second(x: object, h: float = 1e-4) -> np.ndarray:
        return (slope(x + h) - slope(x - h)) / (2 * h)

    for order, function in enumerate((value, slope, second)):
        start = z[np.abs(function(z)).argmax()]
        found = minimize_scalar(
            lambda x, f=function: -abs(float(f(x)[0])), bounds=(start - 1e-3, start + 1e-3),
            method="bounded", options={"xatol": 1e-12},
        )  # fmt: skip
        supremum = max(-found.fun, float(np.abs(function(z)).max()))
        assert supremum == pytest.approx(activation.constants[order], rel=1e-6), f"σ{order}"
    for x in (-3.0, -0.7, 0.0, 0.4, 2.2):
        assert value(x)[0] == pytest.approx(reference.VALUE[name](x), abs=1e-15)
        assert slope(x)[0] == pytest.approx(reference.SLOPE[name](x), abs=1e-15)
    sign = activation.parity
    assert np.array_equal(value(-z[:1000]), sign * value(z[:1000]))


def check_bounds(case: BoundCase, restarts: int = 3, steps: int = 25) -> dict[str, float]:
    """Random, boundary and searched φ ∈ Ω_ρ never exceed ε_lin, ε_cof or L; the largest ratios."""
    model, inputs, initial, problem = case.model, case.inputs, case.initial, case.problem
    radii = case.radii(case.rho)
    transported = in_ball(initial, case.radii(case.nu), case.seed + 1, boundary=True)
    search = Search(restarts, steps, case.seed)
    lin = Linearized(model, initial, inputs, ONE)
    measured = {
        "linearization": [worst_linearization(lin, radii, search).error],
        "change_of_feature": [worst_change_of_feature(lin, transported, radii, search).error],
        "feature_norm": [_steepest(model, initial, radii, inputs).sqrt()],
    }
    for attempt in range(3):
        at = in_ball(initial, radii, case.seed + 10 + attempt, boundary=attempt > 0)
        measured["linearization"].append(linearization_errors(lin, at).abs())
        cof = change_of_feature_errors(lin, at, transported).abs()
        measured["change_of_feature"].append(cof)
        measured["feature_norm"].append(lin.squared_feature_norms(at).sqrt())
    bounds = {
        "linearization": theorem.linearization(problem, case.u),
        "change_of_feature": theorem.change_of_feature(problem, case.u),
        "feature_norm": math.sqrt(theorem.squared_feature_norm(problem, case.u)),
    }
    ratios = {}
    for name, found in measured.items():
        largest = max(float(errors.max()) for errors in found)
        assert largest <= bounds[name] * (1 + 1e-12) + 1e-13, (
            f"{name}: {largest:.6g} exceeds its bound {bounds[name]:.6g} at {case}"
        )
        ratios[name] = largest / bounds[name] if bounds[name] else 0.0
    return ratios


def _steepest(
    model: ShallowTransformer, initial: Params, radii: dict[str, float], inputs: Inputs
) -> Tensor:
    """Searched supremum of ‖∇f(X_j)‖² over Ω_ρ: normalised projected ascent for sample 0."""
    sample = inputs.rows(slice(0, 1))
    centre = {b: v.unsqueeze(0) for b, v in initial.items()}
    limits = {b: torch.tensor([r], dtype=torch.float64) for b, r in radii.items()}
    at = {b: v.clone() for b, v in centre.items()}
    m, best = initial["c"].shape[0], torch.zeros(1, dtype=torch.float64)
    for step in range(20):
        leaves = {b: v[0].detach().requires_grad_() for b, v in at.items()}
        size = model.squared_gradient_norms(leaves, sample).sum(1) / m
        best = torch.maximum(best, size.detach())
        slopes = torch.autograd.grad(size.sum(), list(leaves.values()), allow_unused=True)
        for (block, value), slope in zip(at.items(), slopes, strict=True):
            # ‖∇h‖² is even in c: its slope at the sign ±1 points outwards by itself.
            flat = torch.zeros_like(value[0]) if slope is None else slope
            norms = norms_of(flat.unsqueeze(0), 0 * flat.unsqueeze(0)).clamp(min=1e-300)
            unit = flat / norms[0].reshape(-1, *[1] * (flat.ndim - 1))
            value += radii[block] * 0.9**step * unit
        projection.project_(at, centre, limits)
    return best
