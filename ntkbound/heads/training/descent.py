"""The descent loop of arXiv 2601.16514: φ_{s+1} = Π(φ_s − η ∇R̂(φ_s)), s = 0 … τ − 1.

Every array carries a leading run axis R: runs that share their data train together, with η and ρ
per run. Plain gradient descent drops Π, ``decay`` adds λ(φ_s − φ_0) to the gradient, and stochastic
descent takes its gradients on mini-batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ntkbound.heads.model import Params
from ntkbound.heads.training.objective import Objective
from ntkbound.heads.training.step import Rule, make_step
from ntkbound.machine.ranks import ALONE, Ranks

DIVERGED = 1e6  # a loss this many times its initial value will not come back
TINY = 1e-12  # the initial loss of labels that are zero
PROGRESS_EVERY = 32  # steps

Observe = Callable[[int, Params, np.ndarray], None]  # step, φ_s, ‖∇R̂(φ_s)‖ (R,)
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Batches:
    """Mini-batches of ProjSGD: ``draw(s)`` fills ``objective`` with the samples of step s."""

    objective: Objective
    draw: Callable[[int], None]


@dataclass
class RunDescent:
    """Where one run went, on the CPU; fields as in ``Descent``."""

    final: Params
    best: Params
    best_step: int
    mean_mse: float
    gradient_norm_max: float
    steps: int
    diverged: bool
    reach: dict[str, float]


@dataclass
class Descent:
    """Where R runs went. Minimum and best are over the steps s < τ at which R̂ was evaluated."""

    final: Params  # φ_τ, or the last iterate before divergence
    best: Params
    best_step: np.ndarray  # (R,) int
    mean_mse: np.ndarray  # (R,) average of R̂(φ_s) over the evaluated steps
    gradient_norm_max: np.ndarray  # (R,) max_s ‖∇R̂(φ_s)‖ over the evaluated steps
    steps: np.ndarray  # (R,) int, steps that were taken
    diverged: np.ndarray  # (R,) bool
    reach: dict[str, np.ndarray]  # block → (R,), largest ‖φ_i(s) − φ_i(0)‖ of any head, s ≤ τ

    def of(self, run: int) -> RunDescent:
        """One of the runs by itself."""
        return RunDescent(
            _of_run(self.final, run),
            _of_run(self.best, run),
            int(self.best_step[run]),
            float(self.mean_mse[run]),
            float(self.gradient_norm_max[run]),
            int(self.steps[run]),
            bool(self.diverged[run]),
            {block: float(values[run]) for block, values in self.reach.items()},
        )


def _of_run(params: Params, run: int) -> Params:
    """One run's parameters out of (R, m, *shape), on the CPU; there, they share its memory."""
    return {b: v[run].cpu() for b, v in params.items()}


def parameter_sets(rule: Rule) -> int:
    """How many sets of parameters ``descend`` holds: φ_0, φ_s, ∇R̂, the best, and without
    projection the iterate before."""
    return 4 + (rule.radii is None)


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
    ranks: Ranks = ALONE,
) -> Descent:
    """Runs τ steps from ``initial`` (R, m, *shape); ``observe`` is called at ``record``.

    A run whose loss is not finite, or beyond DIVERGED times its initial value, is frozen at its
    last good iterate, and its ‖∇R̂‖ is NaN from then on; the loop ends when every run is.
    """
    params, best = ({b: v.clone() for b, v in initial.items()} for _ in range(2))
    grads = {b: torch.empty_like(v) for b, v in initial.items()}
    update = make_step(params, grads, initial, rule, ranks)
    runs = rule.eta.shape[0]
    lowest, limit = np.full(runs, math.inf), np.full(runs, math.nan)
    best_step, diverged = np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=bool)
    total, steepest, norms = np.zeros(runs), np.zeros(runs), np.zeros(runs)
    evaluated, steps = np.zeros(runs, dtype=np.int64), np.full(runs, tau)
    may_diverge = rule.radii is None  # inside Ω_ρ every iterate is finite
    previous = {b: v.clone() for b, v in initial.items()} if may_diverge else initial
    at_step, step = set(record), 0

    def losses() -> np.ndarray:
        return objective.evaluate(params, grads).cpu().numpy()

    for step in range(tau):
        if batches is None or step in at_step:
            loss = losses()
            if step == 0:
                limit = DIVERGED * np.maximum(loss, TINY)
            lost = ~(loss <= limit) & ~diverged
            if lost.any():
                diverged |= lost
                steps[lost] = step
                update.freeze(lost)
                _copy_runs(previous, params, lost)
                if diverged.all():
                    break
                loss = losses()
            evaluated += ~diverged
            norms = np.where(diverged, math.nan, update.gradient_norms())
            total[~diverged] += loss[~diverged]
            np.fmax(steepest, norms, out=steepest)
            improved = (loss < lowest) & ~diverged
            if improved.any():
                lowest[improved], best_step[improved] = loss[improved], step
                _copy_runs(params, best, improved)
            if step % PROGRESS_EVERY == 0:
                progress(step, float(loss.mean()))
        if step in at_step:
            observe(step, params, norms)
        if batches is not None:
            batches.draw(step)
            batches.objective.evaluate(params, grads)
        if may_diverge:
            _copy_runs(params, previous, np.ones(runs, dtype=bool))
        update.take()
    else:
        loss = losses()
        norms = np.where(diverged, math.nan, update.gradient_norms())
        if may_diverge:
            lost = ~(loss <= limit) & ~diverged
            diverged |= lost
            _copy_runs(previous, params, lost)
        progress(tau, float(lowest.min()))
        observe(tau, params, norms)
    mean = total / np.maximum(1, evaluated)
    reach = update.reach()
    for values in reach.values():
        ranks.max_(torch.from_numpy(values))
    return Descent(params, best, best_step, mean, steepest, steps, diverged, reach)


def _copy_runs(source: Params, target: Params, chosen: np.ndarray) -> None:
    """Copies the chosen runs, in one call per block where that is all of them."""
    if chosen.all():
        for block, value in target.items():
            value.copy_(source[block])
    elif chosen.any():
        for block, value in target.items():
            runs = torch.from_numpy(np.flatnonzero(chosen)).to(value.device)
            value.index_copy_(0, runs, source[block].index_select(0, runs))
