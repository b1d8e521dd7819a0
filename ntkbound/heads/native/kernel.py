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
from typing import Any

import numpy as np

from ntkbound.heads.native.packing import Array, aligned, pack
from ntkbound.heads.native.passes import (
    backward_tiles,
    forward_blocks,
    mean_square,
)
from ntkbound.heads.native.tangents import tangent_blocks
from ntkbound.heads.native.team import Team
from ntkbound.heads.native.tiles import ACTIVATIONS, BLOCK, Sizes
from ntkbound.heads.native.vectors import VECTOR_BYTES

# Token coordinates held at a time, in two of the 32 (AVX-512) or 16 vector registers each.
MAX_CHUNK = 8 if VECTOR_BYTES == 64 else 4
BATCH_HEADS = 256  # runs are taken together up to so many heads, which keeps their features in L2
SMALL = 1 << 17  # sample-token-head elements below which a second thread costs more than it gives
PHASE_TOKENS = 128  # tokens a sweep handles before the next sweep starts: scores and values in L1
MAX_GROUPS = 16  # partial gradients per run, and so the most threads one run can use
GROUP_TOKENS = 28  # per parameter of a head: fewer, and a group's gradient moves too much memory
PARTIAL_BYTES = 16 << 20  # memory for partial gradients; beyond it heads are divided, not samples

Params = tuple[Array, Array, Array]


