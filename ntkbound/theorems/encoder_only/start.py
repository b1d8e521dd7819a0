"""A run before its first step: its problem, its weights, and the kernel that sets its step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ntkbound.core.errors import InputError
from ntkbound.machine import memory
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.encoder_only import initial, tangent
from ntkbound.theorems.encoder_only.config import Config, known
from ntkbound.theorems.encoder_only.model import SHARES
from ntkbound.theorems.encoder_only.problem import Problem, Weights
from ntkbound.theorems.encoder_only.tangent import Tangent
from ntkbound.theorems.encoder_only.tasks import Data, data


@dataclass(frozen=True, eq=False)
class Source:
    """What files held: data, and initial weights by their names."""

    data: Data | None = None
    weights: dict[str, np.ndarray] | None = None


@dataclass(frozen=True, eq=False)
class Start:
    """gamma: the step size γ of the first step; kernel: K_0."""

    config: Config
    problem: Problem
    initial: Weights
    kernel: Tangent
    gamma: float
    workers: Workers


def needed(config: Config) -> int:
    """Bytes that a run takes, roughly: signs and features, partial sums of the shares, weights and
    their copies, and a dozen arrays of (N, N)."""
    dm, N, ds, d = config.sizes
    return N * dm * (ds + 8) + 8 * (SHARES * N * ds * d + 12 * dm * d + 12 * N**2)


def scaled(dm: int, scaling: str) -> float:
    """τ0."""
    return float(dm**-0.5) if scaling == "half" else 1.0 / dm


def problem_of(config: Config, source: Source) -> Problem:
    """Raises InputError where data and tokens do not go together."""
    found, sizes = data(config, source.data), config.sizes
    tau1 = initial.output_scale(config.init, sizes.dm)
    return Problem(
        X=torch.from_numpy(found.X),
        y=torch.from_numpy(found.y),
        tau0=scaled(sizes.dm, config.scaling),
        tau1=tau1,
        factor=tau1 / sizes.ds if config.pooling == "mean" else tau1,
        weight=1.0 / sizes.N if config.loss == "mean" else 1.0,
    )


def start(config: Config, source: Source, workers: Workers) -> Start:
    """The problem, the weights held here, K_0 and γ of a config whose sizes are known."""
    memory.require(needed(config), "this run", "take fewer samples, or a smaller width")
    problem, ranks = problem_of(config, source), workers.ranks
    if source.weights is None:
        weights = initial.drawn(config, ranks)
    else:
        weights = initial.of_arrays(source.weights, ranks)
    kernel = tangent.kernel(problem, weights, workers)
    gamma = known(config.gamma, "gamma")
    if config.step != "fixed":
        other = config.gamma_of or "own"
        shared = kernel
        if other not in ("own", config.scaling):
            of_other = replace(problem, tau0=scaled(config.sizes.dm, other))
            shared = tangent.kernel(of_other, weights, workers)
        if not shared.largest > 0:
            told = "the initial kernel is zero, so it sets no step; use a fixed one"
            raise InputError(told, field="step")
        gamma = gamma / (problem.weight * shared.largest)
    return Start(config, problem, weights, kernel, gamma, workers)
