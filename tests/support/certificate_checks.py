"""Assertions about the certificates a posteriori: attacked from inside Ω_ρ at every sample."""

from __future__ import annotations

import torch
from torch import Tensor

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params
from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe
from ntkbound.heads.terms.worst import Search, worst_change_of_feature, worst_linearization
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer import certificates
from tests.support.checks import ONE
from tests.support.problems import BoundCase, in_ball


def check_suprema(case: BoundCase, restarts: int = 2, steps: int = 12, scale: float = 1.0) -> dict:
    """Searched, aligned, random and boundary φ stay below every certificate; the largest ratios.

    ``scale`` multiplies W(0): huge scores put the softmax on single tokens.
    """
    model, inputs = case.model, case.inputs
    initial = dict(case.initial)
    initial[model.key] = scale * initial[model.key]
    radii = case.radii(case.rho)
    transported = in_ball(initial, case.radii(case.nu), case.seed + 1, boundary=True)
    found = certificates.target_suprema(model, initial, transported, radii, inputs, ONE)
    search = Search(restarts, steps, case.seed)
    lin = Linearized(model, initial, inputs, ONE)
    rows: dict[str, list[tuple[Tensor, Tensor]]] = {"linearization": [], "change_of_feature": []}
    worst = worst_linearization(lin, radii, search).error
    cof = worst_change_of_feature(lin, transported, radii, search).error
    rows["linearization"].append((worst, found.linearization))
    rows["change_of_feature"].append((cof, found.change_of_feature))
    rows["combined"], rows["feature_norm"] = [], []
    points: list[Params] = [
        in_ball(initial, radii, case.seed + 10 + k, boundary=k > 0) for k in range(4)
    ]
    points += [aligned_probe(lin, radii)]
    points += [_one_sign(point, initial, radii) for point in points[:2]]
    for at in points:
        linear = linearization_errors(lin, at)
        cof = change_of_feature_errors(lin, at, transported)
        norms = lin.squared_feature_norms(at)
        rows["linearization"].append((linear.abs(), found.linearization))
        rows["change_of_feature"].append((cof.abs(), found.change_of_feature))
        rows["combined"].append(((cof - linear).abs(), found.combined))
        rows["feature_norm"].append((norms, found.squared_feature_norm))
    ratios = {}
    for name, pairs in rows.items():
        for measured, bound in pairs:
            over = measured - bound * (1 + 1e-10) - 1e-12
            assert bool((over <= 0).all()), f"{name} exceeds its certificate by {over.max()} {case}"
            share = float((measured / (bound + 1e-12)).max())
            ratios[name] = max(ratios.get(name, 0.0), share)
    return ratios


def _one_sign(point: Params, initial: Params, radii: dict[str, float]) -> Params:
    """The same displacement with δc on its largest value against the sign of c."""
    moved = dict(point)
    moved["c"] = initial["c"] + radii["c"] * torch.sign(initial["c"])
    return moved


def check_below_closed_form(case: BoundCase) -> None:
    """No certificate a posteriori is larger than the closed form of docs/theory.md §4."""
    found = certificates.suprema(case.model, case.initial, case.radii(case.rho), case.inputs, ONE)
    closed = theorem.linearization(case.problem, case.u)
    assert float(found.linearization.max()) <= closed * 1.05 + 1e-12
    L2 = theorem.squared_feature_norm(case.problem, case.u)
    assert float(found.squared_feature_norm.max()) <= L2 * (1 + 1e-9)
