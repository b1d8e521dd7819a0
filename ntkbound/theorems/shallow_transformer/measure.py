"""Every error term of one run after its descent, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ntkbound.core.outcome import Terms
from ntkbound.heads.model import Params
from ntkbound.heads.native_model import native_notes
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.summary import summarise
from ntkbound.heads.terms.trajectory import FEATURE_NORM, VALIDATION_MSE, mean_square_error
from ntkbound.heads.terms.worst import (
    Search,
    Supremum,
    worst_change_of_feature,
    worst_linearization,
)
from ntkbound.heads.training.projection import boundary_fraction, displacement_norms
from ntkbound.theorems.shallow_transformer.config import known
from ntkbound.theorems.shallow_transformer.start import Trained

TINY = 1e-300  # an error of zero has no share to be gained


@dataclass(frozen=True)
class Measured:
    """Terms, and what is to be said about how they were measured."""

    terms: Terms
    notes: list[str]


def measure(run: Trained) -> Measured:
    """All terms of one run."""
    start, descent = run.start, run.descent
    found, searched = _errors(run)
    terms: Terms = found | {"optimization": _optimization(run), "gradient": _gradient(run)}
    notes = [*start.task.notes, *native_notes(start.model)]
    notes.append(_how_searched(searched, start.lin.inputs.n))
    if descent.diverged:
        notes.append(
            f"diverged: the loss left the finite range at step {descent.steps}; "
            "everything below is about the steps before"
        )
    if start.config.method == "projsgd":
        notes.append("minimum and best are over the recorded steps, where R̂ was evaluated in full")
    return Measured(terms, notes)


def _errors(run: Trained) -> tuple[Terms, list[Supremum]]:
    """Linearization, and with φ̃ approximation and change of feature; the suprema searched."""
    start, trajectory = run.start, run.trajectory
    config, lin, task = start.config, start.lin, start.task
    radii, seed = config.radii, known(config.init_seed, "init_seed")
    search = Search(config.search_restarts, config.search_steps, seed)
    few = lin.rows(slice(0, config.search_samples))

    def linear(params: Params) -> dict[str, float]:
        return summarise(linearization_errors(lin, params))

    worst = worst_linearization(few, radii, search)
    linearization = {
        "random": linear(random_probe(lin, radii, seed)),
        "aligned": linear(aligned_probe(lin, radii)),
        "trajectory": trajectory.worst("linearization"),
        "worst": summarise(worst.error),
    }
    terms: Terms = {"linearization": linearization}
    if start.transported is None:
        return terms, [worst]
    linearization["transported"] = linear(start.transported)
    errors = summarise(approximation_errors(lin, start.transported, task.y))
    if task.standard_error is not None:
        errors["standard_error"] = float(task.standard_error.max())
    terms["approximation"] = {"transported": errors}
    change = worst_change_of_feature(few, start.transported, radii, search)
    terms["change_of_feature"] = {
        "trajectory": trajectory.worst("change_of_feature"),
        "worst": summarise(change.error),
    }
    return terms, [worst, change]


def _optimization(run: Trained) -> dict[str, dict[str, Any]]:
    lin, task, descent = run.start.lin, run.start.task, run.descent
    min_mse = mean_square_error(lin, descent.best, task.y)
    validation = run.trajectory.table.get(VALIDATION_MSE)
    return {
        "training": {
            "min_mse": min_mse,
            "min_rmse": math.sqrt(min_mse),
            "mean_mse": descent.mean_mse,
            "best_step": descent.best_step,
            "final_mse": mean_square_error(lin, descent.final, task.y),
            **({} if validation is None else {"min_validation_mse": float(validation.min())}),
            **({} if task.noise_floor is None else {"noise_floor": task.noise_floor}),
        }
    }


def _gradient(run: Trained) -> dict[str, dict[str, Any]]:
    start, descent = run.start, run.descent
    moved = displacement_norms(descent.final, start.initial, lead=0)
    return {
        "training": {
            "feature_norm_max": float(run.trajectory.table[FEATURE_NORM].max()),
            "loss_gradient_norm_max": descent.gradient_norm_max,
        },
        "boundary_fraction": boundary_fraction(moved, start.config.radii, start.workers.ranks),
        "reach": {
            b: value * math.sqrt(start.config.m)
            for b, value in descent.reach.items()
            if math.isfinite(value)  # a run that diverged may have gone anywhere
        },
    }


def _how_searched(found: Sequence[Supremum], n: int) -> str:
    """How many samples were searched, and what the ascents could still have gained."""
    left = max(float((s.gap / s.error.clamp(min=TINY)).max()) for s in found)
    return (
        f"worst: suprema searched at {len(found[0].error)} of {n} samples; to first order the "
        f"ascents could gain {left:.1g} of them at most"
    )
