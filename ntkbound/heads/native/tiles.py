"""Kernels over one tile: one vector of heads against a block of samples.

Three sweeps over the tokens keep everything in registers: scores and values, exponentials, moments.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ntkbound.heads.native.cache import native
from ntkbound.heads.native.elementary import (
    act_bump,
    act_erf,
    act_relu,
    act_sigmoid,
    act_tanh,
    dot_rows,
    exp2_negative,
    sum_rows,
)
from ntkbound.heads.native.vectors import (
    add_outer,
    add_rows,
    add_scaled,
    constant,
    dot,
    fma,
    load,
    load_rows,
    maximum,
    store,
    store_rows,
    subtract_scaled,
    width,
    zero_rows,
)

ACTIVATIONS = ("tanh", "erf", "sigmoid", "bump", "relu")
BLOCK = 16  # samples whose features are kept between the forward and the backward half
# Tile 0 of 1. As literals they would have everything that takes them compiled once more.
ONLY, ONE = np.int64(0), np.int64(1)
LOCKSTEP = 4  # exponentials computed side by side
_LOCKSTEP, _ONE = (0,) * LOCKSTEP, (0,)


class Sizes(NamedTuple):
    """Problem and layout. A packed tile is [c][U: rows][W: even x rows, or k: rows] vectors."""

    samples: int
    tokens: int
    dim: int
    heads: int  # of one run, on this process
    rows: int  # dim rounded up to whole chunks of registers
    chunks: int
    even: int  # rows rounded up to an even number: W is handled two rows at a time
    fixed: bool  # a fixed query: k in place of W
    kind: int  # index into ACTIVATIONS
    tile: int  # numbers in a packed tile
    ahead: int  # samples whose sweeps alternate
    groups: int  # samples are cut into so many groups, one partial gradient each
    scale: float  # (heads of all processes)^{-1/2}


@native(inline="always")
def activate(kind: Any, z: Any) -> Any:
    if kind == 0:
        return act_tanh(z)
    if kind == 1:
        return act_erf(z)
    if kind == 2:
        return act_sigmoid(z)
    if kind == 3:
        return act_bump(z)
    return act_relu(z)


@native(inline="always")
def keys_of(dims, size, scaled_q, packed, at, begin, end, work):
    """work[j, row] = (W q_j)_row log2(e) for one tile, two rows of W in registers at a time."""
    lanes, chunk_rows = width(packed), len(dims)
    for row in range(0, size.even, 2):
        for chunk in range(size.chunks):
            row_at = at + (row * size.rows + chunk * chunk_rows) * lanes
            first = load_rows(dims, packed, row_at)
            second = load_rows(dims, packed, row_at + size.rows * lanes)
            for j in range(begin, end):
                q_at = j * size.rows + chunk * chunk_rows
                key_at = ((j - begin) * size.even + row) * lanes
                one, two = dot(first, scaled_q, q_at), dot(second, scaled_q, q_at)
                if chunk > 0:
                    one = one + load(work, key_at)
                    two = two + load(work, key_at + lanes)
                store(work, key_at, one)
                store(work, key_at + lanes, two)


@native(inline="always")
def _scores(dims, size, x, j, keys, key_at, packed, u_at, work, at):
    """work[at] = [s_t: T][v_t: T][max_t s_t] of sample j."""
    lanes, chunk_rows = width(x), len(dims)
    v_at = at + size.tokens * lanes
    for chunk in range(size.chunks):
        top = constant(x, -np.inf)
        k = load_rows(dims, keys, key_at + chunk * chunk_rows * lanes)
        u = load_rows(dims, packed, u_at + chunk * chunk_rows * lanes)
        for t in range(size.tokens):
            x_at = (j * size.tokens + t) * size.rows + chunk * chunk_rows
            s, v = dot(k, x, x_at), dot(u, x, x_at)
            if chunk > 0:
                s = s + load(work, at + t * lanes)
                v = v + load(work, v_at + t * lanes)
            store(work, at + t * lanes, s)
            store(work, v_at + t * lanes, v)
            top = maximum(s, top)
        store(work, v_at + size.tokens * lanes, top)


@native(inline="always")
def _softmax(size, work, at):
    """work[at] = [e_t: T][v_t: T][S][z], with e_t = exp(s_t - max s) and S = sum_t e_t."""
    lanes = width(work)
    v_at = at + size.tokens * lanes
    norm_at = v_at + size.tokens * lanes
    top = load(work, norm_at)
    norm, z = constant(work, 0.0), constant(work, 0.0)
    whole = size.tokens // LOCKSTEP * LOCKSTEP
    for t in range(0, whole, LOCKSTEP):
        e = exp2_negative(load_rows(_LOCKSTEP, work, at + t * lanes), top)
        store_rows(work, at + t * lanes, e)
        norm = norm + sum_rows(e)
        z = dot_rows(e, work, v_at + t * lanes, z)
    for t in range(whole, size.tokens):
        one = exp2_negative(load_rows(_ONE, work, at + t * lanes), top)
        store_rows(work, at + t * lanes, one)
        norm = norm + sum_rows(one)
        z = dot_rows(one, work, v_at + t * lanes, z)
    store(work, norm_at, norm)
    store(work, norm_at + lanes, z / norm)


@native(inline="always")
def _outputs(size, c, work, at, features, f_at, h, h_at):
    """h = c act(z) and features = [act(z)][c act'(z) / S], from what `_softmax` left."""
    lanes = width(work)
    norm_at = at + 2 * size.tokens * lanes
    value, slope = activate(size.kind, load(work, norm_at + lanes))
    store(h, h_at, c * value)
    store(features, f_at, value)
    store(features, f_at + lanes, c * slope / load(work, norm_at))


@native(inline="always")
def _moments(dims, size, x, j, work, at, features, f_at):
    """features = [S a: rows][S b: rows] of sample j, from what `_softmax` left."""
    lanes, chunk_rows = width(x), len(dims)
    v_at = at + size.tokens * lanes
    norm_at = v_at + size.tokens * lanes
    z = load(work, norm_at + lanes)
    drift = constant(x, 0.0)
    for chunk in range(size.chunks):
        a, b = zero_rows(dims, x), zero_rows(dims, x)
        for t in range(size.tokens):
            e = load(work, at + t * lanes)
            w = e * (load(work, v_at + t * lanes) - z)
            if chunk == 0:
                drift = drift + w
            x_at = (j * size.tokens + t) * size.rows + chunk * chunk_rows
            a = add_outer(a, e, x, x_at)
            b = add_outer(b, w, x, x_at)
        # sum_t w_t is 0 but for rounding: without this, saturated heads get rounding noise
        b = subtract_scaled(b, drift / load(work, norm_at), a)
        store_rows(features, f_at + chunk * chunk_rows * lanes, a)
        store_rows(features, f_at + (size.rows + chunk * chunk_rows) * lanes, b)


@native
def attend(dims, size, x, scaled_q, packed, tile, tiles, begin, end, work, features, h, grad):
    """h of one of `tiles` tiles for samples begin..end and, if asked, what their gradients need.

    h[j, tile], and features[tile, j] = [act(z)][c act'(z)/S][S a: rows][S b: even]. The sweeps
    alternate over a few samples, so that none waits for the end of the one before.
    """
    lanes = width(x)
    at, h_at, h_step = tile * size.tile, tile * lanes, tiles * lanes
    u_at = at + lanes
    w_at = u_at + size.rows * lanes
    f_step = (2 + size.rows + size.even) * lanes
    f_at = tile * BLOCK * f_step
    s_at = BLOCK * size.even * lanes
    s_step = 2 * (size.tokens + 1) * lanes
    keys, key_at, key_step = packed, w_at, 0
    if not size.fixed:
        keys_of(dims, size, scaled_q, packed, w_at, begin, end, work)
        keys, key_at, key_step = work, 0, size.even * lanes
    c = load(packed, at)
    for first in range(begin, end, size.ahead):
        last = min(first + size.ahead, end)
        for j in range(first, last):
            key, own = key_at + (j - begin) * key_step, s_at + (j - first) * s_step
            _scores(dims, size, x, j, keys, key, packed, u_at, work, own)
        for j in range(first, last):
            _softmax(size, work, s_at + (j - first) * s_step)
        for j in range(first, last):
            f = f_at + (j - begin) * f_step if grad else 0
            own = s_at + (j - first) * s_step
            _outputs(size, c, work, own, features, f, h, h_at + (j - begin) * h_step)
        if grad:
            for j in range(first, last):
                f, own = f_at + (j - begin) * f_step, s_at + (j - first) * s_step
                _moments(dims, size, x, j, work, own, features, f + 2 * lanes)


@native(inline="always")
def accumulate(dims, size, q, tile, tiles, begin, end, features, rho, total_grad):
    """Add the gradients of samples begin..end, weighted with rho, to one of the packed tiles."""
    lanes, chunk_rows = width(q), len(dims)
    at, rho_at, rho_step = tile * size.tile, tile * lanes, tiles * lanes
    step = (2 + size.rows + size.even) * lanes
    f_at = tile * BLOCK * step
    sum_c = constant(q, 0.0)
    for j in range(end - begin):
        weight = load(rho, rho_at + j * rho_step)
        sum_c = fma(weight, load(features, f_at + j * step), sum_c)
        g_at = f_at + j * step + lanes
        store(features, g_at, weight * load(features, g_at))
    store(total_grad, at, load(total_grad, at) + sum_c)
    u_at = at + lanes
    w_at = u_at + size.rows * lanes
    g_at = f_at + lanes
    a_at = g_at + lanes
    b_at = a_at + size.rows * lanes
    for chunk in range(size.chunks):
        offset = chunk * chunk_rows * lanes
        u, k = zero_rows(dims, q), zero_rows(dims, q)
        for j in range(end - begin):
            g = load(features, g_at + j * step)
            u = add_scaled(u, g, features, a_at + j * step + offset)
            if size.fixed:
                k = add_scaled(k, g, features, b_at + j * step + offset)
        add_rows(total_grad, u_at + offset, u)
        if size.fixed:
            add_rows(total_grad, w_at + offset, k)
    if size.fixed:
        return
    for row in range(0, size.even, 2):
        for chunk in range(size.chunks):
            first, second = zero_rows(dims, q), zero_rows(dims, q)
            for j in range(end - begin):
                g = load(features, g_at + j * step)
                one = g * load(features, b_at + j * step + row * lanes)
                two = g * load(features, b_at + j * step + (row + 1) * lanes)
                q_at = (begin + j) * size.rows + chunk * chunk_rows
                first = add_outer(first, one, q, q_at)
                second = add_outer(second, two, q, q_at)
            row_at = w_at + (row * size.rows + chunk * chunk_rows) * lanes
            add_rows(total_grad, row_at, first)
            add_rows(total_grad, row_at + size.rows * lanes, second)
