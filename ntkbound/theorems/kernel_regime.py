"""Putting a theorem about head models to the test: train, measure every term, set bounds beside."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ntkbound import streams
from ntkbound.config import RunConfig
from ntkbound.models import native
from ntkbound.models.activations import ACTIVATIONS
from ntkbound.models.heads import HeadModel, Params, symmetric_init
from ntkbound.models.transformer import ShallowTransformer
from ntkbound.parallel import Workers
from ntkbound.tasks.task import Task
from ntkbound.terms.approximation import approximation_errors, transported_parameters
from ntkbound.terms.linearization import linearization_errors
from ntkbound.terms.probes import aligned_probe, random_probe
from ntkbound.terms.summary import summarise
from ntkbound.terms.trajectory import Trajectory, detach_run, mean_square_error
from ntkbound.terms.worst import Search, worst_change_of_feature, worst_linearization
from ntkbound.theorems.bound import Check
from ntkbound.theorems.judge import Terms, judge
from ntkbound.training.blocked import BlockedObjective
from ntkbound.training.descent import Batches, Descent, Progress, descend, recorded_steps
from ntkbound.training.fused import FusedObjective
from ntkbound.training.projection import boundary_fraction, displacement_norms
from ntkbound.training.step import Rule


@dataclass
class Outcome:
    """What one run has to say; disk and screen are somebody else's business."""

    status: str
    terms: Terms
    bounds: dict[str, float | None]
    checks: list[Check]
    notes: list[str]
    trace: dict[str, np.ndarray]
    params: dict[str, Params] = field(repr=False)
    task: Task = field(repr=False)
    certificates: list[dict[str, Any]] = field(default_factory=list)


def build_model(config: RunConfig) -> ShallowTransformer:
    """The architecture of a config whose sizes are known."""
    assert config.d is not None
    activation = ACTIVATIONS[config.activation]
    return ShallowTransformer(config.d, activation, fixed_query=config.query == "fixed")


def run(
    config: RunConfig, task: Task, workers: Workers, progress: Progress, device: str = "cpu"
) -> Outcome:
    """Trains one resolved config on ``device`` and measures it (in float64, on the CPU)."""
    model = build_model(config)
    dtype = getattr(torch, config.dtype)
    train, held_out = task.rows(slice(0, config.n_train)), None
    if config.n_train < len(task.y):
        held_out = task.rows(slice(config.n_train, None))
    seed = config.init_seed or 0
    initial = symmetric_init(model, config.m, seed, dtype)
    transport = task.transport
    transported = None if transport is None else transported_parameters(initial, transport)
    trajectory = Trajectory(model, initial, transported, train, held_out, workers)
    descent = _train(config, model, initial, train, trajectory, workers, progress, device)
    return measure(config, model, train, initial, transported, trajectory, descent, workers)


def _train(
    config: RunConfig,
    model: ShallowTransformer,
    initial: Params,
    task: Task,
    trajectory: Trajectory,
    workers: Workers,
    progress: Progress,
    device: str,
) -> Descent:
    dtype = getattr(torch, config.dtype)
    inputs, y = task.inputs.to(dtype, device), task.y.to(device, dtype)
    make = FusedObjective if device == "cpu" and native.available() else BlockedObjective
    objective = make(model, inputs, y, config.m, workers)
    batches = None
    if config.batch is not None:
        first = slice(0, config.batch)
        small = make(model, inputs.rows(first), y[first], config.m, workers)
        seed, n, size = config.init_seed or 0, len(y), config.batch

        def draw(step: int) -> None:
            rng = streams.generator(seed, "batch", step)
            rows = torch.from_numpy(rng.choice(n, size, replace=False))
            small.load(inputs.rows(rows), y[rows])

        batches = Batches(small, draw)
    projected = config.method in ("projgd", "projsgd")
    scaled = _scaled(config.rho, config.m)
    rule = Rule(
        eta=torch.tensor([config.eta], dtype=torch.float64),
        radii={b: torch.tensor([r], dtype=dtype, device=device) for b, r in scaled.items()}
        if projected
        else None,
        decay=config.decay or 0.0,
    )
    return descend(
        objective,
        {b: v.unsqueeze(0).to(device) for b, v in initial.items()},
        rule,
        config.tau,
        record=recorded_steps(config.tau, config.records),
        observe=lambda s, params, norms: trajectory.observe(s, detach_run(params, 0), norms[0]),
        progress=progress,
        batches=batches,
    )


