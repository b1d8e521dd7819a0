"""Whole passes over the data: the work of one thread."""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import math

import numpy as np

from ntkbound.heads.native.cache import native
from ntkbound.heads.native.packing import add_part, fill, group_bounds, lane_sum, pack, unpack
from ntkbound.heads.native.tiles import BLOCK, ONE, ONLY, accumulate, attend
from ntkbound.heads.native.vectors import width


@native(inline="always")
def residuals(size, y, h, h_step, begin, end, run0, runs, residual, rho):
    """residual = f - y of a block; rho = dloss/df m^{-1/2}, repeated for every head of the run."""
    factor = 2.0 * size.scale / size.samples
    for j in range(begin, end):
        at = (j - begin) * h_step
        for run in range(runs):
            r = lane_sum(h, at, size.heads) * size.scale - y[j]
            residual[run0 + run, j] = r
            fill(rho, at, size.heads, residual[run0 + run, j] * factor)
            at += size.heads


@native(inline="always")
def fused_group(dims, size, group, data, packed, run0, runs, scratch, residual, partial):
    """Residuals and summed gradient (packed) of one group of samples, for a batch of runs."""
    x, q, scaled_q, y = data
    work, features, h, rho = scratch
    lanes = width(x)
    tiles = (runs * size.heads + lanes - 1) // lanes
    h_step = tiles * lanes
    fill(partial, 0, tiles * size.tile, 0.0)
    first, last = group_bounds(size, group)
    for begin in range(first, last, BLOCK):
        end = min(begin + BLOCK, last)
        for i in range(tiles):
            attend(dims, size, x, scaled_q, packed, i, tiles, begin, end, work, features, h, True)
        residuals(size, y, h, h_step, begin, end, run0, runs, residual, rho)
        for i in range(tiles):
            accumulate(dims, size, q, i, tiles, begin, end, features, rho, partial)


@native
def mean_square(residual, mse):
    for run in range(residual.shape[0]):
        square = 0.0
        for j in range(residual.shape[1]):
            square += np.float64(residual[run, j]) ** 2
        mse[run] = square / residual.shape[1]


@native
def forward_blocks(dims, size, first, last, data, packed, run0, runs, scratch, out):
    """f of a batch of runs at blocks first..last of the samples: the work of one thread."""
    x, _, scaled_q, _ = data
    work, features, h, _ = scratch
    lanes = width(x)
    tiles = (runs * size.heads + lanes - 1) // lanes
    for begin in range(first * BLOCK, last * BLOCK, BLOCK):
        end = min(begin + BLOCK, size.samples)
        for i in range(tiles):
            attend(dims, size, x, scaled_q, packed, i, tiles, begin, end, work, features, h, False)
        for j in range(begin, end):
            for run in range(runs):
                at = (j - begin) * tiles * lanes + run * size.heads
                out[run0 + run, j] = lane_sum(h, at, size.heads) * size.scale


@native
def backward_tiles(
    dims, size, first, last, data, params, scratch, residual, packed, partials, grads
):
    """Gradients of tiles first..last of all runs, given the residuals: the work of one thread."""
    x, q, scaled_q, _ = data
    work, features, h, rho = scratch
    c, u, w = params
    lanes = width(x)
    factor = 2.0 * size.scale / size.samples
    for head0 in range(first * lanes, last * lanes, lanes):
        count = min(lanes, c.size - head0)
        pack(size, c, u, w, head0, count, packed)
        for group in range(size.groups):
            partial = partials[min(group, 1)]
            fill(partial, 0, size.tile, 0.0)
            begin, stop = group_bounds(size, group)
            while begin < stop:
                end = min(begin + BLOCK, stop)
                attend(
                    dims,
                    size,
                    x,
                    scaled_q,
                    packed,
                    ONLY,
                    ONE,
                    begin,
                    end,
                    work,
                    features,
                    h,
                    True,
                )
                for lane in range(count):
                    run = (head0 + lane) // size.heads
                    for j in range(begin, end):
                        rho[(j - begin) * lanes + lane] = residual[run, j] * factor
                accumulate(dims, size, q, ONLY, ONE, begin, end, features, rho, partial)
                begin = end
            if group > 0:
                add_part(partials[0], partials[1], 0, size.tile)
        unpack(size, partials[0], head0, count, grads[0], grads[1], grads[2])


@native(fastmath={"reassoc", "contract"})
def squared_distance(now, origin):
    """‖now − origin‖², of numbers as they are stored."""
    square = 0.0
    for i in range(now.size):
        square += (now[i] - origin[i]) ** 2
    return square


@native
def project(values, gradient, start, rule, reach, rounded):
    """values <- projection of values - eta gradient on the ball about start, per run and head.

    rule = (eta, radius, margin), per run all but the last: as in ``training.projection``. All is
    float64 but the gradient, and rounded <- values in its precision, the same array if that is
    float64. reach[run] <- the largest distance from start that any head ever had, itself included.
    """
    eta, radius, margin = rule
    for run in range(values.shape[0]):
        rate, limit, farthest = eta[run], radius[run], reach[run] ** 2
        widest = (limit * (1 - margin)) ** 2
        for head in range(values.shape[1]):
            now, origin = values[run, head], start[run, head]
            slope, seen = gradient[run, head], rounded[run, head]
            for i in range(now.size):
                now[i] -= rate * np.float64(slope[i])
            square = squared_distance(now, origin)
            if square > widest:
                shrink = limit * (1 - 2 * margin) / math.sqrt(square)
                for i in range(now.size):
                    back = origin[i] + shrink * (now[i] - origin[i])
                    now[i] = np.nextafter(back, origin[i])
                square = squared_distance(now, origin)
            farthest = max(farthest, square)
            for i in range(now.size):
                seen[i] = now[i]
        reach[run] = math.sqrt(farthest)


@native(fastmath={"reassoc", "contract"})
def add_squares(values, squares):
    """squares[run] += Σ values², values (R, m, k), in float64."""
    for run in range(values.shape[0]):
        total = 0.0
        for head in range(values.shape[1]):
            for i in range(values.shape[2]):
                total += np.float64(values[run, head, i]) ** 2
        squares[run] += total
