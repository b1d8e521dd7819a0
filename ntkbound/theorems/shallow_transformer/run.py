"""Putting the theorem to the test: train, measure every term, set bounds beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ntkbound.core.outcome import Outcome
from ntkbound.core.steps import recorded_steps
from ntkbound.heads.model import Params
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.trajectory import Trajectory
from ntkbound.machine.ranks import Ranks
from ntkbound.machine.tools import Tools
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.judge import judge
from ntkbound.theorems.shallow_transformer.measure import measure
from ntkbound.theorems.shallow_transformer.start import Joint, Trained, build_model, start
from ntkbound.theorems.shallow_transformer.train import train


def run(config: Config, tools: Tools) -> Outcome:
    """Trains a prepared config on ``tools.device`` and measures it (in float64, on the CPU)."""
    return run_together([config], tools)[0]


def run_together(configs: Sequence[Config], tools: Tools) -> list[Outcome]:
    """``run`` of configs that share one descent (equal ``schedule.together``); every number is that
    of a run alone."""
    first, workers = configs[0], tools.workers
    model = build_model(first)
    task: Task = tools.data(model, workers, tools.cache)
    joint = Joint(tuple(start(config, model, task, workers) for config in configs))
    trajectory = _watched(joint, task)
    recorded = recorded_steps(first.tau, first.records)
    descent, held = train(joint, trajectory.observe, recorded, tools)
    outcomes = []
    for index, one in enumerate(joint.starts):
        trained = Trained(one, descent.of(index), trajectory.of(index))
        outcomes.append(outcome_of(trained, held, save=tools.save))
    return outcomes


def _watched(joint: Joint, task: Task) -> Trajectory:
    """The trajectory of runs that train together on the first samples of ``task``."""
    y, held_out = joint.first.task.y, None
    if len(y) < len(task.y):
        held_out = task.rows(slice(len(y), None))
    return Trajectory(joint.lin, y, joint.transported, held_out)


def outcome_of(run: Trained, held: int | None = None, *, save: bool = True) -> Outcome:
    """What one run has to say, its bounds beside its terms."""
    measured, seen = measure(run), run.start.task
    judged = judge(run, measured.terms)
    params = {"initial": run.start.initial, "final": run.descent.final, "best": run.descent.best}
    if run.start.transported is not None:
        params["transported"] = run.start.transported
    return Outcome(
        measured.terms,
        judged.checks,
        status="diverged" if run.descent.diverged else "complete",
        bounds=judged.bounds,
        certificates=judged.certificates,
        conditions=judged.conditions,
        notes=[*measured.notes, *judged.notes],
        trace=run.trajectory.table,
        params=_flatten(params, run.start.workers.ranks) if save else {},
        inputs={"X": seen.inputs.X.numpy(), "q": seen.inputs.q.numpy(), "y": seen.y.numpy()},
        environment={"training_bytes": held},
    )


def _flatten(groups: Mapping[str, Params], ranks: Ranks) -> dict[str, np.ndarray]:
    """``group.block`` → the array of all heads."""
    return {
        f"{group}.{block}": ranks.gather(value).numpy()
        for group, params in groups.items()
        for block, value in params.items()
    }
