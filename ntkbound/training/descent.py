"""The descent loop of arXiv 2601.16514: φ_{s+1} = Π(φ_s − η ∇R̂(φ_s)), s = 0 … τ − 1.

Every array carries a leading run axis R: runs that share their data train together, with η and ρ
per run. Plain gradient descent drops Π, ``decay`` adds λ(φ_s − φ_0) to the gradient, and stochastic
descent takes its gradients on mini-batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntkbound.models.heads import Params
from ntkbound.training.objective import Objective
from ntkbound.training.projection import project_

DIVERGED = 1e6  # a loss this many times its initial value will not come back

Observe = Callable[[int, Params], None]
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Batches:
    """Mini-batches of ProjSGD: ``draw(s)`` fills ``objective`` with the samples of step s."""

    objective: Objective
    draw: Callable[[int], None]


@dataclass(frozen=True)
class Rule:
    """One descent rule for R runs."""

    eta: Tensor  # (R,)
    radii: dict[str, Tensor] | None  # block → (R,), ρ/√m; None: no projection
    decay: float = 0.0
    batches: Batches | None = None


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
) -> Descent:
    """Runs τ steps from ``initial`` (R, m, *shape); ``observe(s, φ_s)`` is called at ``record``.

    A run whose loss is not finite, or beyond DIVERGED times its initial value, is frozen at its
    last good iterate; the loop ends when every run is.
    """
    params = {b: v.clone() for b, v in initial.items()}
    grads = {b: torch.empty_like(v) for b, v in initial.items()}
    best = {b: v.clone() for b, v in initial.items()}
    runs = rule.eta.shape[0]
    lowest = torch.full((runs,), math.inf, dtype=torch.float64)
    best_step, diverged = [0] * runs, [False] * runs
    total = torch.zeros(runs, dtype=torch.float64)
    steepest = torch.zeros(runs, dtype=torch.float64)
    evaluated, first = 0, torch.zeros(runs, dtype=torch.float64)
    previous = {b: v.clone() for b, v in initial.items()} if _can_diverge(rule) else params
    eta, at_step = rule.eta.clone(), set(record)
    step = 0
    for step in range(tau):
        if rule.batches is None or step in at_step:
            mse = objective.evaluate(params, grads)
            if evaluated == 0:
                first = mse.clone()
            lost = ~(mse <= DIVERGED * first.clamp(min=1e-12))
            if lost.any():
                for run in lost.nonzero().flatten().tolist():
                    diverged[run] = True
                    eta[run] = 0.0
                    for block, value in params.items():
                        value[run] = previous[block][run]
                if all(diverged):
                    break
                mse = objective.evaluate(params, grads)
            evaluated += 1
            total += mse
            steepest = torch.maximum(steepest, _norm(grads))
            for run in (mse < lowest).nonzero().flatten().tolist():
                lowest[run], best_step[run] = mse[run], step
                for block, value in best.items():
                    value[run] = params[block][run]
            progress(step, float(mse.mean()))
        if step in at_step:
            observe(step, params)
        if rule.batches is not None:
            rule.batches.draw(step)
            rule.batches.objective.evaluate(params, grads)
        if previous is not params:
            for block, value in params.items():
                previous[block].copy_(value)
        _step(params, grads, initial, eta, rule)
    else:
        step = tau
        progress(tau, float(lowest.mean()))
    if step == tau and not all(diverged):
        observe(tau, params)
    mean = (total / max(1, evaluated)).tolist()
    return Descent(params, best, best_step, mean, steepest.tolist(), step, diverged)


def _step(params: Params, grads: Params, initial: Params, eta: Tensor, rule: Rule) -> None:
    for block, value in params.items():
        rate = eta.to(value).reshape(-1, *[1] * (value.ndim - 1))
        if rule.decay:
            grads[block].add_(value - initial[block], alpha=rule.decay)
        value.addcmul_(rate, grads[block], value=-1)
    if rule.radii is not None:
        project_(params, initial, rule.radii)


def _can_diverge(rule: Rule) -> bool:
    """Inside Ω_ρ every iterate is finite; only unprojected descent can leave the finite numbers."""
    return rule.radii is None


def _norm(grads: Params) -> Tensor:
    """‖∇R̂‖ over all blocks, (R,)."""
    squares = [
        torch.linalg.vector_norm(g.flatten(1), dim=1).double().square() for g in grads.values()
    ]
    return torch.stack(squares).sum(0).sqrt().cpu()
