"""Assertions about the certificates a posteriori: attacked from inside Ω_ρ at every sample."""

from __future__ import annotations

import torch
from torch import Tensor

from ntkbound.heads.model import Params
from ntkbound.heads.sums import squared_feature_norms
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
    found = certificates.suprema(model, initial, transported, radii, inputs, ONE)
    search = Search(restarts, steps, case.seed)
    rows: dict[str, list[tuple[Tensor, Tensor]]] = {"linearization": [], "change_of_feature": []}
    lin = worst_linearization(model, initial, radii, inputs, search, ONE).error
    cof = worst_change_of_feature(model, initial, transported, radii, inputs, search, ONE).error
    rows["linearization"].append((lin, found.linearization))
    rows["change_of_feature"].append((cof, found.change_of_feature))
    rows["combined"], rows["feature_norm"] = [], []
    points: list[Params] = [
        in_ball(initial, radii, case.seed + 10 + k, boundary=k > 0) for k in range(4)
    ]
    points += [aligned_probe(model, initial, radii, inputs, ONE)]
    points += [_one_sign(point, initial, radii) for point in points[:2]]
    for at in points:
        lin = linearization_errors(model, initial, at, inputs, ONE)
        cof = change_of_feature_errors(model, initial, at, transported, inputs, ONE)
        norms = squared_feature_norms(model, at, inputs, ONE)
        rows["linearization"].append((lin.abs(), found.linearization))
        rows["change_of_feature"].append((cof.abs(), found.change_of_feature))
        rows["combined"].append(((cof - lin).abs(), found.combined))
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
    setting = case.setting()
    found = certificates.suprema(
        case.model, case.initial, None, case.radii(case.rho), case.inputs, ONE
    )
    closed = theorem.linearization(setting, setting.rho)
    assert float(found.linearization.max()) <= closed * 1.05 + 1e-12
    L2 = theorem.squared_feature_norm(setting)
    assert float(found.squared_feature_norm.max()) <= L2 * (1 + 1e-9)
