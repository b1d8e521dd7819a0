"""Gradient descent of one seed or of many, every step recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.steps import recorded_steps
from ntkbound.core.tools import Progress
from ntkbound.theorems.attention_kernels import native
from ntkbound.theorems.attention_kernels.kernels import Shipped
from ntkbound.theorems.attention_kernels.problem import Problem
from ntkbound.theorems.attention_kernels.spectrum import gram
from ntkbound.theorems.attention_kernels.weights import Weights

FORMS = {"softmax": native.SOFTMAX, "exp": native.EXP, "identity": native.IDENTITY}
METHODS = {"fixed": native.FIXED, "monotone": native.MONOTONE}


@dataclass(frozen=True, eq=False)
class Descent:
    """series (T + 1, `native.SERIES`) of every step; recorded (K,) steps and the weights there;
    step_final, what the next step would use. Cut where the loss ceased to be finite."""

    series: np.ndarray
    recorded: np.ndarray
    kept: tuple[Weights, ...]
    step_final: float
    diverged: bool

    def of(self, column: int) -> np.ndarray:
        """(T + 1,) one series."""
        return np.asarray(self.series[:, column])

    @property
    def final(self) -> Weights:
        return self.kept[-1]

    def squared_gradient(self, train: str) -> np.ndarray:
        """(T + 1,) ‖∇f‖² in what is trained."""
        columns = {"Q": native.OF_Q, "K": native.OF_K, "V": native.OF_V}
        return np.asarray(sum(self.of(columns[letter]) for letter in train))


def step_size(problem: Problem) -> float:
    """η, or 1/λ_max(G) where it follows from the run."""
    if problem.config.eta is not None:
        return problem.config.eta
    largest = float(np.linalg.eigvalsh(gram(problem.initial))[-1])
    if largest <= 0:
        raise InputError("1/λ_max(G) does not exist, as G is 0; give one", field="eta")
    return 1 / largest


def descend(problems: Sequence[Problem], progress: Progress) -> list[Descent]:
    """Descent of problems with equal sizes, kernel, trained set, method and steps."""
    config = problems[0].config
    recorded = np.array(recorded_steps(config.tau, config.records))
    shipped = isinstance(problems[0].kernel, Shipped)
    walk = _Native(problems) if shipped else _Autograd(problems)
    series = np.zeros((len(problems), config.tau + 1, native.SERIES))
    steps = np.array([[step_size(one)] for one in problems])
    kept = [walk.weights()]
    for start, stop in pairwise(recorded.tolist()):
        # Rows start … stop − 1, the last of which is left; the very last row is only measured.
        walk.go(series, steps, start, stop)
        kept.append(walk.weights())
        progress(stop, config.tau, float(series[0, stop - 1, native.LOSS]))
    walk.go(series, steps, config.tau, config.tau + 1)
    return [
        _cut(series[i], recorded, [states[i] for states in kept], float(steps[i, 0]))
        for i in range(len(problems))
    ]


def _cut(
    series: np.ndarray, recorded: np.ndarray, kept: list[Weights], step_final: float
) -> Descent:
    finite = np.isfinite(series).all(axis=1)
    rows = len(series) if finite.all() else int(finite.argmin())
    if rows == 0:
        raise InputError("the loss or its gradient at the start is not finite")
    whole = int((recorded < rows).sum())
    return Descent(
        series[:rows], recorded[:whole], tuple(kept[:whole]), step_final, rows < len(finite)
    )


class _Native:
    """The shipped kernels, all problems in one call."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        config = first.config
        N, n, D, d, H = config.sizes
        T = N * n
        kernel = first.kernel
        if not isinstance(kernel, Shipped):
            raise TypeError("native code knows the shipped kernels alone")
        self.problems = problems
        tokens = np.stack([one.X.reshape(T, D) for one in problems])
        y = np.stack([one.y.reshape(T) for one in problems])
        self.data = np.ascontiguousarray(tokens.transpose(0, 2, 1)), tokens, y
        starts = [one.start for one in problems]
        self.state = (
            np.stack([w.W_Q.transpose(0, 2, 1) for w in starts]).copy(),
            np.stack([w.W_K.transpose(0, 2, 1) for w in starts]).copy(),
            np.stack([w.u for w in starts]),
        )
        self.reached = tuple(array.copy() for array in self.state)
        factor = np.stack([w.factor for w in starts])
        self.gradients = (*(np.zeros_like(array) for array in self.state), factor)
        self.work = (
            np.zeros((H, d, T)), np.zeros((H, d, T)), np.zeros((H, T)), np.zeros((H, T, n)),
            np.zeros((H, T)), np.zeros(T), np.zeros((T, n)), np.zeros((n, T)), np.zeros((d, T)),
            np.zeros((1, T)),
        )  # fmt: skip
        trained = tuple(letter in config.train for letter in "QKV")
        form = (kernel.distance, FORMS[kernel.shape])
        self.rule = (METHODS[config.method], trained, form)

    def go(self, series: np.ndarray, steps: np.ndarray, start: int, stop: int) -> None:
        rule = (start, stop, *self.rule)
        leave: Any = native.descend  # numba's types are its own
        leave(self.data, self.state, self.reached, self.work, self.gradients, series, steps, rule)

    def weights(self) -> list[Weights]:
        W_Q, W_K, u = self.state
        return [
            one.start.moved(W_Q[i].transpose(0, 2, 1).copy(), W_K[i].transpose(0, 2, 1).copy(),
                            u[i].copy())
            for i, one in enumerate(self.problems)
        ]  # fmt: skip


class _Autograd:
    """A user's kernel, one problem at a time: the same rule as ``native.descend_one``."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        from ntkbound.theorems.attention_kernels.autograd import Loss  # torch

        self.problems = problems
        self.losses = [Loss(one) for one in problems]
        self.state = [[one.start.W_Q, one.start.W_K, one.start.u] for one in problems]

    def go(self, series: np.ndarray, steps: np.ndarray, start: int, stop: int) -> None:
        for place, one in enumerate(self.problems):
            for row in range(start, stop):
                self._step(place, one, series[place], steps[place], row)

    def _step(
        self, place: int, one: Problem, series: np.ndarray, step: np.ndarray, row: int
    ) -> None:
        weights, of = self.state[place], self.losses[place]
        loss, gradients, dS = of.gradients(*weights)
        factor = one.start.factor[:, None]
        trained = [letter in one.config.train for letter in "QKV"]
        squares = [
            np.square(gradients[0]),
            np.square(gradients[1]),
            factor * np.square(gradients[2]),
        ]
        series[row, native.OF_Q : native.OF_V + 1] = [
            float(square.sum()) if wanted else 0.0
            for square, wanted in zip(squares, trained, strict=True)
        ]
        series[row, native.LOSS], series[row, native.STEP] = loss, step[0]
        series[row, native.OF_C] = dS if one.config.trains_scores else 0.0
        if row == len(series) - 1:
            return
        moves = [gradients[0], gradients[1], factor * gradients[2]]
        reached = [
            w - step[0] * move if wanted else w
            for wanted, w, move in zip(trained, weights, moves, strict=True)
        ]
        found = of.value(*reached)
        if one.config.method == "fixed" or found <= loss:
            series[row, native.MOVED] = 1.0
            self.state[place] = reached
            if one.config.method == "monotone" and found < loss:
                step[0] *= native.GROW
        else:
            step[0] *= native.SHRINK

    def weights(self) -> list[Weights]:
        return [one.start.moved(*self.state[i]) for i, one in enumerate(self.problems)]
