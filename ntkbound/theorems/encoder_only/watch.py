"""What is looked at along the way: spectral norms, σ_min of the features, and the kernel."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ntkbound.core.steps import recorded_steps
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.encoder_only import tangent
from ntkbound.theorems.encoder_only.descent import Observe
from ntkbound.theorems.encoder_only.model import Value
from ntkbound.theorems.encoder_only.problem import Weights
from ntkbound.theorems.encoder_only.start import Start

BLOCKS = ("O", "V", "Q", "K")


def spectral_norms(weights: Weights, workers: Workers) -> np.ndarray:
    """(4,) spectral norms of w_O, W_V, W_Q, W_K."""
    ranks = workers.ranks
    grams = torch.stack([w.mT @ w for w in (weights.V, weights.Q, weights.K)])
    square = ranks.sum_(weights.O.square().sum())
    largest = torch.linalg.eigvalsh(ranks.sum_(grams))[:, -1].clamp(min=0)
    return torch.cat([square[None], largest]).sqrt().numpy()


@dataclass(eq=False)
class Watch:
    """Of one run. Rows of the recorded steps: norms (4,), ‖r‖ and σ_min(F)²; kernels: 1 − cos to
    K_0 and to the one before."""

    start: Start
    recorded: Collection[int]
    kernels: Collection[int]
    steps: list[int] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    kernel_steps: list[int] = field(default_factory=list)
    kernel_rows: list[tuple[float, float]] = field(default_factory=list)
    last: Tensor | None = None

    def see(self, step: int, weights: Weights, residual: Tensor) -> None:
        """The weights at a step."""
        start = self.start
        if step in self.kernels:
            self._see_kernel(step, weights)
        if step in self.recorded:
            gram = tangent.output_kernel(start.problem, weights, start.workers)
            sigma = tangent.smallest_singular(gram, start.workers.ranks.total(len(weights.O)))
            norms = spectral_norms(weights, start.workers)
            self.steps.append(step)
            self.rows.append(np.array([*norms, float(residual.norm()), sigma]))

    def _see_kernel(self, step: int, weights: Weights) -> None:
        start = self.start
        first = start.kernel.whole
        now = first if step == 0 else tangent.kernel(start.problem, weights, start.workers).whole
        before = first if self.last is None else self.last
        self.kernel_steps.append(step)
        self.kernel_rows.append((tangent.distance(now, first), tangent.distance(now, before)))
        self.last = now

    @property
    def norms(self) -> np.ndarray:
        """(K, 4) spectral norms of O, V, Q, K."""
        return np.array(self.rows)[:, :4]

    @property
    def residual(self) -> np.ndarray:
        """(K,) ‖r‖."""
        return np.array(self.rows)[:, 4]

    @property
    def sigma(self) -> np.ndarray:
        """(K,) σ_min(F_t)²."""
        return np.array(self.rows)[:, 5]


def watch(start: Start, steps: int) -> Watch:
    """What the config of a run asks for."""
    config = start.config
    every = config.kernel_every
    between = range(0, steps, every) if every else ()
    return Watch(start, recorded_steps(steps, config.records), {0, *between, steps})


def observer(watches: list[Watch]) -> Observe:
    """Hands every run's weights to its own watch."""

    def observe(run: int, step: int, weights: Weights, value: Value) -> None:
        watches[run].see(step, weights, value.residual[run])

    return observe
