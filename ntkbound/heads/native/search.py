"""The worst-case search of one sample as vector code: a tile of heads climbs in its lanes.

The rule, the objective and its convergence are those of ``terms.ascent``; here they are closed
forms. With s_t = X_t·k, v_t = U·X_t, p = softmax(s), z = Σ p v, a displacement Δ = (δc, δU, δk) of
the head and, for the change of feature, e = Δ − v, x_t = X_t·e_k, w_t = e_U·X_t, x̄ = Σ p x:

    ż   = D z[e] = Σ_t p_t (w_t + (v_t − z) x_t)
    lin = (c + δc) σ(z) − c σ(z_0) − ⟨∇h_0, Δ⟩ + …    = c B − L + δc B,      B = σ(z) − σ(z_0)
    cof = e_c B_0 + (c + δc) σ'(z) ż − L              = A + δc B,            B = B_0 + σ'(z) ż

where L is the part of ⟨∇h_0, ·⟩ in U and k: both are affine in δc, whose best value ±ρ_c is taken
at every point. Both gradients are two weighted sums over tokens, less that of L:

    ∇_U = Σ_t p_t α X_t,        α_t = α + β (x_t − x̄)
    ∇_k = Σ_t p_t [ α_t (v_t − z) + β (w_t − ż) ] X_t
    lin: α = (c + δc) σ', β = 0;   cof: β = (c + δc) σ', α = β + e_c σ' + (c + δc) σ'' ż

(∇h(θ) − ∇h(θ_0), plus the product of the Hessian of h with e.) Points are kept in unit balls: the
radii multiply products with tokens, and gradients.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ntkbound.heads.native.cache import native
from ntkbound.heads.native.elementary import dot_rows, exp2_negative, sum_rows
from ntkbound.heads.native.packing import fill
from ntkbound.heads.native.tiles import ACTIVATIONS, activate
from ntkbound.heads.native.vectors import (
    VECTOR_BYTES,
    absolute,
    add_outer,
    constant,
    fma,
    load,
    load_rows,
    maximum,
    square_root,
    store,
    store_rows,
    where_less,
    width,
    zero_rows,
)

Array = np.ndarray[Any, np.dtype[Any]]

STEP = 4  # tokens, or coordinates, that a sweep handles side by side
_STEP = (0,) * STEP
CORNERS = 4  # restarts whose first candidate is (±∇_U h_0, ±∇_k h_0)


class Rule(NamedTuple):
    """The constants of the ascent (see ``terms.ascent``)."""

    armijo: float
    shrink: float
    grow: float
    span: float


class Plan(NamedTuple):
    """Sizes, and where in a thread's workspace each quantity of a tile lies."""

    tokens: int
    padded: int  # tokens rounded up to STEP
    dim: int
    rows: int  # dim rounded up to STEP
    kind: int  # index into ACTIVATIONS
    change: bool  # the change of feature, else the linearization
    restarts: int
    candidates: int
    steps: int
    table: int  # s_0, v_0, X·v_k, X·v_U of every token
    sweep: int  # e, v, x, w of every token
    head: int  # the constants of a head, in the order below
    origin: int  # ∇h_0 in unit-ball coordinates
    at: int
    slope: int
    trial: int
    trial_slope: int
    best: int
    end: int
    # What an evaluation is asked for. As global constants, numba would compile it once for each.
    value: int = 0
    graded: int = 1
    plain: int = 2


C, R_C, R_U, R_K, V_C, START, OFFSET, SIGN = range(8)  # START: σ(z_0); OFFSET: ⟨∇h_0, v⟩


@native
def _products(plan, xs, work, one_at, two_at, one_out, two_out):
    """X_t · one and X_t · two of every token."""
    lanes = width(work)
    for t in range(0, plan.padded, STEP):
        one, two = zero_rows(_STEP, work), zero_rows(_STEP, work)
        for row in range(plan.dim):
            x_at = t * plan.dim + row * STEP
            one = add_outer(one, load(work, one_at + row * lanes), xs, x_at)
            two = add_outer(two, load(work, two_at + row * lanes), xs, x_at)
        store_rows(work, one_out + t * lanes, one)
        store_rows(work, two_out + t * lanes, two)


