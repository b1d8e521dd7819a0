"""Threads over a fixed partition of the work.

torch itself runs single-threaded (its reductions would otherwise depend on the number of threads);
parallelism comes from independent blocks, whose results are combined in block order. Bits therefore
never depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor

from ntkbound.machine.ranks import ALONE, Ranks
from ntkbound.machine.share import available_cores, cores_per_rank

Item = TypeVar("Item")
Result = TypeVar("Result")


def partition(total: int, size: int) -> list[slice]:
    """0 … total − 1 in consecutive slices of ``size`` (the last may be shorter)."""
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def side_by_side(parts: Iterator[Tensor], blocks: Sequence[slice]) -> Tensor:
    """Parts (..., block) of all ``blocks`` in their order, (..., n).

    Each is copied as it comes: results that lie about leave holes in the memory of a thread.
    """
    first = next(parts)
    whole = first.new_empty(*first.shape[:-1], blocks[-1].stop)
    for block, part in zip(blocks, chain([first], parts), strict=True):
        whole[..., block] = part
    return whole


class Workers:
    """An ordered map over blocks on a fixed number of threads, and the ranks beside this one."""

    def __init__(self, threads: int | None = None, ranks: Ranks = ALONE) -> None:
        self.ranks = ranks
        self.threads = threads or cores_per_rank(available_cores())
        torch.set_num_threads(1)
        torch.set_float32_matmul_precision("highest")  # whatever a GPU or the environment prefers
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of ``items``, whatever the order they finish in."""
        return map(work, items) if self._pool is None else self._pool.map(work, items)
