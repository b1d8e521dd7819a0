"""The threads of one step: a leader, and helpers that stay awake between steps.

Waking a thread takes 50 µs and more, of steps of a millisecond. So a helper that has done its share
waits awake for more, up to PATIENCE, and only then sleeps. The leader never waits for a helper but
for what that has begun: whoever is awake takes part, at any moment, and the bits of the result do
not depend on who did what.

A step is three phases for every batch of runs, each opened when the one before is done: lay the
parameters out, part by part; sum the gradients of the samples, group by group; add up the groups,
part by part. All threads claim the items of the open phase one after the other.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
from numba import types

from ntkbound.heads.native.atomics import fetch_add, pause, read, replace, write
from ntkbound.heads.native.cache import native
from ntkbound.heads.native.packing import add_part, aligned, pack, unpack
from ntkbound.heads.native.passes import fused_group
from ntkbound.heads.native.vectors import width

# Flags, each on cache lines of its own: the open phase and its next item, how many items of it are
# done, and the state of every helper.
LINE = 16
OPEN, DONE, HELPERS = 0, LINE, 2 * LINE
# OPEN is ITEMS · phase + item. Between steps it is CLOSED: no phase has so many items, and claims
# that come late, at most one of every thread, leave it closed.
ITEMS = 1 << 20
CLOSED = ITEMS // 2
# A helper that was called but has not begun is in the state CALLED + k, k telling calls apart: one
# that is no longer wanted when it begins sees it, and nobody waits for a thread that may not come.
ASLEEP, AWAKE, LEAVING, CALLED = range(4)
PACK, SUM, ADD, PHASES = range(4)  # of one batch of runs
PARTS = 8  # of the tiles, when they are packed or added up

# In pauses of 10 to 50 ns, and after STUBBORN of them in yields of 0.2 to 1 µs.
STUBBORN = 1_000  # before a core is left to whoever else wants it
PATIENCE = 4_000  # of a helper, for more to do

_yield = types.ExternalFunction("sched_yield", types.int32())
_CAN_YIELD = os.name == "posix"


@native
def _wait(spins):
    if _CAN_YIELD and spins > STUBBORN:
        _yield()
    else:
        pause()


@native
def _batch_of(step, phase):
    """First run, runs and tiles of a phase's batch."""
    size, runs, batch, packed = step[1], step[2], step[3], step[6]
    run0 = phase // PHASES * batch
    count = min(batch, runs - run0)
    lanes = width(packed)
    return run0, count, (count * size.heads + lanes - 1) // lanes


@native
def _items(step, phase):
    return step[1].groups if phase % PHASES == SUM else min(PARTS, _batch_of(step, phase)[2])


@native(inline="always")
def _do(step, scratch, phase, item):
    dims, size, _, _, data, params, packed, partials, residual, grads = step
    run0, count, tiles = _batch_of(step, phase)
    if phase % PHASES == SUM:
        fused_group(dims, size, item, data, packed, run0, count, scratch, residual, partials[item])
        return
    parts, lanes = _items(step, phase), width(packed)
    first, last = item * tiles // parts, (item + 1) * tiles // parts
    begin, end = first * size.tile, last * size.tile
    head0 = run0 * size.heads + first * lanes
    heads = min(count * size.heads, last * lanes) - first * lanes
    if phase % PHASES == PACK:
        pack(size, params[0], params[1], params[2], head0, heads, packed[begin:end])
    else:
        for group in range(1, size.groups):
            add_part(partials[0], partials[group], begin, end)
        total = partials[0][begin:end]
        unpack(size, total, head0, heads, grads[0], grads[1], grads[2])


