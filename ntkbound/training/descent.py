"""The descent loop of arXiv 2601.16514: φ_{s+1} = Π(φ_s − η ∇R̂(φ_s)), s = 0 … τ − 1.

Every array carries a leading run axis R: runs that share their data train together, with η and ρ
per run. Plain gradient descent drops Π, ``decay`` adds λ(φ_s − φ_0) to the gradient, and stochastic
descent takes its gradients on mini-batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ntkbound.models.heads import Params
from ntkbound.training.objective import Objective
from ntkbound.training.step import Rule, make_step

DIVERGED = 1e6  # a loss this many times its initial value will not come back
TINY = 1e-12  # the initial loss of labels that are zero
PROGRESS_EVERY = 32  # steps

Observe = Callable[[int, Params, list[float]], None]  # step, φ_s, ‖∇R̂(φ_s)‖ per run
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Batches:
    """Mini-batches of ProjSGD: ``draw(s)`` fills ``objective`` with the samples of step s."""

    objective: Objective
    draw: Callable[[int], None]


@dataclass
class Descent:
    """Where R runs went. Minimum and best are over the steps s < τ at which R̂ was evaluated."""

    final: Params  # φ_τ, or the last iterate before divergence
    best: Params
    best_step: list[int]
    mean_mse: list[float]  # average of R̂(φ_s) over the evaluated steps
    gradient_norm_max: list[float]  # max_s ‖∇R̂(φ_s)‖ over the evaluated steps
    steps: int  # steps that were taken
    diverged: list[bool]


def recorded_steps(tau: int, count: int) -> list[int]:
    """About ``count`` steps from 0 to τ, both among them, geometrically spaced."""
    spaced = {round(tau ** (k / (count - 2))) for k in range(count - 1)} if count > 2 else {tau}
    return sorted({0, tau} | {step for step in spaced if step < tau})


def descend(
    objective: Objective,
    initial: Params,
    rule: Rule,
    tau: int,
    *,
    record: Sequence[int],
    observe: Observe,
    progress: Progress,
    batches: Batches | None = None,
) -> Descent:
    """Runs τ steps from ``initial`` (R, m, *shape); ``observe`` is called at ``record``.

    A run whose loss is not finite, or beyond DIVERGED times its initial value, is frozen at its
    last good iterate; the loop ends when every run is.
    """
    params, best, previous = ({b: v.clone() for b, v in initial.items()} for _ in range(3))
    grads = {b: torch.empty_like(v) for b, v in initial.items()}
    rule = replace(rule, eta=rule.eta.clone())
    update = make_step(params, grads, initial, rule)
    runs = rule.eta.shape[0]
    lowest, first = [math.inf] * runs, [math.nan] * runs
    best_step, diverged = [0] * runs, [False] * runs
    total, steepest, evaluated = [0.0] * runs, [0.0] * runs, 0
    may_diverge = rule.radii is None  # inside Ω_ρ every iterate is finite
    norms = [0.0] * runs
    at_step, step = set(record), 0
    for step in range(tau):
        if batches is None or step in at_step:
            losses = objective.evaluate(params, grads).tolist()
            if evaluated == 0:
                first = [DIVERGED * max(loss, TINY) for loss in losses]
            lost = [run for run in range(runs) if not losses[run] <= first[run]]
            if lost:
                for run in lost:
                    diverged[run] = True
                    rule.eta[run] = 0.0
                    _copy_run(previous, params, run)
                if all(diverged):
                    break
                losses = objective.evaluate(params, grads).tolist()
            evaluated += 1
            norms = update.gradient_norms()
            for run, loss in enumerate(losses):
                total[run] += loss
                steepest[run] = max(steepest[run], norms[run])
                if loss < lowest[run]:
                    lowest[run], best_step[run] = loss, step
                    _copy_run(params, best, run)
            if step % PROGRESS_EVERY == 0:
                progress(step, sum(losses) / runs)
        if step in at_step:
            observe(step, params, norms)
        if batches is not None:
            batches.draw(step)
            batches.objective.evaluate(params, grads)
        if may_diverge:
            for block, value in params.items():
                previous[block].copy_(value)
        update.take()
    else:
        step = tau
        losses = objective.evaluate(params, grads).tolist()
        for run in range(runs):
            if may_diverge and not losses[run] <= first[run]:
                diverged[run] = True
                _copy_run(previous, params, run)
        progress(tau, min(lowest))
        observe(tau, params, update.gradient_norms())
    mean = [value / max(1, evaluated) for value in total]
    return Descent(params, best, best_step, mean, steepest, step, diverged)


def _copy_run(source: Params, target: Params, run: int) -> None:
    for block, value in target.items():
        value[run].copy_(source[block][run])
