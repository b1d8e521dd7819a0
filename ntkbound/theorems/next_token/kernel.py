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

import numpy as np

from ntkbound.heads.native.cache import native

# Columns of the series, one row per step.
LOSS, EXCESS, NORM, ALONG_BEST, GRADIENT, DOWN_BEST, DOWN_SELF, LEAST, MARGIN, GAP, DROP = range(11)
SERIES = 11
NGD, GD, SGD, ADAM = range(4)
HUGE = 600.0  # e^x beyond it might overflow
DEEP = 700.0  # e^−x beyond it has lost digits
LOG2E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # their sum is log 2
STOP = 1e-290  # ‖G‖ below which float64 has nothing left to divide


@native
def grow(delta, floor_exp, o, p, moved):
    """e^{b + δ} and e^b expm1(δ), to rounding of each; no branch, so that it runs in vectors.

    δ = k log 2 + r: expm1(δ) = 2^k expm1(r) + (2^k − 1), in which nothing cancels where k is not 0.
    """
    for v in range(delta.shape[0]):
        x = max(delta[v], -DEEP)
        k = math.floor(x * LOG2E + 0.5)
        r = (x - k * LN2_HIGH) - k * LN2_LOW
        tail = 1 / 6227020800
        tail = tail * r + 1 / 479001600
        tail = tail * r + 1 / 39916800
        tail = tail * r + 1 / 3628800
        tail = tail * r + 1 / 362880
        tail = tail * r + 1 / 40320
        tail = tail * r + 1 / 5040
        tail = tail * r + 1 / 720
        tail = tail * r + 1 / 120
        tail = tail * r + 1 / 24
        tail = tail * r + 1 / 6
        tail = tail * r + 1 / 2
        small = r + r * r * tail
        two = np.int64((np.int64(k) + 1023) << 52).view(np.float64)
        p[v] = floor_exp[o, v] * (two + two * small)
        moved[v] = floor_exp[o, v] * (two * small + (two - 1.0))


@native
def spread(delta, floor, o, y, p):
    """e^{b + δ} over e^top, their sum, e^{−top} and top, where e^{b + δ} itself would overflow."""
    V = delta.shape[0]
    top = 0.0
    for v in range(V):
        if v != y:
            top = max(top, floor[o, v] + delta[v])
    S = 0.0
    for v in range(V):
        p[v] = math.exp(floor[o, v] + delta[v] - top) if v != y else 0.0
        S += p[v]
    return S, math.exp(-top), top


@native
def largest(values):
    """The largest of them, at least 0."""
    found = 0.0
    for v in range(values.shape[0]):
        found = max(found, values[v])
    return found


@native
def summed(values):
    """Their sum, in four parts that do not wait for each other."""
    one, two, three, four = 0.0, 0.0, 0.0, 0.0
    whole = values.shape[0] // 4 * 4
    for v in range(0, whole, 4):
        one += values[v]
        two += values[v + 1]
        three += values[v + 2]
        four += values[v + 3]
    for v in range(whole, values.shape[0]):
        one += values[v]
    return (one + two) + (three + four)


@native
def against(p, by_token, s, shift, floor, o):
    """Σ_v p_v h_v, h_v = by_token[s, v] − shift − floor[o, v], in four parts."""
    one, two, three, four = 0.0, 0.0, 0.0, 0.0
    whole = p.shape[0] // 4 * 4
    for v in range(0, whole, 4):
        one += p[v] * (by_token[s, v] - shift - floor[o, v])
        two += p[v + 1] * (by_token[s, v + 1] - shift - floor[o, v + 1])
        three += p[v + 2] * (by_token[s, v + 2] - shift - floor[o, v + 2])
        four += p[v + 3] * (by_token[s, v + 3] - shift - floor[o, v + 3])
    for v in range(whole, p.shape[0]):
        one += p[v] * (by_token[s, v] - shift - floor[o, v])
    return (one + two) + (three + four)


@native
def sweep(inputs, first, weights, theta, gradient, work):
    """Adds every input's gradient to ``gradient`` (zeroed before), and leaves its loss, excess and
    φ of the optimal token in rows 0 to 2 of ``work[0]``."""
    start, token, slot, count, optimal, target, best = inputs
    by_token, floor, floor_exp, floor_sum, deepest = first
    told, phi, g, delta, p, moved = work
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
        if largest(delta) < HUGE and deepest[o] > -DEEP:
            grow(delta, floor_exp, o, p, moved)
            S, one = summed(p), 1.0
            told[0, n] = math.log1p(S)
            more = summed(moved) / (1.0 + floor_sum[o])
            told[1, n] = math.log1p(more)
            if more < -0.5:  # W_ov prefers another token to n(o)
                told[1, n] = told[0, n] - math.log1p(floor_sum[o])
        else:
            S, one, top = spread(delta, floor, o, y, p)
            told[0, n] = top + math.log(one + S) if top > 0.0 else math.log1p(S)
            told[1, n] = told[0, n] - math.log1p(floor_sum[o])
        told[2, n] = phi[optimal[n] - low]
        for v in range(V):
            p[v] /= one + S
        mean = 0.0
        for k in range(low, high):
            g[k - low] = 0.0
            if k == optimal[n]:
                continue
            g[k - low] = against(p, by_token, token[k], by_token[token[k], y], floor, o)
            mean += phi[k - low] * g[k - low]
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
