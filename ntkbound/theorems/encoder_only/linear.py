"""How fast the loss falls, beside the rate that is proved, the kernel's, and the linearised model.

Source: arXiv 2311.01575, Proposition 1; the linearised loss is derived in docs/encoder-only.md.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ntkbound.theorems.encoder_only.tangent import Tangent

LOWEST = 1e-24  # of ℓ_0: below it a fit sees rounding
CONVERGED = 1e-2


def linearized_ratio(kernel: Tensor, residual: Tensor, step: float, steps: int) -> float | None:
    """ℓ_T/ℓ_0 = Σ_k c_k² (1 − γwκ_k)^{2T}/Σ_k c_k² of the linearised model, κ_k and v_k of K_0,
    c_k = v_k·r_0; step: γw. None where it overflows or the residual vanishes."""
    values, vectors = torch.linalg.eigh(kernel)
    shares = ((vectors.mT @ residual) / residual.norm()).square()
    found = float(shares @ (1 - step * values.clamp(min=0)).pow(2 * steps))
    return found if math.isfinite(found) else None


def rates(losses: np.ndarray) -> dict[str, float]:
    """``rate``, the slope of log ℓ over the last three quarters of the steps down to 1e-24 ℓ_0, its
    ``rate_r2``, and ``steps_to_1e-2``; ℓ_0 … ℓ_T. What does not exist is left out."""
    found: dict[str, float] = {}
    if losses[0] <= 0:
        return found
    reached = np.flatnonzero(losses <= CONVERGED * losses[0])
    if len(reached):
        found["steps_to_1e-2"] = int(reached[0])
    below = np.flatnonzero(losses <= LOWEST * losses[0])
    stop = int(below[0]) if len(below) else len(losses)
    t = np.arange((stop - 1) // 4, stop)
    y = np.log(losses[t])
    apart = t - t.mean()
    if len(t) < 2:
        return found
    slope = float(apart @ (y - y.mean()) / (apart @ apart))
    found["rate"] = slope
    total = float(np.square(y - y.mean()).sum())
    if total > 0 and len(t) > 2:
        found["rate_r2"] = float(np.square(slope * apart).sum()) / total
    return found


def against(rate: float | None, tangent: Tangent, step: float) -> dict[str, float]:
    """The rates −log(1 − γwα²/2) and /4, as an exponential form has them, ``rate`` over the first
    and over −2γwλ_min(K_0), and γwλ_max(K_0); step: γw. A rate of 0 divides nothing."""
    found = {"normalised_step": step * tangent.largest}
    for name, divisor in (("rate_paper", 2), ("rate_proof", 4)):
        log = log_factor(step * tangent.alpha_squared / divisor)
        if log is not None:
            found[name] = -log
    paper, smallest = found.get("rate_paper", 0.0), step * tangent.smallest
    if rate is not None and paper > 0:
        found["rate_over_alpha"] = rate / -paper
    if rate is not None and smallest > 0:
        found["rate_over_kernel"] = rate / (-2 * smallest)
    return found


def log_factor(fall: float) -> float | None:
    """log(1 − fall); None where there is none."""
    return math.log1p(-fall) if fall < 1 else None
