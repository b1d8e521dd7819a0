"""Full-batch gradient descent on all four blocks, of one run or of several that start together.

θ ← θ − γ∇ℓ. With an adaptive γ a step that would raise the loss is not taken: the run stays where
it is, γ is halved, and the step counts; else γ grows by a fiftieth. Nothing stops before the last
step but a loss that is no number any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ntkbound.theorems.encoder_only.model import Objective, Value
from ntkbound.theorems.encoder_only.problem import Weights

SHRINK, GROW = 0.5, 1.02

Observe = Callable[[int, int, Weights, Value], None]  # run, step, its weights, the value of all
Progress = Callable[[int, float], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """Steps, whether γ adapts, and the steps at which runs are observed."""

    steps: int
    adaptive: bool
    observed: Collection[int]


@dataclass(frozen=True, eq=False)
class Series:
    """Of one run, up to the last step with a finite loss.

    loss (T + 1,); squares (T + 1, 4): ‖∇‖² of the blocks O, V, Q, K; gamma (T,): the step size from
    one to the next, 0 where it was not taken. residual (N,) r at the start. weights: where it came
    to; None where the loss is no number any more.
    """

    loss: np.ndarray
    squares: np.ndarray
    gamma: np.ndarray
    residual: np.ndarray
    weights: Weights | None

    @property
    def diverged(self) -> bool:
        return self.weights is None

    @property
    def steps(self) -> int:
        """Those known."""
        return len(self.gamma)


class _State:
    """Weights, gradient and value of all runs, and room for a step that may not be taken."""

    def __init__(self, objective: Objective, weights: Weights, adaptive: bool) -> None:
        self.weights, self.gradient = weights, _like(weights)
        self._objective = objective
        self._other = (_like(weights), _like(weights)) if adaptive else None
        self.value = objective.evaluate(weights, self.gradient)

    def move(self, gamma: Tensor) -> Tensor:
        """One step of size γ (R,); which runs took it."""
        objective = self._objective
        if self._other is None:
            objective.step(self.weights, self.gradient, gamma, self.weights)
            self.value = objective.evaluate(self.weights, self.gradient)
            return torch.ones(len(gamma), dtype=torch.bool)
        trial, gradient = self._other
        objective.step(self.weights, self.gradient, gamma, trial)
        value = objective.evaluate(trial, gradient)
        better = value.loss <= self.value.loss
        if better.all():
            self._other = self.weights, self.gradient
            self.weights, self.gradient, self.value = trial, gradient, value
        elif better.any():
            for old, new in ((self.weights, trial), (self.gradient, gradient)):
                for symbol in "OQKV":
                    getattr(old, symbol)[better] = getattr(new, symbol)[better]
            self.value = _chosen(better, value, self.value)
        return better


def descend(
    objective: Objective,
    initial: Sequence[Weights],
    gamma: Sequence[float],
    plan: Plan,
    told: tuple[Observe, Progress],
) -> list[Series]:
    """The descent of every run from its initial weights, with γ of its own."""
    observe, progress = told
    runs = len(initial)
    state = _State(objective, objective.packed(initial), plan.adaptive)
    first = state.value.residual.numpy().copy()
    step = torch.tensor(gamma, dtype=torch.float64)
    loss, squares = np.full((runs, plan.steps + 1), np.nan), np.zeros((runs, plan.steps + 1, 4))
    taken = np.zeros((runs, plan.steps))
    for t in range(plan.steps + 1):
        loss[:, t], squares[:, t] = state.value.loss.numpy(), state.value.squares.numpy()
        finite = np.isfinite(loss[:, t]) & np.isfinite(squares[:, t]).all(axis=1)
        if t in plan.observed:
            for run in np.flatnonzero(finite):
                observe(int(run), t, objective.of(state.weights, int(run)), state.value)
            progress(t, float(loss[0, t]))
        if t == plan.steps or not finite.any():
            break
        moved = state.move(step)
        taken[:, t] = torch.where(moved, step, torch.zeros_like(step)).numpy()
        if plan.adaptive:
            step = torch.where(moved, step * GROW, step * SHRINK)
    return [
        _series(loss[run], squares[run], taken[run], first[run], objective.of(state.weights, run))
        for run in range(runs)
    ]


def _series(
    loss: np.ndarray, squares: np.ndarray, taken: np.ndarray, first: np.ndarray, end: Weights
) -> Series:
    finite = np.isfinite(loss) & np.isfinite(squares).all(axis=1)
    known = len(loss) if finite.all() else int(np.argmin(finite))
    weights = None
    if finite.all():
        weights = Weights(*(part.clone() for part in (end.Q, end.K, end.V, end.O)))
    return Series(loss[:known], squares[:known], taken[: max(0, known - 1)], first, weights)


def _like(weights: Weights) -> Weights:
    return Weights(*(torch.zeros_like(w) for w in (weights.Q, weights.K, weights.V, weights.O)))


def _chosen(better: Tensor, new: Value, old: Value) -> Value:
    """Of each run, the new value where it is better."""
    return Value(
        torch.where(better, new.loss, old.loss),
        torch.where(better[:, None], new.residual, old.residual),
        torch.where(better[:, None], new.squares, old.squares),
    )