@native(inline="always")
def _curvature(kind, like, z, value, slope):
    """σ''(z), given σ and σ'."""
    if kind == 0:
        return constant(like, -2.0) * value * slope
    if kind == 1:
        return constant(like, -2.0) * z * slope
    if kind == 2:
        return constant(like, -1.0) * value * slope
    if kind == 3:
        return fma(z, z, constant(like, -1.0)) * value
    return constant(like, 0.0)


@native
def _evaluate(plan, mode, xs, x, work, point, slope):
    """± the error at a point, maximal over δc, and unless mode is `value` its gradient in `slope`.

    Mode `plain` leaves out what belongs to the change of feature.
    """
    change, graded = plan.change and mode != plan.plain, mode != plan.value
    lanes = width(work)
    head, zero, one = plan.head, constant(work, 0.0), constant(work, 1.0)
    r_u, r_k = load(work, head + R_U * lanes), load(work, head + R_K * lanes)
    span = plan.padded * lanes
    e_at, v_at = plan.sweep, plan.sweep + span
    x_at, w_at = plan.sweep + 2 * span, plan.sweep + 3 * span
    k_at = plan.rows * lanes
    _products(plan, xs, work, point + k_at, point, x_at, w_at)
    top, log2e = constant(work, -np.inf), constant(work, 1.0 / math.log(2.0))
    for t in range(0, span, lanes):
        moved, turned = r_k * load(work, x_at + t), r_u * load(work, w_at + t)
        s = fma(log2e, moved, load(work, plan.table + t))
        store(work, e_at + t, s)
        store(work, v_at + t, load(work, plan.table + span + t) + turned)
        top = maximum(s, top)
        if change:
            store(work, x_at + t, moved - load(work, plan.table + 2 * span + t))
            store(work, w_at + t, turned - load(work, plan.table + 3 * span + t))
    norm, z, middle = zero, zero, zero
    for t in range(0, span, STEP * lanes):
        e = exp2_negative(load_rows(_STEP, work, e_at + t), top)
        store_rows(work, e_at + t, e)
        norm = norm + sum_rows(e)
        z = dot_rows(e, work, v_at + t, z)
        if change:
            middle = dot_rows(e, work, x_at + t, middle)
    share = one / norm
    z, middle = z * share, middle * share
    value, first = activate(plan.kind, z)
    c, sign = load(work, head + C * lanes), load(work, head + SIGN * lanes)
    linear = zero
    for i in range(0, 2 * plan.rows * lanes, lanes):
        linear = fma(load(work, plan.origin + i), load(work, point + i), linear)
    rise = value - load(work, head + START * lanes)
    speed, slant, fixed = zero, rise, c * rise - linear
    if change:
        for t in range(0, span, lanes):
            lean = fma(load(work, v_at + t) - z, load(work, x_at + t), load(work, w_at + t))
            speed = fma(load(work, e_at + t), lean, speed)
        speed = speed * share
        slant = fma(first, speed, rise)
        fixed = c * first * speed - load(work, head + V_C * lanes) * rise
        fixed = fixed - linear + load(work, head + OFFSET * lanes)
    r_c = load(work, head + R_C * lanes)
    shift = where_less(sign * slant, zero, zero - r_c, r_c)
    result = sign * fma(shift, slant, fixed)
    if not graded:
        return result
    weight = c + shift
    alpha, beta = weight * first, zero
    if change:
        beta = alpha
        second = _curvature(plan.kind, work, z, value, first)
        alpha = fma(shift - load(work, head + V_C * lanes), first, alpha)
        alpha = fma(weight * second, speed, alpha)
    for t in range(0, span, lanes):
        p, v = load(work, e_at + t) * share, load(work, v_at + t) - z
        first_weight = p * alpha
        if change:
            first_weight = p * fma(beta, load(work, x_at + t) - middle, alpha)
        second_weight = first_weight * v
        if change:
            second_weight = fma(p * beta, load(work, w_at + t) - speed, second_weight)
        store(work, e_at + t, first_weight)
        store(work, v_at + t, second_weight)
    for row in range(0, plan.rows, STEP):
        u, k = zero_rows(_STEP, work), zero_rows(_STEP, work)
        for t in range(plan.tokens):
            token = t * plan.rows + row
            u = add_outer(u, load(work, e_at + t * lanes), x, token)
            k = add_outer(k, load(work, v_at + t * lanes), x, token)
        store_rows(work, slope + row * lanes, u)
        store_rows(work, slope + k_at + row * lanes, k)
    for i in range(0, k_at, lanes):
        u = fma(r_u, load(work, slope + i), zero - load(work, plan.origin + i))
        k = fma(r_k, load(work, slope + k_at + i), zero - load(work, plan.origin + k_at + i))
        store(work, slope + i, sign * u)
        store(work, slope + k_at + i, sign * k)
    return result


