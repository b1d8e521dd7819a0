"""Heads side by side in vector lanes: packing, unpacking and sums in a fixed order."""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ntkbound.heads.native.cache import native
from ntkbound.heads.native.tiles import BLOCK
from ntkbound.heads.native.vectors import constant, load, total, width

Array = np.ndarray[Any, np.dtype[Any]]


def aligned(count: int, dtype: np.dtype[Any]) -> Array:
    """A flat zeroed array that starts on a cache line, so that no vector straddles two."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype)


@native
def pack(size, c, u, w, head0, heads, packed):
    """Heads head0.. of the flat parameters into tiles; a fixed query's k is scaled by log2(e)."""
    lanes = width(packed)
    log2e = 1.0 / math.log(2.0)
    for i in range(heads):
        at = (i // lanes) * size.tile + i % lanes
        head = head0 + i
        packed[at] = c[head]
        at += lanes
        for row in range(size.dim):
            packed[at + row * lanes] = u[head * size.dim + row]
        at += size.rows * lanes
        for row in range(size.dim):
            if size.fixed:
                packed[at + row * lanes] = w[head * size.dim + row] * log2e
            else:
                for col in range(size.dim):
                    packed[at + (row * size.rows + col) * lanes] = w[
                        (head * size.dim + row) * size.dim + col
                    ]


@native
def unpack(size, packed, head0, heads, c, u, w):
    """One packed gradient into the flat gradients."""
    lanes = width(c)
    for i in range(heads):
        at = (i // lanes) * size.tile + i % lanes
        head = head0 + i
        c[head] = packed[at]
        at += lanes
        for row in range(size.dim):
            u[head * size.dim + row] = packed[at + row * lanes]
        at += size.rows * lanes
        for row in range(size.dim):
            if size.fixed:
                w[head * size.dim + row] = packed[at + row * lanes]
            else:
                for col in range(size.dim):
                    entry = (row * size.rows + col) * lanes
                    w[(head * size.dim + row) * size.dim + col] = packed[at + entry]


@native
def fill(array, at, count, value):
    for i in range(at, at + count):
        array[i] = value


@native
def add_part(target, term, at, end):
    """target[at:end] += term[at:end]."""
    for i in range(at, end):
        target[i] += term[i]


@native
def sum_groups(partials):
    """partials[0] <- the sum over groups, in order."""
    for group in range(1, partials.shape[0]):
        add_part(partials[0], partials[group], 0, partials.shape[1])


@native
def lane_sum(h, at, count):
    """h[at] + ... in an order that depends on count only."""
    lanes = width(h)
    whole = count // lanes * lanes
    parts = constant(h, 0.0)
    for i in range(0, whole, lanes):
        parts = parts + load(h, at + i)
    value = total(parts)
    for i in range(whole, count):
        value += h[at + i]
    return value


@native(inline="always")
def group_bounds(size, group):
    """First and last sample of a group: whole blocks."""
    blocks = (size.samples + BLOCK - 1) // BLOCK
    begin = group * blocks // size.groups * BLOCK
    return begin, min(size.samples, (group + 1) * blocks // size.groups * BLOCK)
