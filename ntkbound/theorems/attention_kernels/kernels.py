"""Kernels: what makes attention weights of queries and keys.

Each is scores C, then a map: C = q_a·k_j/√d, or −‖q_a − k_j‖²/(2√d) for distances; S = softmax of
the rows of C, e^C, or C itself. Source: arXiv 2411.07538, Eqs. (2), (18), (23).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Shape = Literal["softmax", "exp", "identity"]


class Kernel(Protocol):
    """A kernel, shipped or a user's own.

    normalised: weights are non-negative and each row sums to 1. bounded: they lie in [0, 1].
    """

    @property
    def normalised(self) -> bool: ...
    @property
    def bounded(self) -> bool: ...
    def checked(self, q: np.ndarray, k: np.ndarray) -> None:
        """Raises InputError for a user's kernel that is not what it is marked as."""

    def attend(self, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Weights (…, n, n) of queries and keys (…, n, d)."""

    def jacobian(self, X: np.ndarray, W_Q: np.ndarray, k: np.ndarray) -> np.ndarray:
        """(Nn², Dd) of one head: J = ∂vec C/∂W_Q for inputs (N, n, D) and keys (N, n, d). Of a
        user's own kernel C is S."""


@dataclass(frozen=True)
class Shipped:
    """A kernel with closed forms; ``shape`` is the map from scores to weights."""

    distance: bool
    shape: Shape

    @property
    def normalised(self) -> bool:
        return self.shape == "softmax"

    @property
    def bounded(self) -> bool:
        return self.normalised or (self.distance and self.shape == "exp")

    def checked(self, q: np.ndarray, k: np.ndarray) -> None:
        """Always is."""

    def attend(self, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        C = self.scores(q, k)
        if self.shape == "identity":
            return C
        if self.shape == "exp":
            return np.asarray(np.exp(C))
        S = np.exp(C - C.max(axis=-1, keepdims=True))
        return np.asarray(S / S.sum(axis=-1, keepdims=True))

    def scores(self, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        """C (…, n, n)."""
        root = np.sqrt(q.shape[-1])
        if not self.distance:
            return np.asarray(q @ np.swapaxes(k, -1, -2) / root)
        apart = q[..., :, None, :] - k[..., None, :, :]
        return np.asarray(-np.square(apart).sum(axis=-1) / (2 * root))

    def jacobian(self, X: np.ndarray, W_Q: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Row (i, a, j) is X_ia ⊗ k_ij/√d, or X_ia ⊗ (k_ij − q_ia)/√d for distances."""
        slopes = np.broadcast_to(k[:, None], (*k.shape[:2], *k.shape[1:]))
        if self.distance:
            slopes = slopes - (X @ W_Q)[:, :, None]
        rows = np.einsum("iaD,iajd->iajDd", X, slopes) / np.sqrt(k.shape[-1])
        return np.asarray(rows.reshape(-1, W_Q.size))


SHIPPED: Mapping[str, Shipped] = {
    "softmax": Shipped(distance=False, shape="softmax"),
    "gaussian": Shipped(distance=True, shape="exp"),
    "linear": Shipped(distance=False, shape="identity"),
    "normalised-gaussian": Shipped(distance=True, shape="softmax"),
}
