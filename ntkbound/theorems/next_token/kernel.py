"""The attention of every input, its loss and its gradient in W_kq, as native code.

W_kq is a vector θ of the logits that occur, one per token and query of the inputs that hold two
types of tokens. Input n has types l with counts c_l; with φ_l ∝ c_l e^{θ_l}, o its optimal token,
y its target, b_v = W_vo − W_yo < 0 and h_lv = (W_{v,l} − W_{y,l}) − b_v (0 for l = o):

    δ_v = Σ_l φ_l h_lv,   e^{r_v} = e^{b_v + δ_v},   S = Σ_{v≠y} e^{r_v},   loss = log1p(S),
    excess = log1p( Σ_{v≠y} e^{b_v} expm1(δ_v) / (1 + S_0) ),   S_0 = Σ_{v≠y} e^{b_v},
    p_v = e^{r_v}/(1 + S),   g_l = Σ_{v≠y} p_v h_lv,   ∂/∂θ_l = π φ_l (g_l − Σ_m φ_m g_m).

δ and g are small where attention has found o: nothing is lost to cancellation, and the excess over
the floor keeps its digits far below rounding of the loss (arXiv 2409.17335; docs/next-token.md).
A step costs N·L·V, and N·L where W_ov started at zero: then the tokens v are of few classes.
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
        x = min(max(delta[v], -DEEP), HUGE)
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
def below(values, most):
    """Whether none of them exceeds it; no branch, so that it runs in vectors."""
    above = 0
    for v in range(values.shape[0]):
        above += values[v] >= most
    return above == 0


@native
def summed(values):
    """Their sum, in eight parts that do not wait for each other."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = values.shape[0] // 8 * 8
    for v in range(0, whole, 8):
        a += values[v]
        b += values[v + 1]
        c += values[v + 2]
        d += values[v + 3]
        e += values[v + 4]
        f += values[v + 5]
        g += values[v + 6]
        h += values[v + 7]
    for v in range(whole, values.shape[0]):
        a += values[v]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@native