@native
def _dot(work, one, two, count):
    lanes, value = width(work), constant(work, 0.0)
    for i in range(0, count * lanes, lanes):
        value = fma(load(work, one + i), load(work, two + i), value)
    return value


@native
def _into_unit_ball(work, at, count):
    lanes, one = width(work), constant(work, 1.0)
    size = square_root(_dot(work, at, at, count))
    factor = where_less(one, size, one / size, one)
    for i in range(at, at + count * lanes, lanes):
        store(work, i, factor * load(work, i))


@native
def _direction(work, source, sign, at, count):
    """at <- sign · source/‖source‖, 0 where the source is 0; scaled first: squares underflow."""
    lanes, zero, one = width(work), constant(work, 0.0), constant(work, 1.0)
    largest = zero
    for i in range(0, count * lanes, lanes):
        largest = maximum(absolute(load(work, source + i)), largest)
    largest = where_less(zero, largest, largest, one)
    for i in range(0, count * lanes, lanes):
        store(work, at + i, load(work, source + i) / largest)
    size = square_root(_dot(work, at, at, count))
    factor = constant(work, sign) / where_less(zero, size, size, one)
    for i in range(at, at + count * lanes, lanes):
        store(work, i, factor * load(work, i))


@native
def _keep(work, kept, other, count, better, value):
    """kept <- other in the lanes where not (better < value)."""
    lanes = width(work)
    for i in range(0, count * lanes, lanes):
        old, new = load(work, kept + i), load(work, other + i)
        store(work, kept + i, where_less(better, value, old, new))


@native(inline="always")
def _climb(plan, rule, xs, x, work):
    """Ascends from `at`, which it moves; the last value."""
    lanes, count = width(work), 2 * plan.rows
    half = plan.rows * lanes
    zero, one = constant(work, 0.0), constant(work, 1.0)
    armijo, shrink = constant(work, rule.armijo), constant(work, rule.shrink)
    grow, span = constant(work, rule.grow), constant(work, rule.span)
    value = _evaluate(plan, plan.graded, xs, x, work, plan.at, plan.slope)
    size = square_root(_dot(work, plan.slope, plan.slope, plan.rows))
    size = size + square_root(_dot(work, plan.slope + half, plan.slope + half, plan.rows))
    alpha = one / maximum(size, constant(work, 1e-300))
    longest, shortest = alpha * span, alpha / span
    for _ in range(plan.steps):
        for i in range(0, count * lanes, lanes):
            moved = fma(alpha, load(work, plan.slope + i), load(work, plan.at + i))
            store(work, plan.trial + i, moved)
        _into_unit_ball(work, plan.trial, plan.rows)
        _into_unit_ball(work, plan.trial + half, plan.rows)
        found = _evaluate(plan, plan.graded, xs, x, work, plan.trial, plan.trial_slope)
        gain, length, bend = zero, zero, zero
        for i in range(0, count * lanes, lanes):
            moved = load(work, plan.trial + i) - load(work, plan.at + i)
            slope = load(work, plan.slope + i)
            gain = fma(slope, moved, gain)
            length = fma(moved, moved, length)
            bend = fma(load(work, plan.trial_slope + i) - slope, moved, bend)
        needed = fma(armijo, gain, value)
        spectral = where_less(bend, zero, length / (zero - bend), grow * alpha)
        spectral = maximum(spectral, shortest)
        spectral = where_less(longest, spectral, longest, spectral)
        alpha = where_less(found, needed, shrink * alpha, spectral)
        _keep(work, plan.at, plan.trial, count, found, needed)
        _keep(work, plan.slope, plan.trial_slope, count, found, needed)
        value = where_less(found, needed, value, found)
    return value


