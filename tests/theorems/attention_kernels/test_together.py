"""Many seeds as one computation: the bits of each seed alone, however it is cut."""

from __future__ import annotations

import numpy as np
import pytest

from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.run import prepare, run, run_together, together
from tests.theorems.attention_kernels.support import KERNELS, many, one


@pytest.mark.parametrize("method", ["monotone", "fixed"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_bits_are_those_of_a_run_alone(kernel, method):
    fields = {"kernel": kernel, "method": method, "tau": 150, "H": 2, "eta": 0.05}
    for seed, run_of_many in enumerate(many(3, **fields)):
        alone = one(seed=seed, **fields)
        assert np.array_equal(alone.descent.series, run_of_many.descent.series)
        for name, W in alone.descent.final.arrays.items():
            assert np.array_equal(W, run_of_many.descent.final.arrays[name])
        assert alone.descent.step_final == run_of_many.descent.step_final


def test_outcomes_are_those_of_runs_alone():
    fields = {"tau": 60, "train": "V", "method": "fixed", "H": 2, "landscape": True}
    configs = [prepare(Config(seed=seed, **fields)).config for seed in range(3)]
    tools = Tools(Workers(1), data=prepare(configs[0]).data)
    for config, found in zip(configs, run_together(configs, tools), strict=True):
        alone = run(config, tools)
        assert alone.terms == found.terms and alone.checks == found.checks
        assert all(np.array_equal(alone.trace[name], found.trace[name]) for name in alone.trace)
        assert all(np.array_equal(alone.params[name], found.params[name]) for name in alone.params)


def test_bits_do_not_depend_on_what_is_recorded():
    few, all_of_them = (one(tau=100, records=records) for records in (2, 100))
    assert np.array_equal(few.descent.series, all_of_them.descent.series)
    assert len(few.descent.kept) == 2 < len(all_of_them.descent.kept)


def test_steps_are_accepted_seed_by_seed():
    """Some seeds reject a step where others take it, and go on with steps of their own."""
    runs = many(6, tau=120, eta=2.0)
    rejected = [tuple(np.flatnonzero(run.descent.series[:-1, 6] == 0)) for run in runs]
    assert len(set(rejected)) == 6
    for found in runs:
        assert (np.diff(found.losses) <= 0).all()


def test_what_trains_together():
    key = together(Config())
    assert key == together(Config(seed=4, sq=2.0, eta=0.3)) is not None
    for other in ({"D": 8}, {"kernel": "linear"}, {"train": "V"}, {"tau": 9}, {"labels": "near"},
                  {"method": "fixed"}, {"values": "dense"}):  # fmt: skip
        assert together(Config(**other)) != key
    assert together(Config(kernel="mine.py:f")) is None


def test_a_step_that_is_too_long_ends_one_seed_alone():
    fields = {"train": "V", "method": "fixed", "tau": 3000, "H": 1}
    steps = (0.01, 10.0)
    configs = [prepare(Config(eta=eta, **fields)).config for eta in steps]
    tools = Tools(Workers(1), data=prepare(configs[0]).data)
    good, bad = run_together(configs, tools)
    assert (good.status, bad.status) == ("complete", "diverged")
    assert good.terms == run(configs[0], tools).terms
    assert any("ceased to be finite" in note for note in bad.notes)
    assert bad.terms["optimization"]["training"]["success"] == 0
