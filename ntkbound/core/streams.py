"""Random streams that depend on what is drawn, never on how much or where.

Every draw comes from a NumPy Philox generator keyed by ``(seed, purpose)`` with the index of a
fixed-size chunk in its counter. Row ``i`` of a stream is therefore the same whatever the number of
rows asked for, the device, the shard or the torch version: row ``i`` of 64 is row ``i`` of 4096.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

CHUNK = 256  # rows drawn together

Draw = Callable[[np.random.Generator, int], np.ndarray]


def generator(seed: int, purpose: str, chunk: int = 0) -> np.random.Generator:
    """The generator of chunk ``chunk`` of the stream ``(seed, purpose)``."""
    word = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    key = np.array([seed, word], dtype=np.uint64)
    # The chunk sits in a high word of the 256-bit counter: chunks are 2^128 draws apart.
    counter = np.array([0, 0, chunk, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def rows(
    seed: int, purpose: str, start: int, stop: int, draw: Draw, chunk: int = CHUNK
) -> np.ndarray:
    """Rows ``start … stop − 1`` of a stream whose chunks are ``draw(generator, chunk)``.

    Large rows have smaller chunks, so that a few of them do not cost many. The size of a chunk is
    part of the stream's definition: it is never changed.
    """
    first, last = start // chunk, -(-stop // chunk)
    chunks = [draw(generator(seed, purpose, k), chunk) for k in range(first, last)]
    whole = np.concatenate(chunks) if chunks else draw(generator(seed, purpose), chunk)[:0]
    return whole[start - first * chunk : stop - first * chunk]