@native(inline="always")
def _choose(plan, restart, first, count, points, xs, x, work):
    """at <- the best of the restart's candidates."""
    lanes = width(work)
    half, value = plan.rows * lanes, constant(work, -np.inf)
    for candidate in range(plan.candidates):
        if candidate == 0 and restart < CORNERS:
            one = -1.0 if restart & 1 else 1.0
            two = -1.0 if (restart ^ (restart >> 1)) & 1 else 1.0
            _direction(work, plan.origin, one, plan.trial, plan.rows)
            _direction(work, plan.origin + half, two, plan.trial + half, plan.rows)
        else:
            for lane in range(count):
                for row in range(plan.dim):
                    at = plan.trial + row * lanes + lane
                    work[at] = points[first + lane, restart, candidate, 0, row]
                    work[at + half] = points[first + lane, restart, candidate, 1, row]
        found = _evaluate(plan, plan.value, xs, x, work, plan.trial, plan.trial_slope)
        _keep(work, plan.at, plan.trial, 2 * plan.rows, found, value)
        value = where_less(found, value, value, found)


@native(inline="always")
def _load_heads(plan, j, first, count, heads, goal, xs, x, work):
    """Everything about one tile that all its ascents share."""
    c, u, k, radius_c, radius_u, radius_k = heads
    goal_c, goal_u, goal_k = goal
    lanes, half = width(work), plan.rows * width(work)
    one = constant(work, 1.0)
    fill(work, 0, plan.end, 0.0)
    for lane in range(count):
        i = first + lane
        for row in range(plan.dim):
            at = plan.trial + row * lanes + lane
            work[at], work[at + half] = u[j, i, row], k[j, i, row]
            if plan.change:
                at = plan.best + row * lanes + lane
                work[at], work[at + half] = goal_u[j, i, row], goal_k[j, i, row]
    tokens = plan.padded * lanes
    _products(plan, xs, work, plan.trial + half, plan.trial, plan.table, plan.table + tokens)
    log2e = constant(work, 1.0 / math.log(2.0))
    for t in range(0, tokens, lanes):
        outside = t >= plan.tokens * lanes  # padding has no weight in the softmax
        s = constant(work, -np.inf) if outside else log2e * load(work, plan.table + t)
        store(work, plan.table + t, s)
    goal_at = plan.table + 2 * tokens
    _products(plan, xs, work, plan.best + half, plan.best, goal_at, goal_at + tokens)
    # σ(z_0) and its gradient: the same evaluation at 0, with c = 1 and nothing subtracted
    for constant_of in (C, R_U, R_K, SIGN):
        store(work, plan.head + constant_of * lanes, one)
    fill(work, plan.at, 2 * half, 0.0)
    start = _evaluate(plan, plan.plain, xs, x, work, plan.at, plan.slope)
    store(work, plan.head + START * lanes, start)
    for lane in range(count):
        i = first + lane
        work[plan.head + C * lanes + lane] = c[j, i]
        work[plan.head + R_C * lanes + lane] = radius_c[j, i]
        work[plan.head + R_U * lanes + lane] = radius_u[j, i]
        work[plan.head + R_K * lanes + lane] = radius_k[j, i]
        if plan.change:
            work[plan.head + V_C * lanes + lane] = goal_c[j, i]
    weight = load(work, plan.head + C * lanes)
    for i in range(0, 2 * half, lanes):
        store(work, plan.slope + i, weight * load(work, plan.slope + i))
    offset = _dot(work, plan.slope, plan.best, 2 * plan.rows)
    store(work, plan.head + OFFSET * lanes, offset)
    r_u, r_k = load(work, plan.head + R_U * lanes), load(work, plan.head + R_K * lanes)
    for i in range(0, half, lanes):
        store(work, plan.origin + i, r_u * load(work, plan.slope + i))
        store(work, plan.origin + half + i, r_k * load(work, plan.slope + half + i))


