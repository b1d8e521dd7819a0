"""Sums over heads of h, of a directional derivative and of squared gradient norms, in one pass.

With b = M U and what ``attend`` leaves for every sample and tile, σ(z), g = c σ'(z)/S, S a, S b:

    ⟨∇h, Δ⟩ = δc σ(z) + g (δU·S a + (δW q)·S b),   ‖∇h‖² = σ(z)² + g² (‖S a‖² + ‖S b‖² ‖q‖²),

so a tangent costs a few products per sample and head on top of the attention itself.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import math

from ntkbound.heads.native.cache import native
from ntkbound.heads.native.packing import fill, pack
from ntkbound.heads.native.tiles import BLOCK, ONE, ONLY, attend, keys_of
from ntkbound.heads.native.vectors import constant, fma, load, total, width


@native
def tangent_blocks(dims, size, first, last, data, params, direction, scratch, packed, moved, out):
    """Adds to out (R, 4, n) at blocks first..last of the samples: the work of one thread.

    Rows: Σ h, Σ ⟨∇h, Δ⟩, Σ ⟨∇h, Δ⟩², Σ ‖∇h‖² over the heads of a run, tile by tile in float64.
    """
    x, q, scaled_q, _ = data
    work, features, h, mask = scratch
    c, u, w = params
    dc, du, dw = direction
    lanes = width(x)
    tiles = (size.heads + lanes - 1) // lanes
    for tile in range(len(out) * tiles):
        run, at = tile // tiles, tile % tiles * lanes
        head0, count = run * size.heads + at, min(lanes, size.heads - at)
        fill(packed, 0, size.tile, 0.0)  # padding would hold what was left here before
        fill(moved, 0, size.tile, 0.0)
        pack(size, c, u, w, head0, count, packed)
        pack(size, dc, du, dw, head0, count, moved)
        for lane in range(lanes):
            mask[lane] = 1.0 if lane < count else 0.0
        for begin in range(first * BLOCK, last * BLOCK, BLOCK):
            end = min(begin + BLOCK, size.samples)
            attend(dims, size, x, scaled_q, packed, ONLY, ONE, begin, end, work, features, h, True)
            if not size.fixed:
                keys_of(dims, size, q, moved, (1 + size.rows) * lanes, begin, end, work)
            for j in range(begin, end):
                _add_sample(size, j, j - begin, q, work, features, h, mask, moved, out[run])


@native(inline="always")
def _add_sample(size, j, i, q, work, features, h, mask, moved, sums):
    lanes = width(q)
    f_at = i * (2 + size.rows + size.even) * lanes
    a_at = f_at + 2 * lanes
    b_at = a_at + size.rows * lanes
    u_at = lanes
    w_at = u_at + size.rows * lanes
    inner, a_square, b_square = constant(q, 0.0), constant(q, 0.0), constant(q, 0.0)
    key_scale = constant(q, math.log(2.0))  # a packed fixed query's k carries log2(e)
    query_square = 1.0 if size.fixed else 0.0
    for row in range(size.dim):
        a, b = load(features, a_at + row * lanes), load(features, b_at + row * lanes)
        inner = fma(load(moved, u_at + row * lanes), a, inner)
        if size.fixed:
            inner = fma(load(moved, w_at + row * lanes) * key_scale, b, inner)
        else:
            inner = fma(load(work, (i * size.even + row) * lanes), b, inner)
            query_square += q[j * size.rows + row] ** 2
        a_square = fma(a, a, a_square)
        b_square = fma(b, b, b_square)
    value, g = load(features, f_at), load(features, f_at + lanes)
    tangent = fma(load(moved, 0), value, g * inner)
    gradient = fma(b_square, constant(q, query_square), a_square)
    # A padding lane has c = 0 but σ(0) may not be: the mask leaves it out of the norms.
    norm = fma(value, value, g * g * gradient) * load(mask, 0)
    sums[0, j] += total(load(h, i * lanes))
    sums[1, j] += total(tangent)
    sums[2, j] += total(tangent * tangent)
    sums[3, j] += total(norm)