def chunk_rows(dim: int) -> int:
    """Coordinates held at a time: as few chunks as fit, as equal as can be."""
    return -(-dim // -(-dim // MAX_CHUNK))


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


Scratch = tuple[Array, Array, Array, Array]  # of one thread: work, features, h, rho


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
        held = chunk_rows(dim)
        chunks = -(-dim // held)
        rows = chunks * held
        even = rows + rows % 2
        self._lanes = VECTOR_BYTES // self.dtype.itemsize
        tile = self._lanes * (1 + rows + (rows if q is None else even * rows))
        packed = -(-heads // self._lanes) * tile
        feature_bytes = -(-heads // self._lanes) * BLOCK * (2 + rows + even) * VECTOR_BYTES
        worthwhile = samples * tokens // (GROUP_TOKENS * (tile // self._lanes))
        groups = min(MAX_GROUPS, worthwhile, samples * tokens * heads >> 17)
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
        self._dims = (0,) * held  # its length is the compile-time constant
        self.load(x, q, y)
        self.runs = runs
        query = () if q is None else (dim,)
        self._shapes = ((runs, heads), (runs, heads, dim), (runs, heads, dim, *query))
        self._batch = max(1, min(runs, BATCH_HEADS // heads))
        self._step_tiles = self._tiles(self._batch * heads)
        self._team = Team(1 if runs * samples * tokens * heads < SMALL else threads)
        self._scratches: dict[tuple[int, int], list[Scratch]] = {}
        self._packs: dict[str, Array] = {}
        self._mse = np.empty(runs)
        self._laid: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), ())

    def load(self, x: Array, q: Array | None, y: Array) -> None:
        """Replaces the samples by others of the same shape; q is ignored for a fixed query.

        Raises ValueError for another shape.
        """
        size = self._size
        if x.shape != (size.samples, size.tokens, size.dim) or y.shape != x.shape[:1]:
            raise ValueError(f"expected {size.samples} samples of {size.tokens} × {size.dim}")
        queries = np.zeros((1, size.dim)) if size.fixed or q is None else q
        self._data = (
            padded(x, size.rows, self.dtype),
            padded(queries, size.rows, self.dtype),
            padded(queries, size.rows, self.dtype, 1.0 / math.log(2.0)),
            np.ascontiguousarray(y, self.dtype),
        )

    def _scratch(self, tiles: int, kept: int) -> list[Scratch]:
        """For every thread: h and rho of `tiles` tiles, features of `kept`."""
        if (tiles, kept) not in self._scratches:
            size, lanes = self._size, self._lanes
            work = (BLOCK * size.even + 2 * size.ahead * (size.tokens + 1)) * lanes
            features = max(1, kept * BLOCK) * (2 + size.rows + size.even) * lanes

            def one() -> Scratch:
                work_, kept_ = aligned(work, self.dtype), aligned(features, self.dtype)
                h, rho = (aligned(tiles * BLOCK * lanes, self.dtype) for _ in range(2))
                return work_, kept_, h, rho

            self._scratches[tiles, kept] = [one() for _ in range(self._team.threads)]
        return self._scratches[tiles, kept]

    def _packed(self, purpose: str, rows: int, tiles: int) -> Array:
        """Packed parameters or gradients of `tiles` tiles, (rows, ...): always the same ones."""
        if purpose not in self._packs:
            count = rows * tiles * self._size.tile
            self._packs[purpose] = aligned(count, self.dtype).reshape(rows, -1)
        return self._packs[purpose]

    def _own(self) -> list[tuple[Scratch, Array]]:
        """For every thread that works tile by tile: scratch, and three packed tiles."""
        threads = self._team.threads
        packs = self._packed("own", 3 * threads, 1).reshape(threads, 3, -1)
        return list(zip(self._scratch(1, 1), packs, strict=True))

    def held_bytes(self) -> int:
        """Bytes of samples and buffers, as they are once every method used has been called."""
        return nbytes((self._data, self._scratches, self._packs, self._mse))

    def _tiles(self, heads: int) -> int:
        return int(-(-heads // self._lanes))

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

    def forward(self, params: Params, out: Array) -> None:
        """out (R, n) = total_heads^{-1/2} sum over the heads held here of c act(z)."""
        size, batch, flat = self._size, self._batch, self._flat(params)
        self._check(out, (self.runs, size.samples))
        tiles = self._step_tiles
        scratch, packed = self._scratch(tiles, 0), self._packed("forward", 1, tiles)[0]
        for run0 in range(0, self.runs, batch):
            runs = min(batch, self.runs - run0)
            pack(size, *flat, run0 * size.heads, runs * size.heads, packed)
            self._team.share(
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
                        own,
                        out,
                    )
                    for own, (first, last) in zip(
                        scratch, self._team.cuts(-(-size.samples // BLOCK)), strict=False
                    )
                ],
            )

    def backward(self, params: Params, residual: Array, grads: Params) -> None:
        """grads = (2/n) sum_j residual_j total_heads^{-1/2} dh_j/dtheta; recomputes the forward."""
        size, flat, flat_grads = self._size, self._flat(params), self._flat(grads)
        self._check(residual, (self.runs, size.samples))
        cuts = self._team.cuts(self._tiles(self.runs * size.heads))
        self._team.share(
            backward_tiles,
            [
                (
                    self._dims,
                    size,
                    first,
                    last,
                    self._data,
                    flat,
                    scratch,
                    residual,
                    packs[0],
                    packs[1:],
                    flat_grads,
                )
                for (scratch, packs), (first, last) in zip(self._own(), cuts, strict=False)
            ],
        )

    def loss_and_gradient(self, params: Params, residual_out: Array, grads: Params) -> Array:
        """Mean squared errors (R,), float64; fills residual_out (R, n) = f - y and grads.

        All heads must be held here. The returned array is overwritten by the next call.
        """
        if self._two_pass:
            self._in_two_passes(params, residual_out, grads)
        else:
            tiles = self._step_tiles
            step = self._laid_out(params, residual_out, grads)
            self._team.take(step, self._scratch(tiles, tiles))
        mean_square(residual_out, self._mse)
        return self._mse

    def _in_two_passes(self, params: Params, residual: Array, grads: Params) -> None:
        self.forward(params, residual)
        residual -= self._data[3]
        self.backward(params, residual, grads)

    def _laid_out(self, params: Params, residual: Array, grads: Params) -> tuple[Any, ...]:
        """The arguments of a step, checked and laid out.

        A descent passes the same tuples every time: the same tuple is returned then.
        """
        given = (params, residual, grads, self._data)
        last, step = self._laid
        if any(a is not b for a, b in itertools.zip_longest(given, last)):
            self._check(residual, (self.runs, self._size.samples))
            packs = self._packed("step", 1 + self._size.groups, self._step_tiles)
            step = (
                self._dims,
                self._size,
                self.runs,
                self._batch,
                self._data,
                self._flat(params),
                packs[0],
                packs[1:],
                residual,
                self._flat(grads),
            )
            self._laid = given, step
        return step

    def tangent_sums(self, params: Params, direction: Params, out: Array) -> None:
        """out (R, 4, n), float64: Σ h, Σ ⟨∇h, Δ⟩, Σ ⟨∇h, Δ⟩², Σ ‖∇h‖² over the heads held here.

        Plain sums, without the factor m^{-1/2}.
        """
        size, flat, moved = self._size, self._flat(params), self._flat(direction)
        if out.shape != (self.runs, 4, size.samples) or out.dtype != np.float64:
            raise ValueError(f"expected a float64 array ({self.runs}, 4, {size.samples})")
        out[:] = 0.0
        cuts = self._team.cuts(-(-size.samples // BLOCK))
        self._team.share(
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
                    scratch,
                    packs[0],
                    packs[1],
                    out,
                )
                for (scratch, packs), (first, last) in zip(self._own(), cuts, strict=False)
            ],
        )
