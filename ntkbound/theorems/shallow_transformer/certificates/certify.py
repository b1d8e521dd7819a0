"""All certificates of one run, and the bounds that follow: the tightest proved value per term."""

from __future__ import annotations

import math
from dataclasses import replace

from ntkbound.core.outcome import Bound
from ntkbound.heads.model import HeadModel, Params
from ntkbound.heads.sums import squared_distance
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer.certificates import a_priori
from ntkbound.theorems.shallow_transformer.certificates.certificate import (
    Certificate,
    Level,
    tightest,
)
from ntkbound.theorems.shallow_transformer.certificates.exchangeable import approximation_bound
from ntkbound.theorems.shallow_transformer.certificates.suprema import suprema
from ntkbound.theorems.shallow_transformer.config import RunConfig

ROUNDED = 1e-6  # of a realised distance, which was measured in the training precision
NARROWER = 0.9  # suprema over the ball that training met are worth finding below this share of ρ
PROOFS = "docs/certificates.md"
TERMS = ("linearization", "approximation", "change_of_feature", "feature_norm", "training_rmse")


def certify(
    config: RunConfig,
    model: HeadModel,
    task: Task,
    initial: Params,
    transported: Params | None,
    reach: dict[str, float],
    setting: theorem.Setting,
    closed: theorem.Bounds,
    workers: Workers,
) -> tuple[list[Certificate], str]:
    """Every certificate that is defined for this run, and why others are absent ('' if none).

    ``closed`` are the closed forms of docs/theory.md §4; ``reach`` is how far training moved any
    head in each block. Only the Transformer has the constants
    that the other levels need.
    """
    found: list[Certificate] = []

    def add(level: Level, term: str, value: float | None, source: str) -> None:
        if value is not None and math.isfinite(value):
            found.append(Certificate(term, level, value, source))

    likely = f"probability ≥ {1 - config.delta:g} over φ_0"
    for term in TERMS:
        note = f", {likely}" if term in ("approximation", "training_rmse") else ""
        bound: Bound = getattr(closed, term)
        add("closed-form", term, bound.value, f"theorem, docs/theory.md §4{note}")
    if not isinstance(model, ShallowTransformer):
        return found, "certificates beyond the closed forms are known for the Transformer only"
    if model.activation.curvature is None or model.activation.third is None:
        return found, f"no constant is known for the third derivative of {model.activation.name}"

    problem = a_priori.Problem(
        setting.m, setting.n, setting.d, config.activation, setting.rho, setting.nu, setting.delta,
        setting.B_x, setting.B_q,
    )  # fmt: skip
    source = f"{PROOFS} §5, {likely}"
    add("a-priori", "linearization", a_priori.linearization(problem), source)
    add("a-priori", "feature_norm", math.sqrt(a_priori.squared_feature_norm(problem)), source)
    sure = suprema(model, initial, transported, config.radii, task.inputs, workers)
    add("a-posteriori", "linearization", float(sure.linearization.max()), f"{PROOFS} §3, sure")
    add(
        "a-posteriori", "feature_norm", math.sqrt(float(sure.squared_feature_norm.max())),
        f"{PROOFS} §3, sure",
    )  # fmt: skip
    if transported is None or task.transport is None:
        return found, ""
    assert sure.change_of_feature is not None
    assert sure.combined is not None
    add(
        "a-posteriori", "change_of_feature", float(sure.change_of_feature.max()),
        f"{PROOFS} §3, sure, for the realised φ̃",
    )  # fmt: skip
    projected = config.method == "projgd"
    if config.ridge is None:  # a map that knows φ_0 has no bound over φ_0
        heads = config.teacher_heads
        add("a-priori", "approximation", a_priori.approximation(problem, heads), source)
        add("a-priori", "change_of_feature", a_priori.change_of_feature(problem), source)
        if projected:
            prior = a_priori.training_rmse(problem, setting.eta, setting.tau, heads)
            add("a-priori", "training_rmse", prior.value, source)
        drawn, guessed = approximation_bound(
            model, initial, transported, task.transport, task.inputs, task.y,
            delta=config.delta, seed=config.init_seed or 0, workers=workers,
        )  # fmt: skip
        add(
            "a-posteriori", "approximation", float(drawn.max()),
            f"{PROOFS} §4, probability ≥ {1 - config.delta:g} over φ_0 and fresh heads",
        )  # fmt: skip
        add(
            "estimate", "approximation", float(guessed.max()),
            f"{PROOFS} §4, Chernoff with a sampled moment generating function: not proved",
        )  # fmt: skip
    if projected and setting.nu.inside(setting.rho):
        met = {b: min(r, reach[b] * (1 + ROUNDED)) for b, r in config.radii.items()}
        if all(met[b] < NARROWER * r for b, r in config.radii.items()):
            sure = suprema(model, initial, transported, met, task.inputs, workers)
        assert sure.combined is not None
        app = approximation_errors(model, initial, transported, task.inputs, task.y, workers)
        epsilon = float((sure.combined + app.abs()).square().mean().sqrt())
        L2 = float(sure.squared_feature_norm.mean())
        V0 = squared_distance(model, transported, initial, workers)
        realised = a_priori.descent_bound(epsilon, L2, V0, setting.eta, setting.tau)
        add(
            "a-posteriori", "training_rmse", realised.value,
            f"{PROOFS} §6, sure: approximation error and reach of training are realised",
        )  # fmt: skip
    return found, ""


def sharpened(
    closed: theorem.Bounds, certificates: list[Certificate], setting: theorem.Setting
) -> theorem.Bounds:
    """``closed`` with every term at its tightest proved value."""
    best = {term: tightest(certificates, term) for term in TERMS}
    realised = {c.term for c in certificates if c.level == "a-posteriori"}
    changed = {}
    for term, value in best.items():
        if value is not None:
            # Realised errors leave nothing to chance but how close the heads' average comes to f̃.
            sure = term in realised and term != "approximation"
            changed[term] = Bound(value, delta=0.0 if sure else getattr(closed, term).delta)
    transported = closed.linearization_transported
    over_rho = best["linearization"]
    if over_rho is not None and transported.value is not None and setting.nu.inside(setting.rho):
        # φ̃ ∈ Ω_ν ⊂ Ω_ρ
        changed["linearization_transported"] = Bound(min(over_rho, transported.value))
    return replace(closed, **changed)
