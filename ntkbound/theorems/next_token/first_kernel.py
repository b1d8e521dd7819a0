"""Stage 1 as native code: W_ov by token, row x holding column x of the paper's matrix.

With r_v = W_vx − W_yx, y = n(x), and S = Σ_{v≠y} e^{r_v}: loss log1p(S), gradient e^{r_v}/(1 + S)
off the target and −S/(1 + S) on it, so that nothing is subtracted from 1.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

import math

from ntkbound.heads.native.cache import native

# Columns of the series, one row per step.
LOSS, NORM, GAP, GRADIENT, ALONG = range(5)
SERIES = 5
STOP = 1e-290  # ‖G‖ below which float64 has nothing left to divide


@native
def sweep(W, after, weights, gradient):
    """L_0 and Σ_x ω_x (1 − T_x), T_x the probability of n(x); fills the gradient."""
    V = W.shape[0]
    loss, missed = 0.0, 0.0
    for x in range(V):
        y, weight = after[x], weights[x]
        for v in range(V):
            gradient[x, v] = 0.0
        if y < 0 or weight == 0.0:
            continue
        top = 0.0
        for v in range(V):
            top = max(top, W[x, v] - W[x, y])
        one, S = math.exp(-top), 0.0
        for v in range(V):
            if v != y:
                gradient[x, v] = math.exp(W[x, v] - W[x, y] - top)
                S += gradient[x, v]
        loss += weight * (math.log1p(S) if top == 0.0 else top + math.log(one + S))
        share = weight / (one + S)
        for v in range(V):
            gradient[x, v] *= share
        gradient[x, y] = -S * share
        missed += S * share
    return loss, missed


@native
def descend(W, after, weights, best, gradient, series, rule):
    """Fills rows ``now`` to ``stop`` − 1 of the series, following the gradient over its norm after
    each row but the last of all, and returns the number of rows filled: fewer where the gradient
    vanished. best: W_ov* over its norm, by token."""
    now, stop, eta = rule
    V = W.shape[0]
    for row in range(now, stop):
        loss, missed = sweep(W, after, weights, gradient)
        norm, size, gap = 0.0, 0.0, 0.0
        for x in range(V):  # by rows: short sums round less
            row_norm, row_size = 0.0, 0.0
            for v in range(V):
                row_norm += W[x, v] * W[x, v]
                row_size += gradient[x, v] * gradient[x, v]
            norm, size = norm + row_norm, size + row_size
        norm, size = math.sqrt(norm), math.sqrt(size)
        if norm > 0.0:
            for x in range(V):
                for v in range(V):
                    gap += (W[x, v] / norm - best[x, v]) ** 2
        series[row, LOSS], series[row, NORM], series[row, GAP] = loss, norm, gap / 2.0
        series[row, GRADIENT], series[row, ALONG] = size, missed
        if row == series.shape[0] - 1 or size < STOP:
            return row + 1
        for x in range(V):
            for v in range(V):
                W[x, v] -= eta * (gradient[x, v] / size)
    return stop
