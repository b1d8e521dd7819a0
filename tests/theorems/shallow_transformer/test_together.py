"""Runs that share a task train as one: the same numbers, and a sweep that decides by itself."""

from __future__ import annotations

import numpy as np
import pytest

from ntkbound.core.registry import configure
from ntkbound.runs import sweep
from ntkbound.runs.execute import Execution, run, run_together
from ntkbound.runs.pools import LocalPool
from ntkbound.theorems.shallow_transformer.schedule import together as descent_key

SMALL = {
    "n": 12, "T": 4, "d": 3, "m": 10, "tau": 40, "records": 5, "teacher_heads": 64,
    "search_samples": 2, "search_restarts": 2, "search_steps": 3,
    "data_seed": 0, "teacher_seed": 0,
}  # fmt: skip


def members(**fields):
    common = {**SMALL, **fields}
    return [
        configure({**common, "seed": 1}),
        configure({**common, "seed": 2, "eta": 0.3}),
        configure({**common, "seed": 3, "rho": 0.05}),
        configure({**common, "seed": 4, "eta": 1e4 if fields.get("method") else 0.1}),
    ]


@pytest.mark.parametrize(
    "fields",
    [{}, {"dtype": "float64", "query": "fixed"}, {"method": "gd"}, {"validation": 0.25}],
    ids=["default", "float64 fixed", "gd with one run that diverges", "validation"],
)
def test_runs_together_are_bit_for_bit_the_runs_alone(tmp_path, fields):
    configs = members(**fields)
    together = run_together(configs, Execution(tmp_path / "together", threads=1))
    for config, found in zip(configs, together, strict=True):
        alone = run(config, Execution(tmp_path / "alone", threads=1))
        for part in ("id", "status", "terms", "bounds", "checks", "notes"):
            assert getattr(found, part) == getattr(alone, part)
        for name, column in alone.trace.items():
            np.testing.assert_array_equal(found.trace[name], column)
        for name, value in alone.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], value)


def test_only_runs_on_the_same_data_with_full_batches_share_a_descent():
    first, *others = members()
    assert {descent_key(config) for config in others} == {descent_key(first)}
    for change in ({"data_seed": 1}, {"m": 12}, {"tau": 41}, {"dtype": "float64"}, {"nu": 2.0}):
        assert descent_key(configure({**SMALL, "seed": 1, **change})) != descent_key(first)
    stochastic = members(method="projsgd", batch=4)
    assert len({descent_key(config) for config in stochastic}) == len(stochastic)


def test_groups_keep_every_worker_busy_and_leave_large_runs_alone():
    small = sweep.plan(configure({**SMALL, "seed": seed}) for seed in range(40))
    groups = sweep.grouped(small, slots=1)
    assert [len(group) for group in groups] == [16, 16, 8]
    assert [run for group in groups for run in group] == small
    assert [len(group) for group in sweep.grouped(small[:5], slots=4)] == [2, 2, 1]
    large = sweep.plan(configure({**SMALL, "m": 2048, "seed": seed}) for seed in range(3))
    assert [len(group) for group in sweep.grouped(large, slots=1)] == [1, 1, 1]


def test_a_group_with_a_failing_run_is_done_one_by_one(tmp_path, monkeypatch):
    from ntkbound.theorems.shallow_transformer import run as running

    configs = members()
    measure = running.measure

    def broken(trained):
        if trained.start.config.seed == 2:
            raise RuntimeError("this one cannot be measured")
        return measure(trained)

    monkeypatch.setattr(running, "measure", broken)

    class Here(LocalPool):
        """Jobs in this process, where the failure is planted."""

        def __init__(self):
            self.sizes = []

        slots = 1

        def submit(self, job):
            from concurrent.futures import Future

            from ntkbound.runs.work import perform

            self.sizes.append(len(job.configs))
            done = Future()
            done.set_result(perform(job))
            return done

        def close(self):
            pass

    pool = Here()
    progress = sweep.sweep(sweep.plan(configs), tmp_path, lambda: pool, lambda *a: None)
    assert pool.sizes == [4, 1, 1, 1, 1]
    assert progress.done == 3
    assert list(progress.failed.values()) == ["RuntimeError: this one cannot be measured"]