@native
def take_part(flags, me, call, step, scratch):
    """Thread `me`: 0 leads one step, others help until they sleep.

    `call` is the state in which a helper was called; to the leader, how many helpers must not be
    asleep. Returns whether the leader has taken the step: it does not where one of them is.
    """
    state, phase, spins = HELPERS + (me - 1) * LINE, -1, 0
    if me > 0 and not replace(flags, state, call, AWAKE):
        return False  # no longer wanted
    if me == 0:
        for helper in range(call):
            if read(flags, HELPERS + helper * LINE) == ASLEEP:
                return False
    while True:
        seen = read(flags, OPEN)
        if seen % ITEMS < _items(step, seen // ITEMS):
            claimed = fetch_add(flags, OPEN, 1)  # perhaps of the next phase, or none
            if claimed % ITEMS < _items(step, claimed // ITEMS):
                _do(step, scratch, claimed // ITEMS, claimed % ITEMS)
                fetch_add(flags, DONE, 1)
                spins = 0
        elif me > 0:
            if read(flags, state) == LEAVING:
                write(flags, state, ASLEEP)
                return False
            if spins > PATIENCE and replace(flags, state, AWAKE, ASLEEP):
                return False
            _wait(spins)
            spins += 1
        elif phase >= 0 and read(flags, DONE) < _items(step, phase):
            _wait(spins)
            spins += 1
        else:
            phase, spins = phase + 1, 0
            runs, batch = step[2], step[3]
            if phase // PHASES * batch >= runs:
                write(flags, OPEN, CLOSED)
                return True
            write(flags, DONE, 0)
            write(flags, OPEN, phase * ITEMS)


@native
def send_away(flags, helpers):
    """Returns when every helper is asleep; one that has not begun never will."""
    for helper in range(helpers):
        at, spins = HELPERS + helper * LINE, 0
        now = read(flags, at)
        while now != ASLEEP:
            if now != LEAVING:
                replace(flags, at, now, LEAVING if now == AWAKE else ASLEEP)
            _wait(spins)
            spins += 1
            now = read(flags, at)


class Team:
    """Threads for a kernel: the calling one, which leads, and `threads` − 1 helpers."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._flags = aligned(HELPERS + LINE * threads, np.dtype(np.int64))
        self._flags[OPEN] = CLOSED
        self._calls = itertools.count(CALLED)
        self._called: dict[int, Future[Any]] = {}  # helper → its last call
        self._step: Any = None

    def take(self, step: tuple[Any, ...], scratch: Sequence[Any]) -> None:
        """One step on all threads; cheapest if `step` is the very tuple of the last call."""
        if step is not self._step:
            self.dismiss()
            self._step = step
        helpers = min(self.threads, step[1].groups) - 1  # more would find nothing to do
        for awaited in (helpers, 0):  # one may have fallen asleep since: it is called once more
            for me in range(1, helpers + 1):
                if self._flags[HELPERS + (me - 1) * LINE] == ASLEEP:
                    self._call(me, step, scratch[me])
            if take_part(self._flags, 0, awaited, step, scratch[0]):
                return

    def _call(self, me: int, step: tuple[Any, ...], scratch: Any) -> None:
        assert self._pool is not None
        before = self._called.pop(me, None)
        if before is not None and before.done():
            before.result()  # raises what that call raised
        call = next(self._calls)
        self._flags[HELPERS + (me - 1) * LINE] = call
        self._called[me] = self._pool.submit(take_part, self._flags, me, call, step, scratch)

    def dismiss(self) -> None:
        """Until the next step nobody touches what the last one was about."""
        send_away(self._flags, self.threads - 1)

    def share(self, function: Any, jobs: list[tuple[Any, ...]]) -> None:
        """Runs the jobs, one per thread, the first one here. The kernels release the GIL."""
        if self._pool is None:
            for job in jobs:
                function(*job)
            return
        self.dismiss()
        futures: list[Future[Any]] = []
        try:
            for job in jobs[1:]:
                futures.append(self._pool.submit(function, *job))
            function(*jobs[0])
        finally:
            wait(futures)  # whatever happened here, nobody goes on writing
        for future in futures:
            future.result()

    def cuts(self, count: int) -> list[tuple[int, int]]:
        """Contiguous ranges of 0..count, one per thread."""
        edges = [count * i // self.threads for i in range(self.threads + 1)]
        return [(a, b) for a, b in itertools.pairwise(edges) if a < b]
