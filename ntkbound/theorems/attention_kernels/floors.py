"""What no descent can go below: floors of the loss, from the values or from B at the start.

Derived in docs/attention-kernels.md.
"""

from __future__ import annotations

import numpy as np

from ntkbound.theorems.attention_kernels.problem import State
from ntkbound.theorems.attention_kernels.spectrum import Spectrum


def attainable(state: State) -> float | None:
    """½ Σ dist(y, interval)²: what W_Q and W_K can do with these values, at best.

    An output is a mean of the values of each head (normalised kernels), in
    [Σ_h min_j v_h, Σ_h max_j v_h], or a sum of them with weights in [0, 1], in
    [Σ_h Σ_j min(v, 0), Σ_h Σ_j max(v, 0)]. None for a kernel that is known to be neither.
    """
    kernel, v = state.problem.kernel, state.v
    if not kernel.bounded:
        return None
    if kernel.normalised:
        low, high = v.min(axis=2).sum(axis=0), v.max(axis=2).sum(axis=0)
    else:
        low = np.minimum(v, 0).sum(axis=(0, 2))
        high = np.maximum(v, 0).sum(axis=(0, 2))
    y = state.problem.y
    outside = np.maximum(0, low[:, None] - y) + np.maximum(0, y - high[:, None])
    return 0.5 * float(np.square(outside).sum())


def least_squares(spectrum: Spectrum) -> float:
    """½‖(I − P_B)y‖², what W_V can do at best with this attention; P_B projects on the range of B
    as far as it can be told from rounding: rows whose weights saturate to the same token are one
    row in float64, though surely independent."""
    U, _ = spectrum.of_B
    U = U[:, : spectrum.rank_B]
    y = spectrum.state.problem.y.reshape(-1)
    left = y - U @ (U.T @ y)
    return 0.5 * float(left @ left)
