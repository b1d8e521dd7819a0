"""One run's problem: inputs, labels, kernel and initial weights; the constructions of labels.

Source: arXiv 2411.07538, Section 2; constructions: docs/attention-kernels.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ntkbound.core import streams
from ntkbound.core.tolerance import EPSILON, FACTOR
from ntkbound.theorems.attention_kernels.config import Config, known
from ntkbound.theorems.attention_kernels.files import Files
from ntkbound.theorems.attention_kernels.kernels import Kernel
from ntkbound.theorems.attention_kernels.weights import Scales, Weights, drawn, normal

VALUES = (0.5, 2.5)  # range of labels where values are equal


@dataclass(frozen=True, eq=False)
class Problem:
    """X (N, n, D), y (N, n), and the weights that descent starts from."""

    config: Config
    kernel: Kernel
    X: np.ndarray
    y: np.ndarray
    start: Weights

    def at(self, weights: Weights) -> State:
        """The model at other weights."""
        return State(self, weights)

    @cached_property
    def initial(self) -> State:
        return self.at(self.start)


@dataclass(frozen=True, eq=False)
class State:
    """The model of a problem at some weights."""

    problem: Problem
    weights: Weights

    @cached_property
    def q(self) -> np.ndarray:
        """(H, N, n, d)"""
        return np.asarray(self.problem.X @ self.weights.W_Q[:, None])

    @cached_property
    def k(self) -> np.ndarray:
        """(H, N, n, d)"""
        return np.asarray(self.problem.X @ self.weights.W_K[:, None])

    @cached_property
    def v(self) -> np.ndarray:
        """(H, N, n) values v_h = X u_h."""
        return np.asarray(np.einsum("Nnd,hd->hNn", self.problem.X, self.weights.u))

    @cached_property
    def S(self) -> np.ndarray:
        """(H, N, n, n) attention weights."""
        return self.problem.kernel.attend(self.q, self.k)

    @cached_property
    def output(self) -> np.ndarray:
        """(N, n) MH."""
        return np.asarray(np.einsum("hNaj,hNj->Na", self.S, self.v))

    @property
    def residual(self) -> np.ndarray:
        """(N, n) r = MH − y."""
        return np.asarray(self.output - self.problem.y)

    @cached_property
    def rounding(self) -> float:
        """What rounding may change of ‖r‖: relative to all that is summed for it."""
        summed = np.einsum("hNaj,hNj->Na", np.abs(self.S), np.abs(self.v))
        size = float(np.linalg.norm(summed) + np.linalg.norm(self.problem.y))
        return FACTOR * EPSILON["float64"] * size

    @property
    def loss(self) -> float:
        """f = ½ Σ ‖r‖²."""
        return 0.5 * float(np.square(self.residual).sum())

    @cached_property
    def B(self) -> np.ndarray:
        """(Nn, HD) [S_1 X … S_H X], so that MH = B u."""
        of_heads = self.S @ self.problem.X  # (H, N, n, D)
        H, N, n, D = of_heads.shape
        return np.asarray(of_heads.transpose(1, 2, 0, 3).reshape(N * n, H * D))


def problem(config: Config, files: Files) -> Problem:
    """The problem of a prepared config. Raises InputError where a user's kernel does."""
    N, n, D, d, H = config.sizes
    X = files.labels.get("X")
    if X is None:
        X = normal(known(config.data_seed, "data_seed"), "X", N, n, D) / np.sqrt(D)
    scales = Scales(config.sq, known(config.sk, "sk"), config.sv, config.so)
    if files.initial:
        start = Weights(*(files.initial[name] for name in ("W_Q", "W_K", "W_V", "W_O")))
    else:
        start = drawn((H, D, d), scales, known(config.init_seed, "init_seed"))
    if config.labels == "equal":
        start = _near_equal(config, X, start)
    if config.values == "dense":
        start = start.as_dense()
    made = Problem(config, files.kernel, X, np.zeros((N, n)), start)
    files.kernel.checked(made.initial.q, made.initial.k)
    if files.labels:
        return replace(made, y=files.labels["y"])
    return _labelled(made)


def _labelled(made: Problem) -> Problem:
    config = made.config
    seed, shape = known(config.label_seed, "label_seed"), made.y.shape
    if config.labels == "equal":
        rng = streams.generator(seed, "attention-kernels/y")
        return replace(made, y=rng.uniform(*VALUES, shape))
    if config.labels == "near":
        rho = known(config.rho, "rho")
        return replace(made, y=made.initial.output + rho * normal(seed, "y", *shape))
    if config.labels == "teacher":
        other = config.sq * normal(seed, "teacher", *made.start.W_Q.shape)
        y = made.at(replace(made.start, W_Q=other)).output
        if config.student is not None:
            start = replace(made.start, W_Q=config.student * made.start.W_Q)
            made = replace(made, start=start)
        return replace(made, y=y)
    return replace(made, y=normal(seed, "y", *shape))


def _near_equal(config: Config, X: np.ndarray, start: Weights) -> Weights:
    """v = 1 + ε N(0, 1) of the first head: the first column of its W_V, and W_O = e_1."""
    rows = X.reshape(-1, X.shape[-1])
    noise = normal(known(config.init_seed, "init_seed"), "v", len(rows))
    column = np.linalg.lstsq(rows, 1 + known(config.epsilon, "epsilon") * noise, rcond=None)[0]
    W_V, W_O = start.W_V.copy(), np.zeros_like(start.W_O)
    W_V[0, :, 0], W_O[0, 0] = column, 1.0
    return replace(start, W_V=W_V, W_O=W_O)
