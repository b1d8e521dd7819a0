"""The threads of one step: a leader, and helpers that stay awake between steps.

Waking a thread takes 50 µs and more, of steps of a millisecond. So a helper that has done its share
waits awake for the next step, up to PATIENCE, and only then sleeps. The leader never depends on
one: who is awake when a step begins takes part, and the bits of the result do not depend on who
that was.

A step goes through three phases for every batch of runs, each begun when everybody has ended the
one before: lay the parameters of one's own tiles out; claim group after group of samples and sum
its gradients; sum one's own tiles of all groups' gradients.
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

# Where what stands in the flags; each on a cache line of its own. A helper's flag is its state, or
# awake: LARGEST · (how often it was called) + its place in the team of its last step.
LINE = 8
TEAM, ARRIVED, CLAIMED, HELPERS = 0, LINE, 2 * LINE, 3 * LINE
LARGEST = 1 << 10
AWAKE, ASLEEP, STARTING, LEAVING = 0, -1, -2, -3

# In pauses of 10 to 50 ns.
WELCOME = 4_000  # that a leader gives helpers which are just starting
PATIENCE = 10_000  # of a helper, for the next step
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
def _wait_until(flags, at, least):
    """Returns when flags[at] has reached `least`."""
    spins = 0
    while read(flags, at) < least:
        _wait(spins)
        spins += 1


@native
def _call(flags, helpers):
    """The leader calls those helpers that are awake; the size of the team."""
    write(flags, TEAM, 0)
    write(flags, ARRIVED, 0)
    write(flags, CLAIMED, 0)
    team, patience = 1, WELCOME
    for helper in range(helpers):
        at = HELPERS + helper * LINE
        while patience > 0 and read(flags, at) == STARTING:
            pause()
            patience -= 1
        now = read(flags, at)
        if now >= AWAKE and replace(flags, at, now, now // LARGEST * LARGEST + LARGEST + team):
            team += 1
    write(flags, TEAM, team)
    return team


@native
def _called(flags, at, last):
    """A helper's new state: called again, or ASLEEP after PATIENCE or when it was sent away."""
    patience = PATIENCE
    while patience > 0 and read(flags, at) == last:
        pause()
        patience -= 1
    if replace(flags, at, last, ASLEEP):
        return ASLEEP
    now = read(flags, at)
    if now == LEAVING:
        write(flags, at, ASLEEP)
        return ASLEEP
    return now


@native
def take_part(flags, helpers, me, step, scratch):
    """Member `me` of the threads: 0 leads one step, others help step after step until ASLEEP."""
    dims, size, runs, batch, data, params, packed, partials, residual, grads = step
    lanes, at, state = width(packed), HELPERS + (me - 1) * LINE, AWAKE
    if me > 0:
        replace(flags, at, STARTING, AWAKE)  # unless it was sent away before it began
    while True:
        if me == 0:
            place, team = me, _call(flags, helpers)
        else:
            state = _called(flags, at, state)
            if state == ASLEEP:
                return
            _wait_until(flags, TEAM, 1)
            place, team = state % LARGEST, read(flags, TEAM)
        meeting, claims = 0, 0
        for run0 in range(0, runs, batch):
            count = min(batch, runs - run0)
            heads = count * size.heads
            tiles = (heads + lanes - 1) // lanes
            first, last = place * tiles // team, (place + 1) * tiles // team
            begin, end = first * size.tile, last * size.tile
            head0 = run0 * size.heads + first * lanes
            own = min(heads, last * lanes) - first * lanes
            pack(size, params[0], params[1], params[2], head0, own, packed[begin:end])
            meeting += team
            fetch_add(flags, ARRIVED, 1)
            _wait_until(flags, ARRIVED, meeting)
            while True:
                group = fetch_add(flags, CLAIMED, 1) - claims
                if group >= size.groups:
                    break
                fused_group(
                    dims, size, group, data, packed, run0, count, scratch, residual, partials[group]
                )
            claims += size.groups + team  # everybody claims once in vain
            meeting += team
            fetch_add(flags, ARRIVED, 1)
            _wait_until(flags, ARRIVED, meeting)
            for group in range(1, size.groups):
                add_part(partials[0], partials[group], begin, end)
            unpack(size, partials[0][begin:end], head0, own, grads[0], grads[1], grads[2])
        fetch_add(flags, ARRIVED, 1)
        if me == 0:
            _wait_until(flags, ARRIVED, meeting + team)
            return


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
        self._flags[self._places] = ASLEEP
        self._step: Any = None

    def take(self, step: tuple[Any, ...], scratch: Sequence[Any]) -> None:
        """One step on all threads; cheapest if `step` is the very tuple of the last call."""
        if step is not self._step:
            self.dismiss()
            self._step = step
        helpers = len(self._places)
        for me, at in enumerate(self._places, start=1):
            if self._flags[at] == ASLEEP:
                self._flags[at] = STARTING
                assert self._pool is not None
                self._pool.submit(take_part, self._flags, helpers, me, step, scratch[me])
        take_part(self._flags, helpers, 0, step, scratch[0])

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
