"""One run in full: its problem, its descent, and what is known of its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ntkbound.core.tools import Progress
from ntkbound.theorems.attention_kernels import native
from ntkbound.theorems.attention_kernels.conditions import Left
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.descent import Descent, descend, step_size
from ntkbound.theorems.attention_kernels.files import Files
from ntkbound.theorems.attention_kernels.floors import attainable, least_squares
from ntkbound.theorems.attention_kernels.law import Law
from ntkbound.theorems.attention_kernels.problem import Problem, State, problem
from ntkbound.theorems.attention_kernels.spectrum import Spectrum


@dataclass(frozen=True, eq=False)
class Trained:
    """Everything that measurements and bounds are about."""

    problem: Problem
    descent: Descent

    @property
    def config(self) -> Config:
        return self.problem.config

    @cached_property
    def spectrum(self) -> Spectrum:
        return Spectrum(self.problem.initial)

    @cached_property
    def left(self) -> Left:
        return Left(self.spectrum)

    @cached_property
    def first(self) -> float:
        """f_0, 0 where it is rounding: the labels are what the start puts out."""
        f = float(self.losses[0])
        return f if 2 * f > self.problem.initial.rounding**2 else 0.0

    @cached_property
    def final(self) -> State:
        return self.problem.at(self.descent.final)

    @property
    def losses(self) -> np.ndarray:
        """(T + 1,) f_t."""
        return self.descent.of(native.LOSS)

    @property
    def steps(self) -> int:
        """τ, or fewer where the loss ceased to be finite."""
        return len(self.descent.series) - 1

    @cached_property
    def squared_gradient(self) -> np.ndarray:
        """(T + 1,) ‖∇f‖² in what is trained."""
        return self.descent.squared_gradient(self.config.train)

    @cached_property
    def attainable(self) -> float | None:
        return attainable(self.problem.initial)

    @cached_property
    def least_squares(self) -> float:
        return least_squares(self.spectrum)

    @property
    def floor(self) -> float | None:
        """Of the loss: by least squares for W_V alone, 0 for W_V and others, else the attainable
        one; None where that is not known."""
        if self.config.train == "V":
            return self.least_squares
        return 0.0 if "V" in self.config.train else self.attainable

    @cached_property
    def law(self) -> Law | None:
        """The exact law, for fixed steps on W_V alone."""
        if self.config.train != "V" or self.config.method != "fixed":
            return None
        return Law(self.spectrum, step_size(self.problem), self.steps)


def train(configs: Sequence[Config], files: Files, progress: Progress) -> list[Trained]:
    """Runs of equal sizes, kernel, trained set, method and steps, as one."""
    problems = [problem(config, files) for config in configs]
    found = descend(problems, progress)
    return [Trained(one, descent) for one, descent in zip(problems, found, strict=True)]
