"""The threads of a step: whoever is awake takes part, and nobody can tell from the result."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.heads.native import team
from ntkbound.heads.native.kernel import NativeKernel
from tests.heads.native.test_native_kernel import Problem

SIZES = (700, 16, 4, 40)  # three groups of samples; of eight runs six go together


def results(kernel: NativeKernel, problem: Problem) -> list[np.ndarray]:
    mse, residual, grads = problem.evaluate(kernel)
    return [mse, residual, *grads]


def states(kernel: NativeKernel) -> set[int]:
    """What the helpers are doing."""
    return set(kernel._team._flags[team.HELPERS :: team.LINE][: kernel._team.threads - 1].tolist())


PROBLEMS = [Problem(*SIZES, 8, seed=seed) for seed in range(2)]
WANTED = [results(p.objective(), p) for p in PROBLEMS]
KERNELS = {k: PROBLEMS[0].objective(threads=k) for k in (2, 3, 7)}


def test_the_sizes_have_work_for_several_threads():
    assert all(
        kernel._size.groups > 2 and kernel._team.threads == k for k, kernel in KERNELS.items()
    )


@pytest.mark.parametrize("threads", KERNELS)
@given(st.lists(st.sampled_from(["step", "other", "same", "dismiss", "forward"]), max_size=12))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_sequence_of_calls_has_the_bits_of_one_thread(threads, calls):
    kernel, problem = KERNELS[threads], PROBLEMS[0]
    residual, grads = problem.empty()
    for call in calls:
        if call == "dismiss":
            kernel._team.dismiss()
            assert states(kernel) == {team.ASLEEP}
            continue
        if call == "forward":
            kernel.forward(problem.params, residual)
            continue
        which = call == "other"
        kernel.load(*(getattr(PROBLEMS[which], name) for name in "xqy"))
        if call == "same":  # the very arrays of a step before: its layout is used again
            mse = kernel.loss_and_gradient(problem.params, residual, grads)
            found = [mse, residual, *grads]
            wanted = WANTED[0]
        else:
            problem_ = PROBLEMS[which]
            found, wanted = results(kernel, problem_), WANTED[which]
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", KERNELS)
def test_a_descent_of_steps_has_the_bits_of_one_thread(threads):
    """Every step reads what the one before wrote: a helper that is late or early is seen."""

    def walk(kernel: NativeKernel) -> list[np.ndarray]:
        params = tuple(p.copy() for p in PROBLEMS[0].params)
        residual, grads = PROBLEMS[0].empty()
        for _ in range(150):
            kernel.loss_and_gradient(params, residual, grads)
            for p, g in zip(params, grads, strict=True):
                p -= g
        return [residual, *params]

    problem = PROBLEMS[0]
    kernel = problem.objective(threads=threads)
    for a, b in zip(walk(kernel), walk(problem.objective()), strict=True):
        np.testing.assert_array_equal(a, b)


def repeated(kernel: NativeKernel, times: int = 3) -> None:
    """Steps on the same arrays, each with the bits of one thread."""
    residual, grads = PROBLEMS[0].empty()
    for _ in range(times):
        for array in (residual, *grads):
            array[:] = np.nan
        mse = kernel.loss_and_gradient(PROBLEMS[0].params, residual, grads)
        for a, b in zip([mse, residual, *grads], WANTED[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_helpers_fall_asleep_by_themselves():
    """And their threads end with the process: nothing spins for ever."""
    kernel = PROBLEMS[0].objective(threads=3)
    results(kernel, PROBLEMS[0])
    pool = kernel._team._pool
    assert pool is not None
    pool.shutdown(wait=True)  # returns only when every helper has left its kernel
    assert states(kernel) == {team.ASLEEP}


def test_a_helper_that_starts_late_is_not_waited_for():
    """The pool's only thread is held up: the leader takes the steps alone, also other ones."""
    kernel = PROBLEMS[0].objective(threads=2)
    pool, held = kernel._team._pool, threading.Event()
    assert pool is not None
    pool.submit(held.wait)
    try:
        for _ in range(2):  # the second has other arrays: the helper is sent away before it began
            repeated(kernel)
            assert min(states(kernel)) >= team.CALLED
    finally:
        held.set()
    pool.shutdown(wait=True)
    assert states(kernel) == {team.ASLEEP}


def test_claims_that_come_late_open_nothing():
    """A thread may be held up between seeing a free item and claiming it, past the end of a step.

    What it then adds must leave the flag closed, or a phase would begin between two steps.
    """
    kernel = PROBLEMS[0].objective(threads=3)
    residual, grads = PROBLEMS[0].empty()
    kernel.loss_and_gradient(PROBLEMS[0].params, residual, grads)
    kernel._team.dismiss()
    flags, step = kernel._team._flags, kernel._laid[1]
    for late in range(64):
        phase, item = divmod(int(flags[team.OPEN]) + late, team.ITEMS)
        assert item >= team._items(step, phase)
    flags[team.OPEN] += 64
    repeated(kernel)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("can't start new thread")])
def test_a_call_that_fails_leaves_nothing_to_wait_for(monkeypatch, error):
    kernel = PROBLEMS[0].objective(threads=2)
    pool = kernel._team._pool
    assert pool is not None

    def fails(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(pool, "submit", fails)
        with pytest.raises(type(error) if isinstance(error, Exception) else error):
            results(kernel, PROBLEMS[0])
    repeated(kernel)
    kernel.forward(PROBLEMS[0].params, PROBLEMS[0].empty()[0])
    pool.shutdown(wait=True)
    assert states(kernel) == {team.ASLEEP}


def test_an_error_in_a_helper_is_told_when_it_is_called_again(monkeypatch):
    kernel, real = PROBLEMS[0].objective(threads=2), team.take_part
    monkeypatch.setattr(
        team, "take_part", lambda flags, me, *rest: real(flags, me, *rest) if me == 0 else 1 / 0
    )
    repeated(kernel)  # the leader needs nobody
    kernel._team.dismiss()
    with pytest.raises(ZeroDivisionError):
        results(kernel, PROBLEMS[0])


def test_jobs_that_are_interrupted_do_not_go_on_writing():
    shared, done = team.Team(2), []
    begun, release = threading.Event(), threading.Event()

    def other():
        begun.set()
        release.wait()
        done.append("other")

    def here():
        begun.wait()
        threading.Timer(0.0, release.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.share(lambda job: job(), [(here,), (other,)])
    assert done == ["other"]
