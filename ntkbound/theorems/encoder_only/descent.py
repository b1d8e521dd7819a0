"""Full-batch gradient descent on all four blocks, of one run or of several that start together.

θ ← θ − γ∇ℓ. With an adaptive γ a step that would raise the loss is not taken: the run stays where
it is, γ is halved, and the step counts; else γ grows by a fiftieth. Nothing stops before the last
step but a loss that is no number any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ntkbound.theorems.encoder_only.factors import Factors
from ntkbound.theorems.encoder_only.model import Gradient, Objective, State, Value
from ntkbound.theorems.encoder_only.problem import Weights

SHRINK, GROW = 0.5, 1.02
TOLD = 100  # lines of progress

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


class _Runs:
    """State, gradient and value of all runs, and room for a step that may not be taken."""

    def __init__(self, objective: Objective, state: State, adaptive: bool) -> None:
        self.state, self._objective = state, objective
        self._other = replace(state, V=state.V.clone(), O=state.O.clone()) if adaptive else None
        self.value, self._gradient = objective.evaluate(state)

    def move(self, gamma: Tensor) -> Tensor:
        """One step of size γ (R,); which runs took it."""
        objective, state = self._objective, self.state
        trial = objective.moved(state, self._gradient, gamma, self._other or state)
        value, gradient = objective.evaluate(trial)
        if self._other is None:
            better = torch.ones(len(gamma), dtype=torch.bool)
        else:
            better = value.loss <= self.value.loss
        if better.all():
            self._other = None if self._other is None else state
            self.state, self._gradient, self.value = trial, gradient, value
        elif better.any():
            self.state = _chosen(better, trial, state)
            self._gradient = _chosen(better, gradient, self._gradient)
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
    told_every = max(1, plan.steps // TOLD)
    runs = len(initial)
    now = _Runs(objective, objective.started(initial), plan.adaptive)
    first = now.value.residual.numpy().copy()
    step = torch.tensor(gamma, dtype=torch.float64)
    loss, squares = np.full((runs, plan.steps + 1), np.nan), np.zeros((runs, plan.steps + 1, 4))
    taken = np.zeros((runs, plan.steps))
    for t in range(plan.steps + 1):
        loss[:, t], squares[:, t] = now.value.loss.numpy(), now.value.squares.numpy()
        finite = np.isfinite(loss[:, t]) & np.isfinite(squares[:, t]).all(axis=1)
        if t in plan.observed:
            for run in np.flatnonzero(finite):
                observe(int(run), t, objective.of(now.state, int(run)), now.value)
        if t % told_every == 0:
            progress(t, float(loss[0, t]))
        if t == plan.steps or not finite.any():
            break
        moved = now.move(step)
        taken[:, t] = torch.where(moved, step, torch.zeros_like(step)).numpy()
        if plan.adaptive:
            step = torch.where(moved, step * GROW, step * SHRINK)
    return [
        _series(loss[run], squares[run], taken[run], first[run], objective.of(now.state, run))
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


Stacked = TypeVar("Stacked", State, Gradient, Value, Factors)


def _chosen(better: Tensor, new: Stacked, old: Stacked) -> Stacked:
    """Of each run, the new numbers where they are better; where all started stays."""
    found: dict[str, Any] = {}
    for one in fields(old):
        was, now = getattr(old, one.name), getattr(new, one.name)
        if isinstance(was, Factors):
            found[one.name] = _chosen(better, now, was)
        elif isinstance(was, Tensor):
            mask = better.view(-1, *[1] * (was.ndim - 1))
            found[one.name] = torch.where(mask, now, was)
    return replace(old, **found)
