"""Stage 1: normalised gradient descent on W_ov, the linear map from a token to its next one.

L_0(W) = Σ_x ω_x CE(softmax(W e_x), n(x)); W ← W − η0 G/‖G‖, G = ∇L_0. Source: arXiv 2409.17335,
Algorithm 1. Arithmetic in ``first_kernel``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntkbound.core.tools import Progress
from ntkbound.theorems.next_token import first_kernel
from ntkbound.theorems.next_token.margin import first_direction
from ntkbound.theorems.next_token.sentences import ABSENT, Sentences

CHUNK = 500  # steps between two lines of progress


@dataclass(frozen=True, eq=False)
class FirstStage:
    """W_ov at the start and at the end, W_ov* (each (V, V)), and ``series`` (T + 1,
    `first_kernel.SERIES`) of every step."""

    start: np.ndarray
    W: np.ndarray
    best: np.ndarray
    series: np.ndarray

    @property
    def steps(self) -> int:
        """T0, or fewer where the gradient vanished before."""
        return len(self.series) - 1

    def of(self, column: int) -> np.ndarray:
        """(T + 1,) one series."""
        return np.asarray(self.series[:, column])


@dataclass(frozen=True, eq=False)
class FirstPlan:
    """How stage 1 is run: steps T0, step size η0, weights ω (V,), and W_ov (V, V) at the start."""

    steps: int
    eta: float
    weights: np.ndarray
    start: np.ndarray


def train_first(sentences: Sentences, plan: FirstPlan, progress: Progress) -> FirstStage:
    """Normalised descent from the start; the gradient at the end is measured, not followed."""
    best = first_direction(sentences)
    W = np.ascontiguousarray(plan.start.T)
    direction = np.ascontiguousarray(best.T) / np.linalg.norm(best)
    series, gradient = np.zeros((plan.steps + 1, first_kernel.SERIES)), np.zeros_like(W)
    rows = 0
    while rows < len(series):
        stop = min(rows + CHUNK, len(series))
        rule = (rows, stop, plan.eta)
        rows = first_kernel.descend(
            W, sentences.next, plan.weights, direction, gradient, series, rule
        )
        progress(rows - 1, plan.steps, float(series[rows - 1, first_kernel.LOSS]))
        if rows < stop or series[rows - 1, first_kernel.GRADIENT] < first_kernel.STOP:
            series = series[:rows]
    return FirstStage(plan.start, W.T.copy(), best, series)


def margins(W: np.ndarray, sentences: Sentences) -> tuple[float, float]:
    """Smallest and largest W[n(x), x] − W[v, x] over tokens x with a next one and v ≠ n(x)."""
    known = np.flatnonzero(sentences.next != ABSENT)
    target = sentences.next[known]
    apart = W[target, known] - W[:, known]
    others = np.ones_like(apart, dtype=bool)
    others[target, np.arange(len(known))] = False
    return float(apart[others].min()), float(apart[others].max())
