"""W_V alone is linear least squares: r_t = (I − ηG)^t r_0, so every loss is known beforehand.

Beside it the rates of Theorem 1: as the paper has it, and corrected (docs/attention-kernels.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ntkbound.theorems.attention_kernels.spectrum import Spectrum

VISIBLE = 1e-10  # of f_0: a smaller loss has too few digits to be compared with the law
SEEN = 1e8  # times the square of its residuals' rounding, likewise


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the least-squares line."""
    apart = x - x.mean()
    return float(apart @ (y - y.mean()) / (apart @ apart))


@dataclass(frozen=True, eq=False)
class Law:
    """The law of one start at step size η, for steps 0 … T."""

    spectrum: Spectrum
    eta: float
    steps: int

    @cached_property
    def exact(self) -> np.ndarray:
        """(T + 1,) f_t = ½ Σ_k (1 − ηλ_k)^{2t} ⟨u_k, r_0⟩²."""
        values, vectors = self.spectrum.of_G
        parts = np.square(vectors.T @ self.spectrum.state.residual.reshape(-1))
        factors = np.square(1 - self.eta * values)
        t = np.arange(self.steps + 1)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.asarray(0.5 * (factors[None, :] ** t[:, None]) @ parts)

    @property
    def ratio(self) -> float:
        """f_T/f_0; 1 where f_0 is 0."""
        return float(self.exact[-1] / self.exact[0]) if self.exact[0] > 0 else 1.0

    def bound(self, rate: float) -> np.ndarray:
        """(T + 1,) (1 − η·rate)^t f_0."""
        factor = max(0.0, 1 - self.eta * rate)
        return np.asarray(self.exact[0] * factor ** np.arange(self.steps + 1))

    @property
    def visible(self) -> np.ndarray:
        """(T + 1,) whether the loss is far enough above rounding, and finite."""
        least = max(VISIBLE * float(self.exact[0]), SEEN * self.spectrum.state.rounding**2)
        return np.asarray((self.exact > least) & np.isfinite(self.exact))

    def deviation(self, losses: np.ndarray) -> float:
        """max_t |f_t/f_t^exact − 1|"""
        seen = self.visible
        return float(np.abs(losses[seen] / self.exact[seen] - 1).max())

    def rate(self, losses: np.ndarray) -> float | None:
        """Of decay, over the later half of the steps that are visible; None for fewer than two."""
        seen = np.flatnonzero(self.visible & (losses > 0))
        late = seen[len(seen) // 2 :]
        return None if len(late) < 2 else -slope(late, np.log(losses[late]))

    def over(self, losses: np.ndarray, rate: float) -> float:
        """max_t f_t/((1 − η·rate)^t f_0)"""
        seen = self.visible & (self.bound(rate) > 0)
        return float((losses[seen] / self.bound(rate)[seen]).max())
