"""Loss, gradient and tangents of the shallow Transformer as one native CPU kernel (numba).

For head i of a run and sample j, with tokens X_t, query q and the vector k = W_i q (a fixed query
trains k itself):

    s_t = k.X_t,  p = softmax(s),  a = sum_t p_t X_t,  v_t = U_i.X_t,  z = sum_t p_t v_t = U_i.a
    f   = m^{-1/2} sum_i c_i act(z),              loss = mean_j (f_j - y_j)^2,   r_j = f_j - y_j
    dh/dc = act(z),   dh/dU = c act'(z) a,   dh/dW = c act'(z) b q^T,   b = sum_t p_t (v_t - z) X_t

How it is fast. The heads of all runs lie side by side in vector lanes ("head-minor"), a *tile*
being one vector of heads. Per tile and sample three sweeps over the tokens keep everything in
registers: (s, v); the exponentials; (a, b). Neither a nor b depends on the residual, so they are
kept for a block of BLOCK samples until all heads have been seen, and only then weighted with the
residual and added to the gradient: one exponential per
(sample, token, head), one pass over the data.

How it is reproducible. A lane never sees its neighbours, every sum has an order fixed by
(n, T, d, m) alone, and the samples are cut into the same groups whatever the number of threads.
Results are therefore bit-identical for any number of threads and for runs together or one by one.

No libm and no fast-math flags: vector code is emitted explicitly (`vector_op`), with explicit fused
multiply-adds, so that the compiler has no freedom to round differently in two places.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ntkbound.models.native.packing import pack, sum_groups, unpack
from ntkbound.models.native.passes import (
    backward_tiles,
    forward_blocks,
    fused_groups,
    fused_runs,
    mean_square,
)
from ntkbound.models.native.tangents import tangent_blocks
from ntkbound.models.native.tiles import ACTIVATIONS, BLOCK, Sizes
from ntkbound.models.native.vectors import VECTOR_BYTES

# Token coordinates held at a time, in two of the 32 (AVX-512) or 16 vector registers each.
MAX_CHUNK = 8 if VECTOR_BYTES == 64 else 4
BATCH_HEADS = 256  # runs are taken together up to so many heads, which keeps their features in L2
SMALL = 1 << 17  # sample-token-head elements below which a second thread costs more than it gives
PHASE_TOKENS = 128  # tokens a sweep handles before the next sweep starts: scores and values in L1
MAX_GROUPS = 16  # partial gradients per run, and so the most threads one run can use
PARTIAL_BYTES = 16 << 20  # memory for partial gradients; beyond it heads are divided, not samples

Array = np.ndarray[Any, np.dtype[Any]]
Params = tuple[Array, Array, Array]


def aligned(count: int, dtype: np.dtype[Any]) -> Array:
    """A flat zeroed array that starts on a cache line, so that no vector straddles two."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype)


def padded(values: Array, rows: int, dtype: np.dtype[Any], factor: float = 1.0) -> Array:
    """factor·values in a flat array with the last axis filled up with zeros to `rows`.

    The caller's own memory where nothing has to change: the kernels never write to it.
    """
    if factor == 1 and values.shape[-1] == rows and values.dtype == dtype:
        return np.ascontiguousarray(values).reshape(-1)
    out = aligned(values[..., 0].size * rows, dtype)
    view = out.reshape(*values.shape[:-1], rows)[..., : values.shape[-1]]
    # rounded once, and piece by piece: no temporary of that size in float64
    np.multiply(values, np.float64(factor), out=view, dtype=np.float64, casting="unsafe")
    return out


def nbytes(held: Any) -> int:
    """Bytes of all arrays in nested tuples, lists and dictionaries."""
    if isinstance(held, np.ndarray):
        return held.nbytes
    if isinstance(held, dict):
        held = list(held.values())
    return sum(map(nbytes, held)) if isinstance(held, tuple | list) else 0


class _Buffers(NamedTuple):
    """What one thread writes to."""

    scratch: tuple[Array, Array, Array, Array]  # work, features, h, rho
    packed: Array  # parameters of a batch of runs or of one tile
    partials: Array  # packed gradients: a running sum and a group's, or one for every group


