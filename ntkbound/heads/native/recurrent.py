"""Loss, gradient and tangents of the IndRNN as one native CPU kernel (numba).

For head i of a run and sample j, with tokens x_t and h_0 = 0:

    h_t = act(w_i h_{t-1} + U_i.x_t),   f = m^{-1/2} sum_i c_i h_T,   r_j = f_j - y_j
    e_T = act'(z_T),   e_t = w_i e_{t+1} act'(z_t)         (backpropagation through time)
    dh_T/dw = sum_t e_t h_{t-1},   dh_T/dU = sum_t e_t x_t

As in the Transformer's kernel, the heads of all runs lie side by side in vector lanes, a tile being
one vector of heads, and e does not depend on the residual: the features h_T, dh_T/dw and dh_T/dU of
a block of samples are kept until all heads have been seen and only then weighted with it. Each step
of the recurrence waits for the one before, so a few samples take every step together.

Bits depend neither on the number of threads nor on the runs beside: a lane never sees its
neighbours, and samples are cut into the same groups whatever the threads.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ntkbound.heads.native.cache import native
from ntkbound.heads.native.kernel import (
    MAX_GROUPS,
    SMALL,
    Params,
    chunk_rows,
    nbytes,
    padded,
)
from ntkbound.heads.native.packing import Array, aligned, fill, group_bounds, sum_groups
from ntkbound.heads.native.passes import mean_square, residuals
from ntkbound.heads.native.team import Team
from ntkbound.heads.native.tiles import ACTIVATIONS, BLOCK, activate
from ntkbound.heads.native.vectors import (
    VECTOR_BYTES,
    add_outer,
    add_rows,
    add_scaled,
    constant,
    dot,
    fma,
    load,
    load_rows,
    store,
    store_rows,
    total,
    width,
    zero_rows,
)

AHEAD = 4  # samples that take every step of the recurrence together


class Sizes(NamedTuple):
    """Problem and layout. A packed tile is [c][w][U: rows] vectors, features [h][dw][dU: rows]."""

    samples: int
    tokens: int
    dim: int
    heads: int  # of one run
    rows: int  # dim rounded up to whole chunks of registers
    chunks: int
    kind: int  # index into ACTIVATIONS
    tile: int  # numbers in a packed tile, and in the features of one sample and tile
    groups: int  # samples are cut into so many groups, one partial gradient each
    scale: float  # m^{-1/2}


@native
def _pack(size, c, u, w, head0, heads, packed):
    """Heads head0.. of the flat parameters into tiles."""
    lanes = width(packed)
    for i in range(heads):
        at, head = (i // lanes) * size.tile + i % lanes, head0 + i
        packed[at] = c[head]
        packed[at + lanes] = w[head]
        for row in range(size.dim):
            packed[at + (2 + row) * lanes] = u[head * size.dim + row]


@native
def _unpack(size, packed, c, u, w):
    """One packed gradient into the flat gradients."""
    lanes = width(c)
    for head in range(c.size):
        at = (head // lanes) * size.tile + head % lanes
        c[head] = packed[at]
        w[head] = packed[at + lanes]
        for row in range(size.dim):
            u[head * size.dim + row] = packed[at + (2 + row) * lanes]


@native(inline="always")
def _drive(dims, size, x, j, packed, u_at, work, at):
    """work[at] = [U.x_t: T] of sample j."""
    lanes, chunk_rows = width(x), len(dims)
    for chunk in range(size.chunks):
        u = load_rows(dims, packed, u_at + chunk * chunk_rows * lanes)
        for t in range(size.tokens):
            v = dot(u, x, (j * size.tokens + t) * size.rows + chunk * chunk_rows)
            if chunk > 0:
                v = v + load(work, at + t * lanes)
            store(work, at + t * lanes, v)


@native(inline="always")
def _recur(size, w, work, step, count):
    """work of each sample from [U.x_t: T] to [h_t: T][act'(z_t): T]."""
    lanes = width(work)
    for t in range(size.tokens):
        for j in range(count):
            at = j * step + t * lanes
            z = load(work, at)
            if t > 0:
                z = fma(w, load(work, at - lanes), z)
            value, slope = activate(size.kind, z)
            store(work, at, value)
            store(work, at + size.tokens * lanes, slope)


@native(inline="always")
def _reverse(dims, size, x, j, w, work, at, features, f_at):
    """features = [h_T][dh_T/dw][dh_T/dU: rows] of sample j, from what `_recur` left."""
    lanes, chunk_rows = width(x), len(dims)
    e_at = at + size.tokens * lanes
    carried, dw = constant(x, 1.0), constant(x, 0.0)
    for t in range(size.tokens - 1, -1, -1):
        e = carried * load(work, e_at + t * lanes)
        store(work, e_at + t * lanes, e)
        if t > 0:
            dw = fma(e, load(work, at + (t - 1) * lanes), dw)
        carried = w * e
    store(features, f_at, load(work, e_at - lanes))
    store(features, f_at + lanes, dw)
    for chunk in range(size.chunks):
        du = zero_rows(dims, x)
        for t in range(size.tokens):
            x_at = (j * size.tokens + t) * size.rows + chunk * chunk_rows
            du = add_outer(du, load(work, e_at + t * lanes), x, x_at)
        store_rows(features, f_at + (2 + chunk * chunk_rows) * lanes, du)


@native
def _unroll(dims, size, x, packed, at, begin, end, work, features, f_at):
    """Features of one tile for samples begin..end."""
    lanes = width(x)
    w = load(packed, at + lanes)
    step = 2 * size.tokens * lanes
    for first in range(begin, end, AHEAD):
        last = min(first + AHEAD, end)
        for j in range(first, last):
            _drive(dims, size, x, j, packed, at + 2 * lanes, work, (j - first) * step)
        _recur(size, w, work, step, last - first)
        for j in range(first, last):
            f = f_at + (j - begin) * size.tile
            _reverse(dims, size, x, j, w, work, (j - first) * step, features, f)


@native
def _accumulate(dims, size, count, packed, at, features, f_at, rho, rho_at, rho_step, total_grad):
    """Add the gradients of a block of samples, weighted with rho, to one packed tile."""
    lanes, chunk_rows = width(rho), len(dims)
    c = load(packed, at)
    dc, dw = constant(rho, 0.0), constant(rho, 0.0)
    for j in range(count):
        weight, f = load(rho, rho_at + j * rho_step), f_at + j * size.tile
        dc = fma(weight, load(features, f), dc)
        dw = fma(weight * c, load(features, f + lanes), dw)
    store(total_grad, at, load(total_grad, at) + dc)
    store(total_grad, at + lanes, load(total_grad, at + lanes) + dw)
    for chunk in range(size.chunks):
        offset = (2 + chunk * chunk_rows) * lanes
        du = zero_rows(dims, rho)
        for j in range(count):
            weight = load(rho, rho_at + j * rho_step) * c
            du = add_scaled(du, weight, features, f_at + j * size.tile + offset)
        add_rows(total_grad, at + offset, du)


@native
def _gradient_groups(dims, size, first, step, x, y, packed, runs, scratch, residual, partials):
    """Residuals and summed gradients of every step-th group of samples: one thread's work."""
    work, features, h, rho = scratch
    lanes = width(x)
    tiles = packed.size // size.tile
    h_step, f_step = tiles * lanes, BLOCK * size.tile
    for group in range(first, size.groups, step):
        partial = partials[group]
        fill(partial, 0, partial.size, 0.0)
        start, stop = group_bounds(size, group)
        for begin in range(start, stop, BLOCK):
            end = min(begin + BLOCK, stop)
            for i in range(tiles):
                at, f_at = i * size.tile, i * f_step
                _unroll(dims, size, x, packed, at, begin, end, work, features, f_at)
                c = load(packed, at)
                for j in range(end - begin):
                    value = load(features, f_at + j * size.tile)
                    store(h, j * h_step + i * lanes, c * value)
            residuals(size, y, h, h_step, begin, end, 0, runs, residual, rho)
            for i in range(tiles):
                _accumulate(
                    dims, size, end - begin, packed, i * size.tile, features, i * f_step, rho,
                    i * lanes, h_step, partial,
                )  # fmt: skip


@native
def _tangent_blocks(dims, size, first, last, x, params, direction, scratch, packed, moved, out):
    """Adds to out (R, 4, n) at blocks first..last of the samples: one thread's work."""
    work, features, mask, _ = scratch
    c, u, w = params
    dc, du, dw = direction
    lanes = width(x)
    tiles = (size.heads + lanes - 1) // lanes
    for tile in range(len(out) * tiles):
        at = tile % tiles * lanes
        head0, count = tile // tiles * size.heads + at, min(lanes, size.heads - at)
        sums = out[tile // tiles]
        fill(packed, 0, size.tile, 0.0)
        fill(moved, 0, size.tile, 0.0)
        _pack(size, c, u, w, head0, count, packed)
        _pack(size, dc, du, dw, head0, count, moved)
        for lane in range(lanes):  # act(0) of a padding lane may not be 0
            mask[lane] = 1.0 if lane < count else 0.0
        sign = load(packed, 0)
        for begin in range(first * BLOCK, last * BLOCK, BLOCK):
            end = min(begin + BLOCK, size.samples)
            _unroll(dims, size, x, packed, 0, begin, end, work, features, 0)
            for j in range(begin, end):
                f = (j - begin) * size.tile
                value = load(features, f)
                inner, norm = constant(x, 0.0), constant(x, 0.0)
                for row in range(1, 2 + size.rows):
                    slope = load(features, f + row * lanes)
                    inner = fma(load(moved, row * lanes), slope, inner)
                    norm = fma(slope, slope, norm)
                tangent = fma(load(moved, 0), value, sign * inner)
                sums[0, j] += total(sign * value)
                sums[1, j] += total(tangent)
                sums[2, j] += total(tangent * tangent)
                sums[3, j] += total(fma(value, value, sign * sign * norm) * load(mask, 0))


class RecurrentKernel:
    """Mean squared error of R independent IndRNNs that share X (n, T, d) and y (n,).

    Parameters and gradients are tuples of C-contiguous arrays of the dtype of X: c (R, m),
    U (R, m, d), w (R, m). One object must not be used by two threads at once.
    """

    def __init__(
        self, x: Array, y: Array, *, heads: int, runs: int, activation: str, threads: int
    ) -> None:
        samples, tokens, dim = x.shape
        self.dtype = x.dtype
        self._lanes = VECTOR_BYTES // self.dtype.itemsize
        held = chunk_rows(dim)
        chunks = -(-dim // held)
        self._size = Sizes(
            samples,
            tokens,
            dim,
            heads,
            chunks * held,
            chunks,
            ACTIVATIONS.index(activation),
            (2 + chunks * held) * self._lanes,
            max(1, min(MAX_GROUPS, samples * tokens * heads >> 17, -(-samples // BLOCK))),
            float(heads**-0.5),
        )
        self._dims = (0,) * held  # its length is the compile-time constant
        self._shapes = ((runs, heads), (runs, heads, dim), (runs, heads))
        self.runs = runs
        self._team = Team(1 if runs * samples * tokens * heads < SMALL else threads)
        self._buffers: dict[tuple[int, int], tuple[list[Any], Array, Array]] = {}
        self._mse = np.empty(runs)
        self.load(x, None, y)

    def load(self, x: Array, q: Array | None, y: Array) -> None:
        """Replaces the samples by others of the same shape; a recurrence has no query."""
        self._x = padded(x, self._size.rows, self.dtype)
        self._y = np.ascontiguousarray(y, self.dtype)

    def loss_and_gradient(self, params: Params, residual_out: Array, grads: Params) -> Array:
        """Mean squared errors (R,), float64; fills residual_out (R, n) = f - y and grads.

        The returned array is overwritten by the next call.
        """
        size, flat, into = self._size, self._flat(params), self._flat(grads)
        tiles = -(-self.runs * size.heads // self._lanes)
        scratch, packed, partials = self._memory(tiles, size.groups)
        _pack(size, *flat, 0, self.runs * size.heads, packed)
        self._team.share(
            _gradient_groups,
            [
                (self._dims, size, first, self._team.threads, self._x, self._y, packed, self.runs,
                 own, residual_out, partials)
                for first, own in enumerate(scratch)
            ],
        )  # fmt: skip
        sum_groups(partials)
        _unpack(size, partials[0], *into)
        mean_square(residual_out, self._mse)
        return self._mse

    def tangent_sums(self, params: Params, direction: Params, out: Array) -> None:
        """out (R, 4, n), float64: Σ h, Σ ⟨∇h, Δ⟩, Σ ⟨∇h, Δ⟩², Σ ‖∇h‖² over a run's heads."""
        size, flat, moved = self._size, self._flat(params), self._flat(direction)
        out[:] = 0.0
        scratch, _, tiles = self._memory(1, 2 * self._team.threads)
        cuts = self._team.cuts(-(-size.samples // BLOCK))
        self._team.share(
            _tangent_blocks,
            [
                (self._dims, size, *cut, self._x, flat, moved, own, tiles[2 * i], tiles[2 * i + 1],
                 out)
                for i, (own, cut) in enumerate(zip(scratch, cuts, strict=False))
            ],
        )  # fmt: skip

    def held_bytes(self) -> int:
        """Bytes of samples and buffers, as they are once every method used has been called."""
        return nbytes((self._x, self._y, self._buffers, self._mse))

    def _memory(self, tiles: int, partials: int) -> tuple[list[Any], Array, Array]:
        """Per thread (work, features, h, rho); packed parameters; `partials` packed gradients."""
        key = (tiles, partials)
        if key not in self._buffers:
            size, lanes, dtype = self._size, self._lanes, self.dtype
            counts = (2 * AHEAD * size.tokens * lanes, tiles * BLOCK * size.tile)
            per_thread = (*counts, *[tiles * BLOCK * lanes] * 2)
            self._buffers[key] = (
                [tuple(aligned(k, dtype) for k in per_thread) for _ in range(self._team.threads)],
                aligned(tiles * size.tile, dtype),
                aligned(partials * tiles * size.tile, dtype).reshape(partials, -1),
            )
        return self._buffers[key]

    def _flat(self, arrays: Params) -> Params:
        """The caller's arrays, checked, with the heads of all runs in a row."""
        for array, shape in zip(arrays, self._shapes, strict=True):
            if array.shape != shape or array.dtype != self.dtype or not array.flags.c_contiguous:
                raise ValueError(f"expected a C-contiguous {self.dtype} array {shape}")
        return arrays[0].reshape(-1), arrays[1].reshape(-1), arrays[2].reshape(-1)