def product(p, rows, s):
    """Σ_v p_v rows[s, v], in eight parts."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = p.shape[0] // 8 * 8
    for v in range(0, whole, 8):
        a += p[v] * rows[s, v]
        b += p[v + 1] * rows[s, v + 1]
        c += p[v + 2] * rows[s, v + 2]
        d += p[v + 3] * rows[s, v + 3]
        e += p[v + 4] * rows[s, v + 4]
        f += p[v + 5] * rows[s, v + 5]
        g += p[v + 6] * rows[s, v + 6]
        h += p[v + 7] * rows[s, v + 7]
    for v in range(whole, p.shape[0]):
        a += p[v] * rows[s, v]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@native
def attend(inputs, theta, phi):
    """φ of every type of every input: the softmax of its logits, as often as it occurs."""
    start, _, slot, count, optimal, _, _ = inputs
    for n in range(optimal.shape[0]):
        low, high = start[n], start[n + 1]
        top = theta[slot[low]]
        for k in range(low + 1, high):
            top = max(top, theta[slot[k]])
        total = 0.0
        for k in range(low, high):
            phi[k] = count[k] * math.exp(theta[slot[k]] - top)
            total += phi[k]
        for k in range(low, high):
            phi[k] /= total


@native
def tell(told, n, S, more, floor_sum):
    """Loss and excess of input n, where nothing overflows; ``more``: Σ e^b expm1(δ)."""
    told[0, n] = math.log1p(S)
    told[1, n] = math.log1p(more / (1.0 + floor_sum))
    if more < -0.5 * (1.0 + floor_sum):  # W_ov prefers another token to n(o)
        told[1, n] = told[0, n] - math.log1p(floor_sum)


@native
def by_tokens(n, inputs, first, phi, g, work, told):
    """Loss, excess and g of input n, token by token of the vocabulary."""
    start, token, _, _, optimal, target, best = inputs
    by_token, floor, floor_exp, floor_sum, deepest, highest = first
    delta, p, moved = work
    low, high, y, o, V = start[n], start[n + 1], target[n], best[n], by_token.shape[0]
    away, shift = 0.0, 0.0
    for k in range(low, high):
        if k != optimal[n]:
            away, shift = away + phi[k], shift + phi[k] * by_token[token[k], y]
    for v in range(V):
        delta[v] = -(shift + away * floor[o, v])
    for k in range(low, high):
        if k != optimal[n]:
            s, share = token[k], phi[k]
            for v in range(V):
                delta[v] += share * by_token[s, v]
    delta[y] = 0.0
    if below(delta, HUGE - highest[o]) and deepest[o] > -DEEP:
        grow(delta, floor_exp, o, p, moved)
        S, one = summed(p), 1.0
        tell(told, n, S, summed(moved), floor_sum[o])
    else:
        S, one, top = spread(delta, floor, o, y, p)
        told[0, n] = top + math.log(one + S) if top > 0.0 else math.log1p(S)
        told[1, n] = told[0, n] - math.log1p(floor_sum[o])
    ground = product(p, floor, o)
    for k in range(low, high):
        g[k] = 0.0
        if k != optimal[n]:
            s = token[k]
            g[k] = (product(p, by_token, s) - by_token[s, y] * S - ground) / (one + S)


@native
def by_classes(inputs, first, classes, phi, g, work, told):
    """Loss, excess and g of all inputs, where column x of W_ov is one value but for n(x), which is
    a_x above it: h_lv is a_o, and a_o + a_l at v = n(l).

    So tokens are of few classes: n(l) for every type l ≠ o, with δ = m a_o + φ_l a_l, and in the
    place of o all others, with δ = m a_o, m = Σ_{l≠o} φ_l. Returns whether nothing overflowed.
    """
    start, token, _, _, optimal, _, best = inputs
    _, _, _, floor_sum, deepest, _ = first
    above, class_exp = classes
    delta, p, moved = work
    for n in range(optimal.shape[0]):
        away, own = 0.0, above[best[n]]
        if deepest[best[n]] <= -DEEP:
            return False
        for k in range(start[n], start[n + 1]):
            if k != optimal[n]:
                away += phi[k]
        for k in range(start[n], start[n + 1]):
            delta[k] = away * own
            if k != optimal[n]:
                delta[k] += phi[k] * above[token[k]]
    if not below(delta, HUGE):
        return False
    grow(delta, class_exp, 0, p, moved)
    for n in range(optimal.shape[0]):
        S, more, own = 0.0, 0.0, above[best[n]]
        for k in range(start[n], start[n + 1]):
            S, more = S + p[k], more + moved[k]
        tell(told, n, S, more, floor_sum[best[n]])
        for k in range(start[n], start[n + 1]):
            g[k] = 0.0
            if k != optimal[n]:
                g[k] = (own * S + above[token[k]] * p[k]) / (1.0 + S)
    return True


@native
def sweep(inputs, first, classes, weights, theta, gradient, work):
    """The gradient, and in rows 0 to 2 of ``work[0]`` each input's loss, excess and φ of the
    optimal token. classes: of `by_classes`; empty where W_ov has no such form."""
    start, _, slot, _, optimal, _, _ = inputs
    told, phi, g, of_tokens, of_classes = work
    attend(inputs, theta, phi)
    if classes[0].shape[0] == 0 or not by_classes(inputs, first, classes, phi, g, of_classes, told):
        for n in range(optimal.shape[0]):
            by_tokens(n, inputs, first, phi, g, of_tokens, told)
    for i in range(gradient.shape[0]):
        gradient[i] = 0.0
    for n in range(optimal.shape[0]):
        told[2, n] = phi[optimal[n]]
        mean = 0.0
        for k in range(start[n], start[n + 1]):
            mean += phi[k] * g[k]
        for k in range(start[n], start[n + 1]):
            gradient[slot[k]] += weights[n] * phi[k] * (g[k] - mean)


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
    inputs, first, classes, weights, direction, pairs = problem
    theta, gradient, followed, moment, second, attention, work = state
    now, stop, eta, method = rule
    told = work[0]
    for row in range(now, stop):
        sweep(inputs, first, classes, weights, theta, gradient, work)
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
            sweep(inputs, first, classes, draws[row - now], theta, followed, work)
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
