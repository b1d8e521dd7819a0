"""Threads that share the work of a kernel.

A step of descent lasts milliseconds or less, and waking a sleeping thread can last as long, above
all on a virtual machine. So what is done again and again is cut into pieces that are claimed from
an atomic counter: whoever is awake works, and a helper that finds nothing looks again for about a
millisecond before it sleeps. Which thread does which piece never shows in the result.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc,call-arg"

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.extending import intrinsic

from ntkbound.models.native.tiles import KERNEL

# Places on a board, each on a cache line of its own: the next piece, pieces done, pieces in all,
# and what else this round is about.
_NEXT, _DONE, _COUNT, ROUND = 0, 8, 16, 24
_PATIENCE = 1 << 20  # looks at the board, about a nanosecond each, before a helper sleeps

Job = tuple[Any, ...]


def _place(context, builder, kind, board, at):
    data = context.make_array(kind)(context, builder, board).data
    return builder.gep(data, [at])


@intrinsic
def _read(typing_context, board, at):
    """board[at], as the last writer of any thread left it."""

    def codegen(context, builder, signature, args):
        place = _place(context, builder, signature.args[0], *args)
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(board, types.int64), codegen


@intrinsic
def _write(typing_context, board, at, value):
    """board[at] = value, seen by every thread after everything written before it."""

    def codegen(context, builder, signature, args):
        place = _place(context, builder, signature.args[0], *args[:2])
        builder.store_atomic(args[2], place, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(board, types.int64, types.int64), codegen


@intrinsic
def _add_one(typing_context, board, at):
    """board[at] += 1 in one piece; returns what it was."""

    def codegen(context, builder, signature, args):
        place = _place(context, builder, signature.args[0], *args)
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(board, types.int64), codegen


@njit(**KERNEL)
def claim(board, patience):
    """A piece nobody has, or −1 when there was none for so many looks."""
    count = board[_COUNT]
    for _ in range(patience):
        if _read(board, _NEXT) < count:
            piece = _add_one(board, _NEXT)
            if piece < count:
                return piece
    return -1


@njit(**KERNEL)
def done(board):
    """One claimed piece is finished."""
    _add_one(board, _DONE)


@njit(**KERNEL)
def _open(board):
    _write(board, _DONE, 0)
    _write(board, _NEXT, 0)


@njit(**KERNEL)
def _all_done(board, looks):
    for _ in range(looks):  # noqa: SIM110 - numba compiles no generator expressions
        if _read(board, _DONE) == board[_COUNT]:
            return True
    return False


class Crew:
    """A fixed number of threads: this one and helpers. The kernels release the GIL."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def share(self, function: Any, jobs: Sequence[Job]) -> None:
        """``function(*job)`` for every job, one per thread, the first one here."""
        futures = [self.start(function, job) for job in jobs[1:]]
        function(*jobs[0])
        for future in futures:
            future.result()

    def start(self, function: Any, job: Job) -> Future[None]:
        """The job on a helper."""
        if self._pool is None:
            raise ValueError("a crew of one thread has no helpers")
        return self._pool.submit(function, *job)


class Rounds:
    """The same pieces of work, round after round, on arrays that stay where they are.

    ``function(board, patience, *job)`` works off the pieces it can ``claim``, and says ``done``
    after each; there is one job per thread.
    """

    def __init__(self, crew: Crew, function: Any, pieces: int, jobs: Sequence[Job]) -> None:
        self._crew, self._function, self._jobs = crew, function, jobs
        self._board = np.zeros(ROUND + 8, dtype=np.int64)
        self._board[[_NEXT, _COUNT]] = pieces
        self._helpers: list[Future[None]] = []

    def run(self, *about: int) -> None:
        """One round; ``about`` is what ``function`` finds on the board from ``ROUND`` on."""
        self._board[ROUND : ROUND + len(about)] = about
        _open(self._board)
        self._wake()
        self._function(self._board, 1, *self._jobs[0])
        while not _all_done(self._board, 1 << 12):
            os.sched_yield()
            self._wake()

    def _wake(self) -> None:
        """Sends those helpers out again that went to sleep."""
        if len(self._jobs) == 1:
            return
        if not self._helpers:
            self._helpers = [self._send(job) for job in self._jobs[1:]]
            return
        for i, helper in enumerate(self._helpers):
            if helper.done():
                helper.result()  # an error of the last round must not pass unseen
                self._helpers[i] = self._send(self._jobs[i + 1])

    def _send(self, job: Job) -> Future[None]:
        return self._crew.start(self._function, (self._board, _PATIENCE, *job))