def measure(
    config: RunConfig,
    model: HeadModel,
    task: Task,
    initial: Params,
    transported: Params | None,
    trajectory: Trajectory,
    descent: Descent,
    workers: Workers,
) -> Outcome:
    """All terms, bounds and checks of a finished descent."""
    radii, inputs = _scaled(config.rho, config.m), task.inputs
    seed, notes = config.init_seed or 0, list(task.notes)
    search = Search(config.search_restarts, config.search_steps, seed)
    few = inputs.rows(slice(0, config.search_samples))
    notes.append(f"worst: suprema searched at {few.n} of {inputs.n} samples")

    final, best = detach_run(descent.final, 0), detach_run(descent.best, 0)
    random = random_probe(model, initial, radii, seed)
    aligned = aligned_probe(model, initial, radii, inputs, workers)

    def lin(params: Params) -> dict[str, float]:
        return summarise(linearization_errors(model, initial, params, inputs, workers))

    worst = worst_linearization(model, initial, radii, few, search, workers)
    linearization = {
        "random": lin(random),
        "aligned": lin(aligned),
        "trajectory": trajectory.linearization,
        "worst": summarise(worst),
    }
    terms: Terms = {"linearization": linearization}
    if transported is not None and task.standard_error is not None:
        linearization["transported"] = lin(transported)
        app = approximation_errors(model, initial, transported, inputs, task.y, workers)
        error = float(task.standard_error.max())
        terms["approximation"] = {"transported": summarise(app) | {"standard_error": error}}
        cof = worst_change_of_feature(model, initial, transported, radii, few, search, workers)
        terms["change_of_feature"] = {
            "trajectory": trajectory.change_of_feature,
            "worst": summarise(cof),
        }
    else:
        reason = f"no transport map is known for task {config.task}"
        notes.append(f"approximation and change_of_feature are not defined: {reason}")
    min_mse = mean_square_error(model, best, task, workers)
    table = trajectory.table
    validation = table.get("validation_mse")
    terms["optimization"] = {
        "training": {
            "min_mse": min_mse,
            "min_rmse": math.sqrt(min_mse),
            "mean_mse": descent.mean_mse[0],
            "best_step": descent.best_step[0],
            "final_mse": mean_square_error(model, final, task, workers),
            **({} if validation is None else {"min_validation_mse": float(validation.min())}),
        }
    }
    boundary = boundary_fraction(displacement_norms(final, initial, lead=0), radii)
    terms["gradient"] = {
        "training": {
            "feature_norm_max": trajectory.feature_norm_max,
            "loss_gradient_norm_max": descent.gradient_norm_max[0],
        },
        "boundary_fraction": boundary,
    }
    if descent.diverged[0]:
        notes.append(
            f"diverged: the loss left the finite range at step {descent.steps}; "
            "everything below is about the steps before"
        )
    if config.method == "projsgd":
        notes.append("minimum and best are over the recorded steps, where R̂ was evaluated in full")
    bounds, certificates, checks = judge(
        config, model, task, initial, transported, terms, trajectory, notes, workers
    )
    params = {"initial": initial, "final": final, "best": best}
    if transported is not None:
        params["transported"] = transported
    status = "diverged" if descent.diverged[0] else "complete"
    kept = [certificate.as_dict() for certificate in certificates]
    return Outcome(status, terms, bounds, checks, notes, table, params, task, kept)


def _scaled(radii: dict[str, float], m: int) -> dict[str, float]:
    """ρ/√m."""
    return {b: r / math.sqrt(m) for b, r in radii.items()}
