"""The threads of a step: whoever is awake takes part, and nobody can tell from the result."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.models.native import team
from ntkbound.models.native.kernel import NativeKernel
from tests.test_native_kernel import Problem

SIZES = (700, 16, 4, 40)  # three groups of samples; of eight runs six go together


def results(kernel: NativeKernel, problem: Problem) -> list[np.ndarray]:
    mse, residual, grads = problem.evaluate(kernel)
    return [mse, residual, *grads]


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
            assert all(kernel._team._flags[kernel._team._places] == team.ASLEEP)
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


def test_helpers_fall_asleep_by_themselves():
    """And their threads end with the process: nothing spins for ever."""
    kernel = PROBLEMS[0].objective(threads=3)
    results(kernel, PROBLEMS[0])
    pool = kernel._team._pool
    assert pool is not None
    pool.shutdown(wait=True)  # returns only when every helper has left its kernel
    assert all(kernel._team._flags[kernel._team._places] == team.ASLEEP)


def test_a_helper_that_starts_late_is_not_waited_for():
    """The pool's only thread is held up: the leader takes the step alone."""
    kernel = PROBLEMS[0].objective(threads=2)
    pool, held = kernel._team._pool, threading.Event()
    assert pool is not None
    pool.submit(held.wait)
    try:
        residual, grads = PROBLEMS[0].empty()
        for _ in range(3):
            mse = kernel.loss_and_gradient(PROBLEMS[0].params, residual, grads)
            for a, b in zip([mse, residual, *grads], WANTED[0], strict=True):
                np.testing.assert_array_equal(a, b)
            assert kernel._team._flags[kernel._team._places[0]] == team.STARTING
    finally:
        held.set()