class NativeKernel:
    """Mean squared error of R independent runs that share X (n, T, d), q (n, d) or None, y (n,).

    Parameters and gradients are tuples of C-contiguous arrays of `dtype`: c (R, m), U (R, m, d) and
    W (R, m, d, d), or k (R, m, d) for a fixed query (q None). `total_heads` is the m of the factor
    m^{-1/2} when the heads are divided over processes. The same object must not be used by two
    threads at once; different objects may.

    Raises ValueError for an unknown activation or dtype and for arrays of the wrong shape.
    """

    def __init__(
        self,
        x: Array,
        q: Array | None,
        y: Array,
        *,
        heads: int,
        runs: int = 1,
        activation: str = "tanh",
        dtype: Any = np.float32,
        threads: int = 1,
        total_heads: int | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype {self.dtype} is not float32 or float64")
        if (
            x.ndim != 3
            or y.shape != x.shape[:1]
            or (q is not None and q.shape != (len(x), x.shape[2]))
        ):
            raise ValueError("expected X (n, T, d), q (n, d) or None, y (n,)")
        if min(*x.shape, heads, runs, threads) < 1:
            raise ValueError("n, T, d, heads, runs and threads must be at least 1")
        samples, tokens, dim = x.shape
        chunks = -(-dim // MAX_CHUNK)
        chunk_rows = -(-dim // chunks)
        rows = chunks * chunk_rows
        even = rows + rows % 2
        self._lanes = VECTOR_BYTES // self.dtype.itemsize
        tile = self._lanes * (1 + rows + (rows if q is None else even * rows))
        packed = -(-heads // self._lanes) * tile
        feature_bytes = -(-heads // self._lanes) * BLOCK * (2 + rows + even) * VECTOR_BYTES
        groups = min(MAX_GROUPS, samples * tokens * heads >> 17, -(-samples // BLOCK))
        # all of this depends on one run's sizes only, or results would depend on what else runs
        affordable = PARTIAL_BYTES // (packed * self.dtype.itemsize)
        self._two_pass = min(groups, 4) > affordable or feature_bytes > PARTIAL_BYTES // 2
        if not self._two_pass:
            groups = min(groups, affordable)
        self._size = Sizes(
            samples,
            tokens,
            dim,
            heads,
            rows,
            chunks,
            even,
            q is None,
            ACTIVATIONS.index(activation),
            tile,
            max(1, min(BLOCK, PHASE_TOKENS // tokens)),
            max(1, groups),
            float((total_heads or heads) ** -0.5),
        )
        self._dims = (0,) * chunk_rows  # its length is the compile-time constant
        self.load(x, q, y)
        self.runs = runs
        query = () if q is None else (dim,)
        self._shapes = ((runs, heads), (runs, heads, dim), (runs, heads, dim, *query))
        self._batch = max(1, min(runs, BATCH_HEADS // heads))
        self._workers = 1 if runs * samples * tokens * heads < SMALL else threads
        self._pool = ThreadPoolExecutor(self._workers - 1) if self._workers > 1 else None
        self._by_runs = -(-runs // self._batch) >= self._workers
        self._cache: dict[tuple[int, int, int], list[_Buffers]] = {}
        self._group_partials: Array | None = None
        self._mse = np.empty(runs)
        self._given: tuple[Any, ...] = ()  # what the jobs below were made for
        self._jobs: list[tuple[Any, ...]] = []

    def load(self, x: Array, q: Array | None, y: Array) -> None:
        """Replaces the samples by others of the same shape; q is ignored for a fixed query."""
        size = self._size
        queries = np.zeros((1, size.dim)) if size.fixed or q is None else q
        self._data = (
            padded(x, size.rows, self.dtype),
            padded(queries, size.rows, self.dtype),
            padded(queries, size.rows, self.dtype, 1.0 / math.log(2.0)),
            np.ascontiguousarray(y, self.dtype),
        )

    def _buffers(self, tiles: int, kept: int, partials: int) -> list[_Buffers]:
        """One set per thread: h of `tiles` tiles, features of `kept`, so many partial gradients."""
        key = (tiles, kept, partials)
        if key not in self._cache:
            size, lanes = self._size, self._lanes
            work = (BLOCK * size.even + 2 * size.ahead * (size.tokens + 1)) * lanes
            features = max(1, kept * BLOCK) * (2 + size.rows + size.even) * lanes
            self._cache[key] = [
                _Buffers(
                    tuple(
                        aligned(n, self.dtype)
                        for n in (work, features, *[tiles * BLOCK * lanes] * 2)
                    ),  # type: ignore[arg-type]
                    aligned(tiles * size.tile, self.dtype),
                    aligned(partials * max(1, kept) * size.tile, self.dtype).reshape(partials, -1),
                )
                for _ in range(self._workers)
            ]
        return self._cache[key]

    def held_bytes(self) -> int:
        """Bytes of samples and buffers, as they are once every method used has been called."""
        return nbytes((self._data, self._cache, self._group_partials, self._mse))

    def _shared_partials(self, tiles: int) -> Array:
        if self._group_partials is None:
            count = self._size.groups * tiles * self._size.tile
            self._group_partials = aligned(count, self.dtype).reshape(self._size.groups, -1)
        return self._group_partials

    def _tiles(self, heads: int) -> int:
        return int(-(-heads // self._lanes))

    def _share(self, function: Any, jobs: list[tuple[Any, ...]]) -> None:
        """Run the jobs, one per thread, the first one here. The kernels release the GIL."""
        if self._pool is None:
            for job in jobs:
                function(*job)
            return
        futures = [self._pool.submit(function, *job) for job in jobs[1:]]
        function(*jobs[0])
        for future in futures:
            future.result()

    def _flat(self, arrays: Params) -> Params:
        """Check the caller's arrays and view them flat: heads of all runs in a row."""
        for array, shape in zip(arrays, self._shapes, strict=True):
            self._check(array, shape)
        return arrays[0].reshape(-1), arrays[1].reshape(-1), arrays[2].reshape(-1)

    def _check(self, array: Array, shape: tuple[int, ...]) -> None:
        if array.shape != shape or array.dtype != self.dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"expected a C-contiguous {self.dtype} array {shape}, "
                f"got {array.dtype} {array.shape}"
            )

    def _cuts(self, count: int) -> list[tuple[int, int]]:
        """Contiguous ranges of 0..count, one per thread."""
        edges = [count * i // self._workers for i in range(self._workers + 1)]
        return [(a, b) for a, b in itertools.pairwise(edges) if a < b]

    def forward(self, params: Params, out: Array) -> None:
        """out (R, n) = total_heads^{-1/2} sum over the heads held here of c act(z)."""
        size, batch, flat = self._size, self._batch, self._flat(params)
        self._check(out, (self.runs, size.samples))
        buffers = self._buffers(self._tiles(batch * size.heads), 0, 1)
        packed = buffers[0].packed
        for run0 in range(0, self.runs, batch):
            runs = min(batch, self.runs - run0)
            pack(size, *flat, run0 * size.heads, runs * size.heads, packed)
            self._share(
                forward_blocks,
                [
                    (
                        self._dims,
                        size,
                        first,
                        last,
                        self._data,
                        packed,
                        run0,
                        runs,
                        own.scratch,
                        out,
                    )
                    for own, (first, last) in zip(
                        buffers, self._cuts(-(-size.samples // BLOCK)), strict=False
                    )
                ],
            )

    def backward(self, params: Params, residual: Array, grads: Params) -> None:
        """grads = (2/n) sum_j residual_j total_heads^{-1/2} dh_j/dtheta; recomputes the forward."""
        size, flat, flat_grads = self._size, self._flat(params), self._flat(grads)
        self._check(residual, (self.runs, size.samples))
        cuts = self._cuts(self._tiles(self.runs * size.heads))
        self._share(
            backward_tiles,
            [
                (
                    self._dims,
                    size,
                    first,
                    last,
                    self._data,
                    flat,
                    own.scratch,
                    residual,
                    own.packed,
                    own.partials,
                    flat_grads,
                )
                for own, (first, last) in zip(self._buffers(1, 1, 2), cuts, strict=False)
            ],
        )

    def loss_and_gradient(self, params: Params, residual_out: Array, grads: Params) -> Array:
        """Mean squared errors (R,), float64; fills residual_out (R, n) = f - y and grads.

        All heads must be held here. The returned array is overwritten by the next call.
        """
        if self._two_pass:
            self._in_two_passes(params, residual_out, grads)
        elif self._by_runs:
            self._share(fused_runs, self._jobs_by_runs(params, residual_out, grads))
        else:
            self._by_groups(params, residual_out, grads)
        mean_square(residual_out, self._mse)
        return self._mse

    def _in_two_passes(self, params: Params, residual: Array, grads: Params) -> None:
        self.forward(params, residual)
        residual -= self._data[3]
        self.backward(params, residual, grads)

    def _jobs_by_runs(
        self, params: Params, residual: Array, grads: Params
    ) -> list[tuple[Any, ...]]:
        """Whole runs to every thread.

        A descent passes the same tuples at every step: their arrays are checked and laid out once.
        """
        given = (params, residual, grads, self._data)
        if any(a is not b for a, b in itertools.zip_longest(given, self._given)):
            flat, flat_grads, batch = self._flat(params), self._flat(grads), self._batch
            self._check(residual, (self.runs, self._size.samples))
            tiles = self._tiles(batch * self._size.heads)
            cuts = self._cuts(-(-self.runs // batch))
            self._jobs = [
                (
                    self._dims,
                    self._size,
                    first * batch,
                    min(last * batch, self.runs),
                    batch,
                    self._data,
                    flat,
                    own.packed,
                    own.scratch,
                    residual,
                    own.partials,
                    flat_grads,
                )
                for own, (first, last) in zip(self._buffers(tiles, tiles, 2), cuts, strict=False)
            ]
            self._given = given
        return self._jobs

    def _by_groups(self, params: Params, residual: Array, grads: Params) -> None:
        """Groups of samples to every thread, a batch of runs at a time."""
        size, batch = self._size, self._batch
        flat, flat_grads = self._flat(params), self._flat(grads)
        self._check(residual, (self.runs, size.samples))
        tiles = self._tiles(batch * size.heads)
        buffers = self._buffers(tiles, tiles, 1)
        packed, partials = buffers[0].packed, self._shared_partials(tiles)
        for run0 in range(0, self.runs, batch):
            runs = min(batch, self.runs - run0)
            pack(size, *flat, run0 * size.heads, runs * size.heads, packed)
            self._share(
                fused_groups,
                [
                    (
                        self._dims,
                        size,
                        first,
                        self._workers,
                        self._data,
                        packed,
                        run0,
                        runs,
                        own.scratch,
                        residual,
                        partials,
                    )
                    for first, own in enumerate(buffers)
                ],
            )
            sum_groups(partials)
            unpack(size, partials[0], run0 * size.heads, runs * size.heads, *flat_grads)

    def tangent_sums(self, params: Params, direction: Params, out: Array) -> None:
        """out (4, n), float64: Σ h, Σ ⟨∇h, Δ⟩, Σ ⟨∇h, Δ⟩², Σ ‖∇h‖² over the heads held here.

        Plain sums, without the factor m^{-1/2}; for one run.
        """
        size, flat, moved = self._size, self._flat(params), self._flat(direction)
        if out.shape != (4, size.samples) or out.dtype != np.float64 or self.runs != 1:
            raise ValueError("expected one run and a float64 array (4, n)")
        out[:] = 0.0
        cuts = self._cuts(-(-size.samples // BLOCK))
        self._share(
            tangent_blocks,
            [
                (
                    self._dims,
                    size,
                    first,
                    last,
                    self._data,
                    flat,
                    moved,
                    own.scratch,
                    own.packed,
                    own.partials[0],
                    out,
                )
                for own, (first, last) in zip(self._buffers(1, 1, 1), cuts, strict=False)
            ],
        )