@native(inline="always")
def _gap(plan, work):
    """Σ over blocks of ‖g‖ − ⟨g, ξ⟩ where the last ascent ended: its largest first-order gain."""
    half = plan.rows * width(work)
    gap = constant(work, 0.0)
    for slope, at in ((plan.slope, plan.at), (plan.slope + half, plan.at + half)):
        gap = gap + square_root(_dot(work, slope, slope, plan.rows))
        gap = gap - _dot(work, slope, at, plan.rows)
    return maximum(gap, constant(work, 0.0))


@native
def search_heads(plan, rule, j, begin, end, heads, goal, points, xs, x, work, out):
    """out[0, side, j, i] = the largest +error or −error found for sample j, heads begin..end,
    out[1, side, j, i] = its gap."""
    lanes, count = width(work), 2 * plan.rows
    for first in range(begin, end, lanes):
        used = min(lanes, end - first)
        _load_heads(plan, j, first, used, heads, goal, xs, x, work)
        for side in range(2):
            store(work, plan.head + SIGN * lanes, constant(work, 1.0 - 2.0 * side))
            top = constant(work, -np.inf)
            for restart in range(plan.restarts + 1):
                if restart < plan.restarts:
                    _choose(plan, restart, first, used, points, xs, x, work)
                else:  # once more from the best of all
                    for i in range(0, count * lanes, lanes):
                        store(work, plan.at + i, load(work, plan.best + i))
                value = _climb(plan, rule, xs, x, work)
                _keep(work, plan.best, plan.at, count, value, top)
                top = where_less(value, top, top, value)
            # The last ascent began at the best of the others and never fell: `at` is its end.
            for kind, found in ((0, top), (1, _gap(plan, work))):
                store(work, plan.end, found)
                for lane in range(used):
                    out[kind, side, j, first + lane] = work[plan.end + lane]


class Searcher:
    """The search over one set of samples X (n, T, d), for one activation and one error.

    `change` chooses the change of feature. Arrays are float64 and C-contiguous; `heads` and `goal`
    are (c, U, k) as every sample sees them: (n, h), (n, h, d), (n, h, d).
    """

    def __init__(
        self, x: Array, activation: str, *, change: bool, points: Array, steps: int, rule: Rule
    ) -> None:
        samples, tokens, dim = x.shape
        lanes = VECTOR_BYTES // 8
        padded, rows = -(-tokens // STEP) * STEP, -(-dim // STEP) * STEP
        sizes = {
            "table": 4 * padded, "sweep": 4 * padded, "head": SIGN + 1,
            **dict.fromkeys(("origin", "at", "slope", "trial", "trial_slope", "best"), 2 * rows),
        }  # fmt: skip
        edges = np.cumsum([0, *sizes.values()]) * lanes
        places = dict(zip([*sizes, "end"], map(int, edges), strict=True))
        self._plan = Plan(
            tokens, padded, dim, rows, ACTIVATIONS.index(activation), change,
            points.shape[1], points.shape[2], steps, **places,
        )  # fmt: skip
        self._rule, self._points = rule, points
        self._x = np.zeros((samples, tokens, rows))
        self._x[:, :, :dim] = x
        by_step = np.zeros((samples, padded // STEP, dim, STEP))
        for t in range(tokens):
            by_step[:, t // STEP, :, t % STEP] = x[:, t]
        self._by_step = by_step
        self._work = self._plan.end + lanes

    def search(
        self, j: int, begin: int, end: int, heads: tuple[Array, ...], goal: tuple[Array, ...],
        out: Array,
    ) -> None:  # fmt: skip
        """Fills out[:, :, j, begin:end], out (2, 2, n, h): the suprema of + and − the error, and
        the first-order gap at each."""
        search_heads(
            self._plan, self._rule, j, begin, end, heads, goal, self._points,
            self._by_step[j].reshape(-1), self._x[j].reshape(-1), np.zeros(self._work), out,
        )  # fmt: skip
