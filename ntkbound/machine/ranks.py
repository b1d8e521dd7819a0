"""Processes that share the rows of one run, as ``torchrun`` starts them.

What is dealt are the rows of the parameters, in pairs: row i and its mirror m/2 + i. Of m rows,
rank r of K has the m/2K pairs from r·m/2K on. Whatever is a sum over rows is summed over ranks; all
else follows from these sums alone, so every rank takes the same decisions, and rank 0 writes the
record.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ntkbound.core.errors import InputError, RankLostError
from ntkbound.machine.share import started_by_torchrun


class Ranks:
    """One process that holds all rows: every sum is complete as it is."""

    index, count = 0, 1

    def sum_(self, values: Tensor) -> Tensor:
        """Adds up ``values`` over all ranks, in place."""
        return values

    def max_(self, values: Tensor) -> Tensor:
        """The largest over all ranks, in place."""
        return values

    def share_(self, values: Tensor) -> Tensor:
        """What rank 0 has, on every rank, in place."""
        return values

    def gather(self, values: Tensor) -> Tensor:
        """(rows held here, …) of every rank as one process would hold them, (m, …)."""
        return values

    def join(self, values: Tensor) -> Tensor:
        """The last axis of every rank's values (same shape on all) side by side."""
        return values

    def total(self, held: int) -> int:
        """m, of which ``held`` rows are held here."""
        return held * self.count

    def pairs(self, m: int) -> slice:
        """The pairs, out of m/2, that are held here.

        Raises InputError unless the pairs can be dealt evenly.
        """
        if m // 2 % self.count:
            raise InputError(f"{m // 2} pairs cannot be dealt evenly to {self.count} ranks")
        each = m // 2 // self.count
        return slice(self.index * each, (self.index + 1) * each)

    def held(self, part: slice, count: int) -> list[slice]:
        """The rows ``part`` of the ``count`` held here, by their indices among all m."""
        m, half = self.total(count), count // 2
        first = self.pairs(m).start
        shifts = ((0, half, first), (half, count, m // 2 + first - half))
        cuts = [(max(part.start, a), min(part.stop, b), shift) for a, b, shift in shifts]
        return [slice(a + shift, b + shift) for a, b, shift in cuts if a < b]


ALONE = Ranks()


class ProcessGroup(Ranks):
    """The ranks of a ``torch.distributed`` process group (gloo for the CPU, nccl for GPUs)."""

    def __init__(self, device: str) -> None:
        import torch.distributed as dist

        self._group = dist
        if device == "cuda":
            local, present = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
            if local >= present:
                told = f"'cuda' needs a GPU for every rank, and here are {present}"
                raise InputError(told, field="device")
            torch.cuda.set_device(local)
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
        self.index, self.count = dist.get_rank(), dist.get_world_size()

    def _collective(self, operation: Callable[[], object]) -> None:
        try:
            operation()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # gloo and nccl have no type of their own for a lost peer
            reason = str(error).splitlines()[0]
            raise RankLostError(f"another rank was lost ({reason})") from None

    def sum_(self, values: Tensor) -> Tensor:
        self._collective(lambda: self._group.all_reduce(values))
        return values

    def max_(self, values: Tensor) -> Tensor:
        largest = self._group.ReduceOp.MAX
        self._collective(lambda: self._group.all_reduce(values, op=largest))
        return values

    def share_(self, values: Tensor) -> Tensor:
        self._collective(lambda: self._group.broadcast(values, src=0))
        return values

    def gather(self, values: Tensor) -> Tensor:
        halves = [part.chunk(2) for part in self._all(values)]
        return torch.cat([half[side] for side in (0, 1) for half in halves])

    def join(self, values: Tensor) -> Tensor:
        return torch.cat(self._all(values), dim=-1)

    def _all(self, values: Tensor) -> list[Tensor]:
        own = values.contiguous()
        parts = [torch.empty_like(own) for _ in range(self.count)]
        self._collective(lambda: self._group.all_gather(parts, own))
        return parts

    def close(self) -> None:
        self._group.destroy_process_group()


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The ranks that torchrun started, for as long as they are needed; else this process alone."""
    if not started_by_torchrun():
        yield ALONE
        return
    group = ProcessGroup(device)
    try:
        yield group
    finally:
        group.close()
