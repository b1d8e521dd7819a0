"""Loss, gradients and descent of the attention model as native code, one seed after the other.

A seed's tokens lie side by side: features (D, T), T = Nn, and W_Q, W_K as (H, d, D), so that inner
loops run over what is contiguous. W_V and the fixed W_O enter through u_h = W_V^h W_O^h alone,
whose step is c_h times its gradient (docs/attention-kernels.md). A seed sees nothing of the others
and nothing is reordered: bits are those of the seed alone.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

import math

from ntkbound.heads.native.cache import native

SOFTMAX, EXP, IDENTITY = range(3)  # what is made of the scores
FIXED, MONOTONE = range(2)
GROW, SHRINK = 1.02, 0.5  # of a monotone step, after descent and after ascent

# Columns of the series, one row per step: loss; squared norms of the three gradients and of dC;
# the step size used from here, and whether it led on.
LOSS, OF_Q, OF_K, OF_V, OF_C, STEP, MOVED = range(7)
SERIES = 7


@native
def project(W, features, out):
    """out (d, T) = W (d, D) features (D, T)."""
    for c in range(W.shape[0]):
        for t in range(out.shape[1]):
            out[c, t] = 0.0
        for k in range(W.shape[1]):
            w = W[c, k]
            for t in range(out.shape[1]):
                out[c, t] += w * features[k, t]


@native
def attend(q, k, S, form):
    """S (T, n) from q, k (d, T): scores of each token against those of its sample, then the map."""
    distance, shape = form
    d, n = q.shape[0], S.shape[1]
    scale = 1.0 / math.sqrt(d)
    for row in range(S.shape[0]):
        base = row // n * n
        for j in range(n):
            S[row, j] = 0.0
        if distance:
            for c in range(d):
                for j in range(n):
                    apart = q[c, row] - k[c, base + j]
                    S[row, j] -= apart * apart
            for j in range(n):
                S[row, j] *= 0.5 * scale
        else:
            for c in range(d):
                for j in range(n):
                    S[row, j] += q[c, row] * k[c, base + j]
            for j in range(n):
                S[row, j] *= scale
        if shape == IDENTITY:
            continue
        top = 0.0
        if shape == SOFTMAX:
            top = S[row, 0]
            for j in range(1, n):
                top = max(top, S[row, j])
        total = 0.0
        for j in range(n):
            S[row, j] = math.exp(S[row, j] - top)
            total += S[row, j]
        if shape == SOFTMAX:
            for j in range(n):
                S[row, j] /= total


@native
def forward(data, weights, work, form):
    """The loss ½‖MH − y‖²; leaves q, k, v, S, each head's own output and the residual in work."""
    features, _, y = data
    W_Q, W_K, u = weights
    q, k, v, S, own, r = work[:6]
    n = S.shape[2]
    for t in range(r.shape[0]):
        r[t] = -y[t]
    for h in range(u.shape[0]):
        project(W_Q[h], features, q[h])
        project(W_K[h], features, k[h])
        project(u[h : h + 1], features, v[h : h + 1])
        attend(q[h], k[h], S[h], form)
        for row in range(r.shape[0]):
            base, out = row // n * n, 0.0
            for j in range(n):
                out += S[h, row, j] * v[h, base + j]
            own[h, row] = out
            r[row] += out
    loss = 0.0
    for t in range(r.shape[0]):
        loss += r[t] * r[t]
    return 0.5 * loss


@native
def through_scores(h, work, shape):
    """dC (T, n), and the same by columns (n, T), in work; ‖dC‖²."""
    _, _, v, S, own, r, dC, by_column = work[:8]
    n, found = S.shape[2], 0.0
    for row in range(r.shape[0]):
        base = row // n * n
        for j in range(n):
            value = v[h, base + j]
            if shape == SOFTMAX:
                value -= own[h, row]
            if shape != IDENTITY:
                value *= S[h, row, j]
            dC[row, j] = r[row] * value
            by_column[j, row] = dC[row, j]
            found += dC[row, j] * dC[row, j]
    return found


@native
def of_queries(q, k, dC, by_column, distance, out):
    """out (d, T): column a is Σ_j dC[a, j] k_j, less rowsum(dC)_a q_a for distances."""
    n = dC.shape[1]
    for c in range(q.shape[0]):
        for base in range(0, q.shape[1], n):
            for a in range(n):
                out[c, base + a] = 0.0
            for j in range(n):
                for a in range(n):
                    apart = k[c, base + j] - q[c, base + a] if distance else k[c, base + j]
                    out[c, base + a] += by_column[j, base + a] * apart


@native
def of_keys(q, k, dC, distance, out):
    """out (d, T): column j is Σ_a dC[a, j] q_a, less colsum(dC)_j k_j for distances."""
    n = dC.shape[1]
    for c in range(q.shape[0]):
        for base in range(0, q.shape[1], n):
            for j in range(n):
                out[c, base + j] = 0.0
            for a in range(n):
                for j in range(n):
                    apart = q[c, base + a] - k[c, base + j] if distance else q[c, base + a]
                    out[c, base + j] += dC[base + a, j] * apart


