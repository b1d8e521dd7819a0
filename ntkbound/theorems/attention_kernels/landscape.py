"""The loss around the end of a run, on a plane of random directions in W_Q and W_K (Figure 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntkbound.theorems.attention_kernels.config import known
from ntkbound.theorems.attention_kernels.problem import State
from ntkbound.theorems.attention_kernels.weights import normal

SIDE, CENTRE, WIDTH = 50, 25, 0.02  # r, s = 1 … 50 at 0.02 (r − 25)


@dataclass(frozen=True, eq=False)
class Landscape:
    """loss (50, 50) at M + 0.02 (r − 25) d1 + 0.02 (s − 25) d2."""

    loss: np.ndarray

    @property
    def range(self) -> float:
        return float(self.loss.max() - self.loss.min())

    @property
    def grid_minima(self) -> int:
        """Inner points below all eight around them."""
        inner = self.loss[1:-1, 1:-1]
        lowest = np.ones(inner.shape, dtype=bool)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                if (down, right) != (0, 0):
                    lowest &= inner < self._shifted(down, right)
        return int(lowest.sum())

    @property
    def laplacian(self) -> float:
        """Mean |5-point Laplacian| over the range."""
        around = sum(self._shifted(*way) for way in ((-1, 0), (1, 0), (0, -1), (0, 1)))
        return float(np.abs(around - 4 * self.loss[1:-1, 1:-1]).mean()) / self.range

    def _shifted(self, down: int, right: int) -> np.ndarray:
        last = SIDE - 1
        return self.loss[1 + down : last + down, 1 + right : last + right]

    @property
    def terms(self) -> dict[str, float]:
        found: dict[str, float] = {"grid_minima": self.grid_minima, "range": self.range}
        return found | ({"laplacian": self.laplacian} if self.range > 0 else {})

    @property
    def trace(self) -> dict[str, np.ndarray]:
        """The surface row by row, at steps of its own."""
        return {
            "landscape/QK/step": np.arange(self.loss.size),
            "landscape/QK/surface": self.loss.reshape(-1),
        }


def landscape(state: State) -> Landscape:
    """Around these weights; each direction has the norm of each head's W_Q and W_K."""
    seed = known(state.problem.config.init_seed, "init_seed")
    ways = [_direction(state, seed, name) for name in ("d1", "d2")]
    places = WIDTH * (np.arange(1, SIDE + 1) - CENTRE)
    v, y, X = state.v, state.problem.y, state.problem.X
    (q1, k1), (q2, k2) = [[X @ part[:, None] for part in way] for way in ways]
    rows = []
    for a in places:
        b = places[:, None, None, None, None]
        q, k = state.q + a * q1 + b * q2, state.k + a * k1 + b * k2
        S = state.problem.kernel.attend(q, k)
        r = np.einsum("bhNaj,hNj->bNa", S, v) - y
        rows.append(0.5 * np.square(r).sum(axis=(1, 2)))
    return Landscape(np.array(rows))


def _direction(state: State, seed: int, name: str) -> list[np.ndarray]:
    """Random directions in W_Q and W_K, of the norm of each head."""
    found = []
    for letter, W in (("Q", state.weights.W_Q), ("K", state.weights.W_K)):
        drawn = normal(seed, f"{name}/{letter}", *W.shape)
        size = np.linalg.norm(W, axis=(1, 2)) / np.linalg.norm(drawn, axis=(1, 2))
        found.append(size[:, None, None] * drawn)
    return found
