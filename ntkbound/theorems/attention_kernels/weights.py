"""The weights of H heads: drawn from seeds or given, and what the loss sees of W_V and W_O.

MH = Σ_h S_h X u_h with u_h = W_V^h W_O^h (values ``block``), or u = W_V W_O of one HD × Hd matrix
(``dense``): its gradient is B^T r W_O^T (arXiv 2411.07538, Lemma 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ntkbound.core import streams


@dataclass(frozen=True, eq=False)
class Weights:
    """W_Q, W_K (H, D, d), W_O (H, d), and W_V (H, D, d), or (HD, Hd) where it is dense."""

    W_Q: np.ndarray
    W_K: np.ndarray
    W_V: np.ndarray
    W_O: np.ndarray

    @property
    def dense(self) -> bool:
        return self.W_V.ndim == 2

    @cached_property
    def u(self) -> np.ndarray:
        """(H, D) u_h, so that head h has the values v_h = X u_h."""
        if self.dense:
            return np.asarray((self.W_V @ self.W_O.reshape(-1)).reshape(self.W_Q.shape[:2]))
        return np.asarray(np.einsum("hDc,hc->hD", self.W_V, self.W_O))

    @cached_property
    def factor(self) -> np.ndarray:
        """(H,) c_h: a step −η∇ of W_V moves u_h by −η c_h ∂f/∂u_h, and ‖∇_V f‖² is
        Σ_h c_h ‖∂f/∂u_h‖². ‖W_O^h‖², or ‖W_O‖² where W_V is dense."""
        own = np.square(self.W_O).sum(axis=1)
        return np.full_like(own, own.sum()) if self.dense else np.asarray(own)

    @property
    def spread(self) -> float:
        """‖W_O‖²."""
        return float(np.square(self.W_O).sum())

    def moved(self, W_Q: np.ndarray, W_K: np.ndarray, u: np.ndarray) -> Weights:
        """With W_V where descent from here has u: W_V less a rank-one multiple of W_O."""
        safe = np.where(self.factor > 0, self.factor, 1.0)[:, None]
        walked = np.where(self.factor[:, None] > 0, (self.u - u) / safe, 0.0)
        if self.dense:
            W_V = self.W_V - np.outer(walked.reshape(-1), self.W_O.reshape(-1))
        else:
            W_V = self.W_V - walked[:, :, None] * self.W_O[:, None, :]
        return Weights(W_Q, W_K, W_V, self.W_O)

    def as_dense(self) -> Weights:
        """The same function with W_V as one matrix, zero between heads."""
        if self.dense:
            return self
        H, D, d = self.W_V.shape
        whole = np.zeros((H, D, H, d))
        whole[np.arange(H), :, np.arange(H), :] = self.W_V
        return replace(self, W_V=whole.reshape(H * D, H * d))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return {"W_Q": self.W_Q, "W_K": self.W_K, "W_V": self.W_V, "W_O": self.W_O}


@dataclass(frozen=True)
class Scales:
    """Factors on what is drawn: sq, sk on W_Q, W_K, sv on W_V, so on W_O."""

    sq: float
    sk: float
    sv: float
    so: float


def drawn(shape: tuple[int, int, int], scales: Scales, seed: int) -> Weights:
    """W_Q ~ sq N(0, 1), W_K ~ sk N(0, 1), W_V ~ sv N(0, 1/d), W_O ~ so N(0, 1); shape: H, D, d."""
    H, D, d = shape
    return Weights(
        scales.sq * normal(seed, "W_Q", H, D, d),
        scales.sk * normal(seed, "W_K", H, D, d),
        scales.sv * normal(seed, "W_V", H, D, d) / np.sqrt(d),
        scales.so * normal(seed, "W_O", H, d),
    )


def normal(seed: int, purpose: str, *shape: int) -> np.ndarray:
    """N(0, 1) entries of a stream of this theorem's own."""
    rng = streams.generator(seed, f"attention-kernels/{purpose}")
    return np.asarray(rng.standard_normal(shape))
