"""The descent loop of arXiv 2601.16514: φ_{s+1} = Π(φ_s − η ∇R̂(φ_s)), s = 0 … τ − 1.

Every array carries a leading run axis R: runs that share their data train together, with η and ρ
per run. Plain gradient descent drops Π, ``decay`` adds λ(φ_s − φ_0) to the gradient, and stochastic
descent takes its gradients on mini-batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch

from ntkbound.heads.model import Params
from ntkbound.heads.training.objective import Objective
from ntkbound.heads.training.step import Place, Rule, make_step
from ntkbound.machine.ranks import ALONE, Ranks

DIVERGED = 1e6  # a loss this many times its initial value will not come back
TINY = 1e-12  # the initial loss of labels that are zero
PROGRESS_EVERY = 32  # steps

Observe = Callable[[int, Params, np.ndarray], None]  # step, φ_s, ‖∇R̂(φ_s)‖ (R,)
OnStep = Callable[[int, float], None]  # step, loss


@dataclass(frozen=True)
class Batches:
    """Mini-batches of ProjSGD: ``draw(s)`` fills ``objective`` with the samples of step s."""

    objective: Objective
    draw: Callable[[int], None]


@dataclass(frozen=True)
class Schedule:
    """τ steps, those among 0 … τ − 1 that are observed (τ itself always is), and mini-batches."""

    steps: int
    recorded: Collection[int]
    batches: Batches | None = None


@dataclass(frozen=True)
class Watcher:
    """Who sees a descent: the recorded iterates, and now and then how far it is and its loss."""

    observe: Observe
    progress: OnStep = lambda step, loss: None


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
    """Where R runs went. Minimum and best are over the steps s ≤ τ at which R̂ was evaluated."""

    final: Params  # φ_τ, or the last iterate before divergence
    best: Params
    best_step: np.ndarray  # (R,) int
    mean_mse: np.ndarray  # (R,) average of R̂(φ_s) over the evaluated steps s < τ
    gradient_norm_max: np.ndarray  # (R,) max_s ‖∇R̂(φ_s)‖ over the same steps as the minimum
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


def parameter_bytes(numbers: int, rule: Rule, dtype: torch.dtype) -> int:
    """What ``descend`` holds of ``numbers`` parameters: φ_0, φ_s, the best, and without projection
    the iterate before, in float64; ∇R̂ and, unless that is float64, φ_s in its precision."""
    whole, rounded = 3 + (rule.radii is None), 1 + (dtype != torch.float64)
    return numbers * (whole * torch.float64.itemsize + rounded * dtype.itemsize)


def descend(
    objective: Objective,
    initial: Params,
    rule: Rule,
    schedule: Schedule,
    watcher: Watcher,
    ranks: Ranks = ALONE,
) -> Descent:
    """Runs τ steps from ``initial`` (R, m, *shape), watched at the recorded ones and at τ.

    Iterates are float64; R̂ and ∇R̂ are those at the iterate rounded to ``objective.dtype``.
    A run whose loss is not finite, or beyond DIVERGED times its initial value, is frozen at its
    last good iterate, and its ‖∇R̂‖ is NaN from then on; the loop ends when every run is.
    """
    course = _Course(objective, initial, rule, schedule.steps, ranks)
    at_step, batches = set(schedule.recorded), schedule.batches
    for step in range(schedule.steps):
        if batches is None or step in at_step:
            loss = course.evaluate(step)
            if course.diverged.all():
                break
            if step % PROGRESS_EVERY == 0:
                watcher.progress(step, float(loss.mean()))
        if step in at_step:
            watcher.observe(step, course.params, course.norms)
        if batches is not None:
            batches.draw(step)
            batches.objective.evaluate(course.place.rounded, course.place.grads)
        course.take()
    else:
        course.arrive(schedule.steps)
        watcher.progress(schedule.steps, float(course.lowest.min()))
        watcher.observe(schedule.steps, course.params, course.norms)
    return course.descent()


class _Course:
    """Where R runs are, and what is kept of where they were."""

    def __init__(
        self, objective: Objective, initial: Params, rule: Rule, tau: int, ranks: Ranks
    ) -> None:
        self.objective, self.ranks = objective, ranks
        self.place = Place.at(initial, objective.dtype)
        self.params = self.place.params
        self.best = {b: v.clone() for b, v in self.params.items()}
        self.update = make_step(self.place, rule, ranks)
        runs = rule.eta.shape[0]
        self.lowest, self.limit = np.full(runs, math.inf), np.full(runs, math.nan)
        self.best_step, self.diverged = np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=bool)
        self.total, self.steepest, self.norms = (np.zeros(runs) for _ in range(3))
        self.evaluated, self.steps = np.zeros(runs, dtype=np.int64), np.full(runs, tau)
        self.may_diverge = rule.radii is None  # inside Ω_ρ every iterate is finite
        self.previous = self.place.centre
        if self.may_diverge:
            self.previous = {b: v.clone() for b, v in self.params.items()}

    def evaluate(self, step: int) -> np.ndarray:
        """R̂ (R,) and ∇R̂ at the iterates of ``step``, after runs that are lost were frozen."""
        loss = self._losses()
        if step == 0:
            self.limit = DIVERGED * np.maximum(loss, TINY)
        lost = self._lost(loss)
        if lost.any():
            self.steps[lost] = step
            self.update.freeze(lost)
            _copy_runs(self.previous, self.params, lost)
            self.place.round()
            if self.diverged.all():
                return loss
            loss = self._losses()
        going = ~self.diverged
        self.evaluated += going
        self.total[going] += loss[going]
        self._note(loss, step)
        return loss

    def take(self) -> None:
        """One step by the gradients as they are."""
        if self.may_diverge:
            _copy_runs(self.params, self.previous, np.ones(len(self.diverged), dtype=bool))
        self.update.take()

    def arrive(self, step: int) -> None:
        """R̂ and ∇R̂ at φ_τ: a candidate for the best, but no part of the mean."""
        loss = self._losses()
        if self.may_diverge:
            _copy_runs(self.previous, self.params, self._lost(loss))
        self._note(loss, step)

    def descent(self) -> Descent:
        """What all runs came to."""
        mean = self.total / np.maximum(1, self.evaluated)
        reach = self.update.reach()
        for values in reach.values():
            self.ranks.max_(torch.from_numpy(values))
        return Descent(
            self.params, self.best, self.best_step, mean, self.steepest, self.steps, self.diverged,
            reach,
        )  # fmt: skip

    def _losses(self) -> np.ndarray:
        return self.objective.evaluate(self.place.rounded, self.place.grads).cpu().numpy()

    def _lost(self, loss: np.ndarray) -> np.ndarray:
        """The runs that have diverged just now, (R,) bool."""
        lost: np.ndarray = ~(loss <= self.limit) & ~self.diverged
        self.diverged |= lost
        return lost

    def _note(self, loss: np.ndarray, step: int) -> None:
        """What R̂ and ∇R̂ at ``step`` say of the runs that are going."""
        self.norms = np.where(self.diverged, math.nan, self.update.gradient_norms())
        np.fmax(self.steepest, self.norms, out=self.steepest)
        improved = (loss < self.lowest) & ~self.diverged
        if improved.any():
            self.lowest[improved], self.best_step[improved] = loss[improved], step
            _copy_runs(self.params, self.best, improved)


def _copy_runs(source: Params, target: Params, chosen: np.ndarray) -> None:
    """Copies the chosen runs, in one call per block where that is all of them."""
    if chosen.all():
        for block, value in target.items():
            value.copy_(source[block])
    elif chosen.any():
        for block, value in target.items():
            runs = torch.from_numpy(np.flatnonzero(chosen)).to(value.device)
            value.index_copy_(0, runs, source[block].index_select(0, runs))
