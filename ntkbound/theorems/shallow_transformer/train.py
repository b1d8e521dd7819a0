"""The descent of runs that start together, whoever watches: the run itself, or its audit."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch

from ntkbound.core import streams
from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.training.choose import objective_for
from ntkbound.heads.training.descent import (
    Batches,
    Descent,
    Observe,
    Schedule,
    Watcher,
    descend,
    parameter_bytes,
)
from ntkbound.heads.training.step import Rule
from ntkbound.machine.tools import Tools
from ntkbound.theorems.shallow_transformer.config import Config, known
from ntkbound.theorems.shallow_transformer.start import Joint, Start


def train(
    joint: Joint, observe: Observe, recorded: Collection[int], tools: Tools
) -> tuple[Descent, int | None]:
    """The descent of all runs, ``observe`` called at the ``recorded`` steps with (R, m, *shape)
    float64 parameters on the CPU, and the bytes that each run held (None where nobody counts)."""
    first, device, workers = joint.first, tools.device, tools.workers
    config, runs, dtype = first.config, len(joint.starts), first.dtype
    inputs, y = first.task.inputs.to(dtype, device), first.task.y.to(device, dtype)
    initial = {b: v.to(device) for b, v in joint.lin.initial.items()}
    objective = objective_for(first.model, inputs, y, first.lin.heads, workers, runs)

    def seen(step: int, params: Params, norms: np.ndarray) -> None:
        observe(step, {b: v.cpu() for b, v in params.items()}, norms)

    def progress(step: int, loss: float) -> None:
        tools.progress(step, config.tau, loss)

    rule = descent_rule([start.config for start in joint.starts], device)
    batches = None if config.batch is None else _batches(config.batch, first, inputs, y)
    schedule = Schedule(config.tau, recorded, batches)
    descent = descend(objective, initial, rule, schedule, Watcher(seen, progress), workers.ranks)
    held = objective.held_bytes()
    if held is None:
        return descent, None
    numbers = sum(value.numel() for value in initial.values())
    return descent, (held + parameter_bytes(numbers, rule, dtype)) // runs


def _batches(size: int, start: Start, inputs: Inputs, y: torch.Tensor) -> Batches:
    """Mini-batches of ProjSGD, of step s the same whatever came before."""
    rows = slice(0, size)
    lin = start.lin
    small = objective_for(lin.model, inputs.rows(rows), y[rows], lin.heads, lin.workers)
    seed, n = known(start.config.init_seed, "init_seed"), len(y)

    def draw(step: int) -> None:
        rng = streams.generator(seed, "batch", step)
        chosen = torch.from_numpy(rng.choice(n, size, replace=False)).to(y.device)
        small.load(inputs.rows(chosen), y[chosen])

    return Batches(small, draw)


def descent_rule(configs: Sequence[Config], device: str = "cpu") -> Rule:
    """η and, where the method projects, ρ/√m of runs that share one descent."""
    shared, radii = configs[0], None
    if shared.method in ("projgd", "projsgd"):
        radii = {
            b: torch.tensor([one.radii[b] for one in configs], dtype=torch.float64).to(device)
            for b in shared.blocks
        }
    eta = torch.tensor([config.step_size for config in configs], dtype=torch.float64)
    return Rule(eta, radii, shared.decay or 0.0)
