"""Putting a theorem about head models to the test: train, measure every term, set bounds beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ntkbound.core import streams
from ntkbound.core.outcome import Check
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.model import HeadModel, Params, symmetric_init, together
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.approximation import approximation_errors, transported_parameters
from ntkbound.heads.terms.kernel_regression import with_computed_transport
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.summary import summarise
from ntkbound.heads.terms.trajectory import RunTrajectory, Trajectory, mean_square_error
from ntkbound.heads.terms.worst import (
    Search,
    Supremum,
    worst_change_of_feature,
    worst_linearization,
)
from ntkbound.heads.training.choose import objective_for
from ntkbound.heads.training.descent import (
    Batches,
    Descent,
    Progress,
    RunDescent,
    descend,
    parameter_sets,
    recorded_steps,
)
from ntkbound.heads.training.projection import boundary_fraction, displacement_norms
from ntkbound.heads.training.step import Rule
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import RunConfig, digest
from ntkbound.theorems.shallow_transformer.judge import Terms, judge, no_transport


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
    training_bytes: int | None = None


def build_model(config: RunConfig) -> IndRNN | ShallowTransformer:
    """The architecture of a config whose sizes are known."""
    assert config.d is not None
    activation = ACTIVATIONS[config.activation]
    if config.omega is not None:
        return IndRNN(config.d, activation, config.omega)
    return ShallowTransformer(config.d, activation, fixed_query=config.query == "fixed")


TINY = 1e-300  # an error of zero has no share to be gained

# What runs that train together may differ in; all else, the task above all, they share.
OWN_FIELDS = frozenset({"seed", "init_seed", "eta", "eta_scale", "rho"})


def descent_key(config: RunConfig) -> str:
    """Equal for runs that can share one descent: the same data and sizes, and full batches."""
    own = OWN_FIELDS if config.batch is None else frozenset[str]()
    return digest(config.model_dump(exclude=set(own)))


def run(
    configs: Sequence[RunConfig],
    task: Task,
    workers: Workers,
    progress: Progress,
    device: str = "cpu",
) -> list[Outcome]:
    """Trains resolved configs on ``device`` and measures them (in float64, on the CPU).

    The configs share one descent (equal ``descent_key``); every number is that of a run alone.
    """
    model, held_out = build_model(configs[0]), None
    if configs[0].n_train < len(task.y):
        held_out = task.rows(slice(configs[0].n_train, None))
    starts = [start(config, model, task, workers) for config in configs]
    initial = together(*(own.initial for own in starts))
    moved = [own.transported for own in starts if own.transported is not None]  # all or none
    transported = together(*moved) if moved else None
    trajectory = Trajectory(model, initial, transported, starts[0].task, held_out, workers)
    descent, held = _train(configs, starts[0].task, trajectory, workers, progress, device)
    return [
        replace(
            measure(config, own, model, descent.of(index), trajectory.of(index), workers),
            training_bytes=held,
        )
        for index, (config, own) in enumerate(zip(configs, starts, strict=True))
    ]


@dataclass(frozen=True)
class Start:
    """Where the descent of a run starts, and where its theorem aims."""

    task: Task  # what it is trained on
    initial: Params  # φ_0
    transported: Params | None  # φ̃


def start(config: RunConfig, model: HeadModel, task: Task, workers: Workers) -> Start:
    """The training samples of ``task``, φ_0, and φ̃ where a transport map is known or computed."""
    train = task.rows(slice(0, config.n_train))
    seed, dtype = config.init_seed or 0, getattr(torch, config.dtype)
    initial, moved = symmetric_init(model, config.m, seed, dtype, workers.ranks), None
    if config.ridge is not None:
        train, moved = with_computed_transport(model, initial, train, config.ridge, workers)
    elif train.transport is not None:
        moved = transported_parameters(initial, train.transport, workers.ranks)
    return Start(train, initial, moved)


def _train(
    configs: Sequence[RunConfig],
    task: Task,
    trajectory: Trajectory,
    workers: Workers,
    progress: Progress,
    device: str,
) -> tuple[Descent, int | None]:
    """The descent of all runs, watched by ``trajectory``, and the bytes that each held."""
    config, model, runs = configs[0], trajectory.model, len(configs)
    dtype = getattr(torch, config.dtype)
    inputs, y = task.inputs.to(dtype, device), task.y.to(device, dtype)
    initial = {b: v.to(device) for b, v in trajectory.initial.items()}
    heads = initial[model.output_block].shape[1]
    objective = objective_for(model, inputs, y, heads, workers, runs)
    batches = None
    if config.batch is not None:
        first = slice(0, config.batch)
        small = objective_for(model, inputs.rows(first), y[first], heads, workers)
        seed, n, size = config.init_seed or 0, len(y), config.batch

        def draw(step: int) -> None:
            rng = streams.generator(seed, "batch", step)
            rows = torch.from_numpy(rng.choice(n, size, replace=False)).to(y.device)
            small.load(inputs.rows(rows), y[rows])

        batches = Batches(small, draw)

    def observe(step: int, params: Params, norms: np.ndarray) -> None:
        trajectory.observe(step, {b: v.cpu() for b, v in params.items()}, norms)

    rule = descent_rule(configs, device)
    descent = descend(
        objective,
        initial,
        rule,
        config.tau,
        record=recorded_steps(config.tau, config.records),
        observe=observe,
        progress=progress,
        batches=batches,
        ranks=workers.ranks,
    )
    held = objective.held_bytes()
    if held is None:
        return descent, None
    parameters = sum(value.nbytes for value in initial.values())
    return descent, (held + parameter_sets(rule) * parameters) // runs


def descent_rule(configs: Sequence[RunConfig], device: str = "cpu") -> Rule:
    """η and, where the method projects, ρ/√m of runs that share one descent."""
    shared, radii = configs[0], None
    if shared.method in ("projgd", "projsgd"):
        dtype = getattr(torch, shared.dtype)
        radii = {
            b: torch.tensor([config.radii[b] for config in configs], dtype=dtype, device=device)
            for b in shared.blocks
        }
    eta = torch.tensor([config.eta for config in configs], dtype=torch.float64)
    return Rule(eta, radii, shared.decay or 0.0)


def _how_searched(found: Sequence[Supremum], n: int) -> str:
    """How many samples were searched, and what the ascents could still have gained."""
    left = max(float((s.gap / s.error.clamp(min=TINY)).max()) for s in found)
    return (
        f"worst: suprema searched at {len(found[0].error)} of {n} samples; to first order the "
        f"ascents could gain {left:.1g} of them at most"
    )


def measure(
    config: RunConfig,
    own: Start,
    model: HeadModel,
    descent: RunDescent,
    trajectory: RunTrajectory,
    workers: Workers,
) -> Outcome:
    """All terms, bounds and checks of one run after the descent."""
    task, initial, transported = own.task, own.initial, own.transported
    radii, inputs, ranks = config.radii, task.inputs, workers.ranks
    seed, notes = config.init_seed or 0, list(task.notes)
    search = Search(config.search_restarts, config.search_steps, seed)
    few = inputs.rows(slice(0, config.search_samples))

    final, best = descent.final, descent.best

    def lin(params: Params) -> dict[str, float]:
        return summarise(linearization_errors(model, initial, params, inputs, workers))

    worst = worst_linearization(model, initial, radii, few, search, workers)
    linearization = {
        "random": lin(random_probe(model, initial, radii, seed, ranks)),
        "aligned": lin(aligned_probe(model, initial, radii, inputs, workers)),
        "trajectory": trajectory.worst("linearization"),
        "worst": summarise(worst.error),
    }
    searched = [worst]
    terms: Terms = {"linearization": linearization}
    if transported is not None:
        linearization["transported"] = lin(transported)
        app = approximation_errors(model, initial, transported, inputs, task.y, workers)
        terms["approximation"] = {"transported": summarise(app)}
        if task.standard_error is not None:
            error = float(task.standard_error.max())
            terms["approximation"]["transported"]["standard_error"] = error
        cof = worst_change_of_feature(model, initial, transported, radii, few, search, workers)
        terms["change_of_feature"] = {
            "trajectory": trajectory.worst("change_of_feature"),
            "worst": summarise(cof.error),
        }
        searched.append(cof)
    else:
        reason = no_transport(config)
        notes.append(f"approximation and change_of_feature are not defined: {reason}")
    notes.append(_how_searched(searched, inputs.n))
    min_mse = mean_square_error(model, best, task, workers)
    table = trajectory.table
    validation = table.get("validation_mse")
    terms["optimization"] = {
        "training": {
            "min_mse": min_mse,
            "min_rmse": math.sqrt(min_mse),
            "mean_mse": descent.mean_mse,
            "best_step": descent.best_step,
            "final_mse": mean_square_error(model, final, task, workers),
            **({} if validation is None else {"min_validation_mse": float(validation.min())}),
            **({} if task.noise_floor is None else {"noise_floor": task.noise_floor}),
        }
    }
    boundary = boundary_fraction(displacement_norms(final, initial, lead=0), radii, ranks)
    terms["gradient"] = {
        "training": {
            "feature_norm_max": float(table["feature_norm"].max()),
            "loss_gradient_norm_max": descent.gradient_norm_max,
        },
        "boundary_fraction": boundary,
        "reach": {
            b: value * math.sqrt(config.m)
            for b, value in descent.reach.items()
            if math.isfinite(value)  # a run that diverged may have gone anywhere
        },
    }
    if descent.diverged:
        notes.append(
            f"diverged: the loss left the finite range at step {descent.steps}; "
            "everything below is about the steps before"
        )
    if config.method == "projsgd":
        notes.append("minimum and best are over the recorded steps, where R̂ was evaluated in full")
    bounds, certificates, checks = judge(
        config, model, task, initial, transported, descent.reach, terms, trajectory, notes, workers
    )
    params = {"initial": initial, "final": final, "best": best}
    if transported is not None:
        params["transported"] = transported
    status = "diverged" if descent.diverged else "complete"
    kept = [certificate.as_dict() for certificate in certificates]
    return Outcome(status, terms, bounds, checks, notes, table, params, task, kept)
