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
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import types

from ntkbound.models.native.atomics import fetch_add, pause, read, replace, write
from ntkbound.models.native.cache import native
from ntkbound.models.native.packing import add_part, pack, unpack
from ntkbound.models.native.passes import fused_group
from ntkbound.models.native.vectors import width

# Flags, each on a cache line of its own: the open phase and its next item, how many items of it
# are done, and the state of every helper.
LINE = 8
OPEN, DONE, HELPERS = 0, LINE, 2 * LINE
ITEMS = (
    1 << 20
)  # OPEN is ITEMS · phase + item, and CLOSED between steps: no phase has so many items
CLOSED = ITEMS - 1
AWAKE, ASLEEP, STARTING, LEAVING = range(4)
PACK, SUM, ADD, PHASES = range(4)  # of one batch of runs
PARTS = 8  # of the tiles, when they are packed or added up

# In pauses of 10 to 50 ns.
PATIENCE = 10_000  # of a helper, for more to do
STUBBORN = 1_000  # before a core is left to whoever else wants it

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


@native
def take_part(flags, helpers, me, step, scratch):
    """Thread `me`: 0 leads one step, unless a helper is asleep; others help until they sleep.

    Returns whether the step was taken.
    """
    dims, size, runs, batch, data, params, packed, partials, residual, grads = step
    state, phase, spins = HELPERS + (me - 1) * LINE, -1, 0
    if me > 0:
        replace(flags, state, STARTING, AWAKE)  # unless it was sent away before it began
    for helper in range(helpers):
        if me == 0 and read(flags, HELPERS + helper * LINE) == ASLEEP:
            return False
    while True:
        claimed = read(flags, OPEN)
        if claimed % ITEMS < _items(step, claimed // ITEMS):
            claimed = fetch_add(flags, OPEN, 1)
        at, item = claimed // ITEMS, claimed % ITEMS
        if item < _items(step, at):
            run0, count, tiles = _batch_of(step, at)
            if at % PHASES == SUM:
                partial = partials[item]
                fused_group(dims, size, item, data, packed, run0, count, scratch, residual, partial)
            else:
                parts, lanes = _items(step, at), width(packed)
                first, last = item * tiles // parts, (item + 1) * tiles // parts
                begin, end = first * size.tile, last * size.tile
                head0 = run0 * size.heads + first * lanes
                heads = min(count * size.heads, last * lanes) - first * lanes
                if at % PHASES == PACK:
                    pack(size, params[0], params[1], params[2], head0, heads, packed[begin:end])
                else:
                    for group in range(1, size.groups):
                        add_part(partials[0], partials[group], begin, end)
                    total = partials[0][begin:end]
                    unpack(size, total, head0, heads, grads[0], grads[1], grads[2])
            fetch_add(flags, DONE, 1)
            spins = 0
        elif me == 0:
            if phase >= 0 and read(flags, DONE) < _items(step, phase):
                _wait(spins)
                spins += 1
                continue
            phase, spins = phase + 1, 0
            if phase // PHASES * batch >= runs:
                write(flags, OPEN, CLOSED)
                return True
            write(flags, DONE, 0)
            write(flags, OPEN, phase * ITEMS)
        else:
            if read(flags, state) == LEAVING:
                write(flags, state, ASLEEP)
                return False
            if spins > PATIENCE and replace(flags, state, AWAKE, ASLEEP):
                return False
            pause()
            spins += 1


@native
def send_away(flags, helpers):
    """Returns when every helper is asleep."""
    for helper in range(helpers):
        at, spins = HELPERS + helper * LINE, 0
        now = read(flags, at)
        while now != ASLEEP:
            if now != LEAVING:
                replace(flags, at, now, LEAVING)
            _wait(spins)
            spins += 1
            now = read(flags, at)


class Team:
    """Threads for a kernel: the calling one, which leads, and `threads` − 1 helpers."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._places = [HELPERS + helper * LINE for helper in range(threads - 1)]
        self._flags = np.zeros(HELPERS + LINE * threads, np.int64)
        self._flags[OPEN], self._flags[self._places] = CLOSED, ASLEEP
        self._step: Any = None

    def take(self, step: tuple[Any, ...], scratch: Sequence[Any]) -> None:
        """One step on all threads; cheapest if `step` is the very tuple of the last call."""
        if step is not self._step:
            self.dismiss()
            self._step = step
        helpers = len(self._places)
        while True:
            for me, at in enumerate(self._places, start=1):
                if self._flags[at] == ASLEEP:
                    self._flags[at] = STARTING
                    assert self._pool is not None
                    self._pool.submit(take_part, self._flags, helpers, me, step, scratch[me])
            if take_part(self._flags, helpers, 0, step, scratch[0]):
                return

    def dismiss(self) -> None:
        send_away(self._flags, len(self._places))

    def share(self, function: Any, jobs: list[tuple[Any, ...]]) -> None:
        """Runs the jobs, one per thread, the first one here. The kernels release the GIL."""
        if self._pool is None:
            for job in jobs:
                function(*job)
            return
        self.dismiss()
        futures = [self._pool.submit(function, *job) for job in jobs[1:]]
        function(*jobs[0])
        for future in futures:
            future.result()

    def cuts(self, count: int) -> list[tuple[int, int]]:
        """Contiguous ranges of 0..count, one per thread."""
        edges = [count * i // self.threads for i in range(self.threads + 1)]
        return [(a, b) for a, b in itertools.pairwise(edges) if a < b]
