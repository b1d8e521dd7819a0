"""Putting a theorem about head models to the test: train, measure every term, set bounds beside."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ntkbound import streams
from ntkbound.config import RunConfig
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
from ntkbound.theorems import shallow_transformer as theorem
from ntkbound.theorems.bound import Bound, Check, check
from ntkbound.training.blocked import BlockedObjective
from ntkbound.training.descent import Batches, Descent, Progress, Rule, descend, recorded_steps
from ntkbound.training.projection import boundary_fraction, displacement_norms

Terms = dict[str, Any]  # term → probe → statistic → number


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


def run(config: RunConfig, task: Task, workers: Workers, progress: Progress) -> Outcome:
    """Trains and measures one resolved config on its task."""
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
    descent = _train(config, model, initial, train, trajectory, workers, progress)
    return measure(config, model, train, initial, transported, trajectory, descent, workers)


def _train(
    config: RunConfig,
    model: ShallowTransformer,
    initial: Params,
    task: Task,
    trajectory: Trajectory,
    workers: Workers,
    progress: Progress,
) -> Descent:
    dtype = getattr(torch, config.dtype)
    inputs, y = task.inputs.to(dtype), task.y.to(dtype)
    objective = BlockedObjective(model, inputs, y, config.m, workers)
    batches = None
    if config.batch is not None:
        first = slice(0, config.batch)
        small = BlockedObjective(model, inputs.rows(first), y[first], config.m, workers)
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
        radii={b: torch.tensor([r], dtype=dtype) for b, r in scaled.items()} if projected else None,
        decay=config.decay or 0.0,
        batches=batches,
    )
    return descend(
        objective,
        {b: v.unsqueeze(0) for b, v in initial.items()},
        rule,
        config.tau,
        record=recorded_steps(config.tau, config.records),
        observe=lambda step, params: trajectory.observe(step, detach_run(params, 0)),
        progress=progress,
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
        reason = f"the transport map of task {config.task} is not known"
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
    bounds, checks = _judge(config, task, initial, terms, trajectory, notes)
    params = {"initial": initial, "final": final, "best": best}
    if transported is not None:
        params["transported"] = transported
    status = "diverged" if descent.diverged[0] else "complete"
    return Outcome(status, terms, bounds, checks, notes, table, params, task)


def _judge(
    config: RunConfig,
    task: Task,
    initial: Params,
    terms: Terms,
    trajectory: Trajectory,
    notes: list[str],
) -> tuple[dict[str, float | None], list[Check]]:
    constants = ACTIVATIONS[config.activation].constants
    if constants is None or not config.bounds:
        absent = theorem.Bounds(*[Bound(None, "bounds were switched off (--no-bounds)")] * 6)
        return _bound_values(absent), _checks(config, terms, absent, trajectory, "not-defined")
    assert config.eta is not None
    assert config.d is not None
    setting = theorem.Setting(
        n=len(task.y),
        m=config.m,
        d=config.d,
        u=initial["U"].double().norm(dim=1).numpy(),
        sigma=constants,
        rho=theorem.Norms(*config.rho.values()),
        nu=theorem.Norms(*config.nu.values()),
        eta=config.eta,
        tau=config.tau,
        delta=config.delta,
        B_x=task.token_norm,
        B_q=task.query_norm,
    )
    teacher_heads = None if task.transport is None else config.teacher_heads
    found = theorem.bounds(setting, teacher_heads, covered=config.method == "projgd")
    notes.extend(_assumptions(config, task, setting))
    for name, bound in vars(found).items():
        if bound.value is None:
            notes.append(f"bound {name} is null: {bound.reason}")
    absent_verdict = "not-defined" if teacher_heads is None else "vacuous"
    return _bound_values(found), _checks(config, terms, found, trajectory, absent_verdict)


def _assumptions(config: RunConfig, task: Task, setting: theorem.Setting) -> list[str]:
    """The assumptions of the theorem that this run does not satisfy, one line each."""
    missing = []
    if task.token_norm > 1:
        missing.append(f"token norms reach {task.token_norm:g}, the paper assumes 1 (bounds scale)")
    if task.transport is None:
        missing.append("the target class is unknown (no transport map)")
    elif not setting.nu.inside(setting.rho):
        missing.append("ν > ρ in some block: the target is not inside the projection ball")
    L2 = theorem.squared_feature_norm(setting)
    if setting.eta * L2 >= 1:
        missing.append(f"ηL² = {setting.eta * L2:.3g} ≥ 1")
    if config.method != "projgd":
        missing.append(f"method {config.method} is not full-batch projected descent")
    return [f"assumption not met: {text}" for text in missing]


def _bound_values(found: theorem.Bounds) -> dict[str, float | None]:
    return {
        "linearization": found.linearization.value,
        "approximation": found.approximation.value,
        "change_of_feature": found.change_of_feature.value,
        "feature_norm": found.feature_norm.value,
        "optimization_mse": found.optimization_mse.value,
        "training_rmse": found.training_rmse.value,
    }


def _checks(
    config: RunConfig,
    terms: Terms,
    found: theorem.Bounds,
    trajectory: Trajectory,
    absent: Any,
) -> list[Check]:
    left = [b for b, r in config.rho.items() if trajectory.displacement_max[b] > r * (1 + 1e-4)]
    outside = f"the trajectory leaves Ω_ρ (block {', '.join(left)})" if left else ""

    def on_trajectory(bound: Bound) -> Bound:
        return Bound(None, outside) if left and bound.value is not None else bound

    rows = []
    for probe, statistics in terms["linearization"].items():
        bound = {
            "trajectory": on_trajectory(found.linearization),
            "transported": found.linearization_transported,
        }.get(probe, found.linearization)
        verdict = "condition-not-met" if probe == "trajectory" and left else absent
        rows.append(check("linearization", probe, "max", statistics["max"], bound, absent=verdict))
    if "approximation" in terms:
        measured = terms["approximation"]["transported"]["max"]
        rows.append(
            check("approximation", "transported", "max", measured, found.approximation,
                  absent=absent, probability=config.delta)
        )  # fmt: skip
        for probe, statistics in terms["change_of_feature"].items():
            trajectory_probe = probe == "trajectory"
            bound = found.change_of_feature
            rows.append(
                check("change_of_feature", probe, "max", statistics["max"],
                      on_trajectory(bound) if trajectory_probe else bound,
                      absent="condition-not-met" if trajectory_probe and left else absent)
            )  # fmt: skip
    else:
        reason = "no transport map is known for this task"
        rows += [
            Check(term, probe, "max", None, None, None, "not-defined", reason)
            for term, probe in (("approximation", "transported"), ("change_of_feature", "worst"))
        ]
    training = terms["optimization"]["training"]
    met = "condition-not-met" if config.method != "projgd" else absent
    trivial = ""
    initial_loss = float(trajectory.table["mse"][0]) if len(trajectory.table["mse"]) else math.inf
    if (found.optimization_mse.value or 0.0) > initial_loss:
        trivial = f"says less than R̂(φ_0) = {initial_loss:.3g}"
    rows.append(
        check("optimization", "training", "min_mse", training["min_mse"], found.optimization_mse,
              absent=met, probability=config.delta, remark=trivial)
    )  # fmt: skip
    rows.append(
        check("optimization", "training", "min_rmse", training["min_rmse"], found.training_rmse,
              absent=met, probability=config.delta, remark=trivial)
    )  # fmt: skip
    rows.append(
        check("gradient", "training", "feature_norm_max",
              terms["gradient"]["training"]["feature_norm_max"],
              on_trajectory(found.feature_norm),
              absent="condition-not-met" if left else absent)
    )  # fmt: skip
    return rows


def _scaled(radii: dict[str, float], m: int) -> dict[str, float]:
    """ρ/√m."""
    return {b: r / math.sqrt(m) for b, r in radii.items()}


Runner = Callable[[RunConfig, Task, Workers, Progress], Outcome]
