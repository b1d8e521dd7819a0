"""The attention of every input, its loss and its gradient in W_kq, as native code.

W_kq is a vector θ of the logits that occur, one per token and query of the inputs that hold two
types of tokens. Input n has types l with counts c_l; with φ_l ∝ c_l e^{θ_l}, o its optimal token,
y its target, b_v = W_vo − W_yo < 0 and h_lv = (W_{v,l} − W_{y,l}) − b_v (0 for l = o):

    δ_v = Σ_l φ_l h_lv,   e^{r_v} = e^{b_v + δ_v},   S = Σ_{v≠y} e^{r_v},   loss = log1p(S),
    excess = log1p( Σ_{v≠y} e^{b_v} expm1(δ_v) / (1 + S_0) ),   S_0 = Σ_{v≠y} e^{b_v},
    p_v = e^{r_v}/(1 + S),   g_l = Σ_{v≠y} p_v h_lv,   ∂/∂θ_l = π φ_l (g_l − Σ_m φ_m g_m).

δ and g are small where attention has found o: nothing is lost to cancellation, and the excess over
the floor keeps its digits far below rounding of the loss (arXiv 2409.17335; docs/next-token.md).
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

import math

from ntkbound.heads.native.cache import native

# Columns of the series, one row per step.
LOSS, EXCESS, NORM, ALONG_BEST, GRADIENT, DOWN_BEST, DOWN_SELF, LEAST, MARGIN, GAP, DROP = range(11)
SERIES = 11
NGD, GD, SGD, ADAM = range(4)
HUGE = 600.0  # e^r beyond it would overflow
STOP = 1e-290  # ‖G‖ below which float64 has nothing left to divide


@native
def sweep(inputs, first, weights, theta, gradient, work):
    """Adds every input's gradient to ``gradient`` (zeroed before), and leaves its loss, excess and
    φ of the optimal token in rows 0 to 2 of ``work[0]``."""
    start, token, slot, count, optimal, target, best = inputs
    by_token, floor, floor_exp, floor_sum = first
    told, phi, g, delta, p = work
    V = by_token.shape[0]
    for i in range(gradient.shape[0]):
        gradient[i] = 0.0
    for n in range(optimal.shape[0]):
        low, high, y, o = start[n], start[n + 1], target[n], best[n]
        top = theta[slot[low]]
        for k in range(low + 1, high):
            top = max(top, theta[slot[k]])
        total = 0.0
        for k in range(low, high):
            phi[k - low] = count[k] * math.exp(theta[slot[k]] - top)
            total += phi[k - low]
        for v in range(V):
            delta[v] = 0.0
        for k in range(low, high):
            phi[k - low] /= total
            if k == optimal[n]:
                continue
            s, share = token[k], phi[k - low]
            shift = by_token[s, y]
            for v in range(V):
                delta[v] += share * (by_token[s, v] - shift - floor[o, v])
        largest = 0.0
        for v in range(V):
            if v != y:
                largest = max(largest, floor[o, v] + delta[v])
        shift = largest if largest > HUGE else 0.0
        one = math.exp(-shift)
        S, more = 0.0, 0.0
        for v in range(V):
            if v == y:
                p[v] = 0.0
                continue
            if abs(delta[v]) < 1.0 and shift == 0.0:
                grown = math.expm1(delta[v])
                p[v] = floor_exp[o, v] * (1.0 + grown)
                more += floor_exp[o, v] * grown
            else:
                p[v] = math.exp(floor[o, v] + delta[v] - shift)
                more += p[v] - floor_exp[o, v]
            S += p[v]
        if shift == 0.0:
            told[0, n] = math.log1p(S)
            told[1, n] = math.log1p(more / (1.0 + floor_sum[o]))
        else:
            told[0, n] = shift + math.log(one + S)
            told[1, n] = told[0, n] - math.log1p(floor_sum[o])
        told[2, n] = phi[optimal[n] - low]
        for v in range(V):
            p[v] /= one + S
        mean = 0.0
        for k in range(low, high):
            g[k - low] = 0.0
            if k == optimal[n]:
                continue
            s = token[k]
            shift = by_token[s, y]
            summed = 0.0
            for v in range(V):
                if v != y:
                    summed += p[v] * (by_token[s, v] - shift - floor[o, v])
            g[k - low] = summed
            mean += phi[k - low] * summed
        for k in range(low, high):
            gradient[slot[k]] += weights[n] * phi[k - low] * (g[k - low] - mean)


@native
def measure(series, row, theta, direction, pairs, gradient, told, weights):
    """One row of the series, but for the drop; ``direction``: W_kq* over its norm."""
    won, lost = pairs
    loss, excess, least = 0.0, 0.0, 1.0
    for n in range(weights.shape[0]):
        loss += weights[n] * told[0, n]
        excess += weights[n] * told[1, n]
        least = min(least, told[2, n])
    norm, size, along, best, own = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(theta.shape[0]):
        norm += theta[i] * theta[i]
        size += gradient[i] * gradient[i]
        along += theta[i] * direction[i]
        best -= gradient[i] * direction[i]
        own -= gradient[i] * theta[i]
    norm, size = math.sqrt(norm), math.sqrt(size)
    gap = 0.0
    for i in range(theta.shape[0]):
        if norm > 0.0:
            gap += (theta[i] / norm - direction[i]) ** 2
    margin = theta[won[0]] - theta[lost[0]]
    for e in range(won.shape[0]):
        margin = min(margin, theta[won[e]] - theta[lost[e]])
    series[row, LOSS], series[row, EXCESS], series[row, NORM] = loss, excess, norm
    series[row, ALONG_BEST], series[row, GRADIENT] = along, size
    series[row, DOWN_BEST] = best / size if size > 0.0 else 0.0
    series[row, DOWN_SELF] = own / (size * norm) if size * norm > 0.0 else 0.0
    series[row, LEAST], series[row, MARGIN], series[row, GAP] = least, margin, gap / 2.0


@native
def descend(problem, state, series, rule, draws):
    """Fills rows ``now`` to ``stop`` − 1 of the series, following the gradient after each row but
    the last of all, and returns the number of rows filled: fewer where the gradient vanished."""
    inputs, first, weights, direction, pairs = problem
    theta, gradient, followed, moment, second, attention, work = state
    now, stop, eta, method = rule
    told = work[0]
    for row in range(now, stop):
        sweep(inputs, first, weights, theta, gradient, work)
        measure(series, row, theta, direction, pairs, gradient, told, weights)
        drop = 0.0
        for n in range(weights.shape[0]):
            if row > 0:
                drop = max(drop, attention[n] - told[2, n])
            attention[n] = told[2, n]
        series[row, DROP] = drop
        size = series[row, GRADIENT]
        if row == series.shape[0] - 1 or size < STOP:
            return row + 1
        if method == SGD:
            sweep(inputs, first, draws[row - now], theta, followed, work)
        for i in range(theta.shape[0]):
            if method == NGD:
                theta[i] -= eta * (gradient[i] / size)
            elif method == GD:
                theta[i] -= eta * gradient[i]
            elif method == SGD:
                theta[i] -= eta * followed[i]
            else:
                moment[i] = 0.9 * moment[i] + 0.1 * gradient[i]
                second[i] = 0.999 * second[i] + 0.001 * gradient[i] * gradient[i]
                mean = moment[i] / (1.0 - 0.9 ** (row + 1))
                spread = math.sqrt(second[i] / (1.0 - 0.999 ** (row + 1)))
                theta[i] -= eta * mean / (spread + 1e-8)
    return stop
