"""Sums over heads, streamed over a fixed partition into blocks of samples × heads.

Memory stays flat in n·m·T and bits do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ntkbound.machine.parallel import Workers, partition, side_by_side

BLOCK_HEADS = 256
BLOCK_ELEMENTS = 1 << 15  # sample × token × head elements of a block: a few arrays fit in L2

PerHead = Callable[[slice, slice], Tensor]


def sum_heads(per_head: PerHead, n: int, m: int, T: int, workers: Workers) -> Tensor:
    """Σ_i of ``per_head(rows, heads)``, a tensor (..., rows, heads) of any block; (..., n)."""
    heads = partition(m, BLOCK_HEADS)
    rows = partition(n, max(1, BLOCK_ELEMENTS // (T * min(m, BLOCK_HEADS))))

    def one(block: slice) -> Tensor:
        total = per_head(block, heads[0]).sum(-1)
        for more in heads[1:]:
            total += per_head(block, more).sum(-1)
        return total

    return side_by_side(workers.map(one, rows), rows)