@native
def back(moved, tokens, scale, gradient):
    """gradient (d, D) = scale · moved (d, T) tokens (T, D); its squared norm."""
    found = 0.0
    for c in range(gradient.shape[0]):
        for k in range(gradient.shape[1]):
            gradient[c, k] = 0.0
        for t in range(tokens.shape[0]):
            weight = scale * moved[c, t]
            for k in range(gradient.shape[1]):
                gradient[c, k] += weight * tokens[t, k]
        for k in range(gradient.shape[1]):
            found += gradient[c, k] * gradient[c, k]
    return found


@native
def backward(data, work, gradients, trained, form):
    """Fills the gradients of what is trained; squared norms of them and of dC."""
    _, tokens, _ = data
    q, k, _, S, _, r, dC, by_column, moved, z = work
    of_Q, of_K, of_u, c = gradients
    in_Q, in_K, in_V = trained
    distance, shape = form
    n, scale = S.shape[2], 1.0 / math.sqrt(q.shape[1])
    norm_Q, norm_K, norm_V, norm_C = 0.0, 0.0, 0.0, 0.0
    for h in range(S.shape[0]):
        if in_V:
            for t in range(r.shape[0]):
                z[0, t] = 0.0
            for row in range(r.shape[0]):
                base = row // n * n
                for j in range(n):
                    z[0, base + j] += S[h, row, j] * r[row]
            norm_V += c[h] * back(z, tokens, 1.0, of_u[h : h + 1])
        if in_Q or in_K:
            norm_C += through_scores(h, work, shape)
        if in_Q:
            of_queries(q[h], k[h], dC, by_column, distance, moved)
            norm_Q += back(moved, tokens, scale, of_Q[h])
        if in_K:
            of_keys(q[h], k[h], dC, distance, moved)
            norm_K += back(moved, tokens, scale, of_K[h])
    return norm_Q, norm_K, norm_V, norm_C


@native
def walk(weights, gradients, trained, step, reached):
    """reached = weights − step · gradient."""
    of_Q, of_K, of_u, factor = gradients
    for h in range(factor.shape[0]):
        for c in range(of_Q.shape[1]):
            for k in range(of_Q.shape[2]):
                if trained[0]:
                    reached[0][h, c, k] = weights[0][h, c, k] - step * of_Q[h, c, k]
                if trained[1]:
                    reached[1][h, c, k] = weights[1][h, c, k] - step * of_K[h, c, k]
        if trained[2]:
            for k in range(of_u.shape[1]):
                reached[2][h, k] = weights[2][h, k] - step * factor[h] * of_u[h, k]


@native
def take_over(weights, reached, trained):
    """weights = reached, of what is trained."""
    for h in range(weights[2].shape[0]):
        for c in range(weights[0].shape[1]):
            for k in range(weights[0].shape[2]):
                if trained[0]:
                    weights[0][h, c, k] = reached[0][h, c, k]
                if trained[1]:
                    weights[1][h, c, k] = reached[1][h, c, k]
        if trained[2]:
            for k in range(weights[2].shape[1]):
                weights[2][h, k] = reached[2][h, k]


@native
def descend_one(data, weights, reached, work, gradients, series, steps, rule):
    """Rows ``now`` to ``stop`` − 1 of one seed's series, leaving each but the last of all; the step
    size stands in ``steps[0]``."""
    now, stop, method, trained, form = rule
    loss = forward(data, weights, work, form)
    norms = backward(data, work, gradients, trained, form)
    for row in range(now, stop):
        step = steps[0]
        series[row, LOSS], series[row, STEP], series[row, MOVED] = loss, step, 0.0
        series[row, OF_Q], series[row, OF_K], series[row, OF_V], series[row, OF_C] = norms
        if row == series.shape[0] - 1:
            return
        walk(weights, gradients, trained, step, reached)
        found = forward(data, reached, work, form)
        if method == FIXED or found <= loss:
            if method == MONOTONE and found < loss:
                steps[0] = step * GROW
            series[row, MOVED] = 1.0
            take_over(weights, reached, trained)
            loss = found
            norms = backward(data, work, gradients, trained, form)
        else:
            steps[0] = step * SHRINK


@native
def descend(data, weights, reached, work, gradients, series, steps, rule):
    """``descend_one`` of every seed: arrays with a leading axis of seeds, but for ``work``."""
    features, tokens, y = data
    W_Q, W_K, u = weights
    to_Q, to_K, to_u = reached
    of_Q, of_K, of_u, factor = gradients
    for seed in range(u.shape[0]):
        descend_one(
            (features[seed], tokens[seed], y[seed]), (W_Q[seed], W_K[seed], u[seed]),
            (to_Q[seed], to_K[seed], to_u[seed]), work,
            (of_Q[seed], of_K[seed], of_u[seed], factor[seed]), series[seed], steps[seed], rule,
        )  # fmt: skip
