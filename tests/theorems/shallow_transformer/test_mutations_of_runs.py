"""Heads divided over ranks, runs that train together, the planner: each broken, each seen.

As in ``test_mutations``: a case breaks one thing and calls the check that passes unbroken.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from ntkbound.core.registry import configure
from ntkbound.machine.parallel import Workers
from ntkbound.machine.ranks import ProcessGroup, Ranks
from ntkbound.machine.tools import Tools
from ntkbound.theorems.shallow_transformer import run as running
from ntkbound.theorems.shallow_transformer import train as training
from ntkbound.theorems.shallow_transformer.data import prepare
from ntkbound.theorems.shallow_transformer.plan import inversion as planner
from tests.theorems.shallow_transformer.test_plan import PROBLEM, bound

SMALL = {
    "n": 6, "T": 3, "d": 2, "m": 8, "tau": 12, "records": 3, "teacher_heads": 64, "rho": 0.3,
    "search_samples": 2, "search_restarts": 2, "search_steps": 3, "dtype": "float64",
    "data_seed": 0, "teacher_seed": 0, "seed": 1,
}  # fmt: skip
COUNT = 2


class Threads(ProcessGroup):
    """Two ranks as two threads: only the exchange itself is not that of torch.distributed."""

    def __init__(self, index, parts, barrier):
        self.index, self.count = index, COUNT
        self._parts, self._barrier = parts, barrier

    def _all(self, values):
        self._parts[self.index] = values.clone()
        self._barrier.wait()
        found = list(self._parts)
        self._barrier.wait()
        return found

    def sum_(self, values):
        return values.copy_(sum(self._all(values)))

    def max_(self, values):
        return values.copy_(torch.stack(self._all(values)).amax(0))

    def share_(self, values):
        return values.copy_(self._all(values)[0])


def outcomes(configs, workers):
    """What runs that train together have to say."""
    tools = Tools(workers, data=prepare(configs[0]).data, save=True)
    return running.run_together(configs, tools)


def ranks_are_one_process():
    config = configure(SMALL)
    (alone,) = outcomes([config], Workers(1))
    parts, barrier = [None] * COUNT, Barrier(COUNT, timeout=60)

    def rank(index):
        return outcomes([config], Workers(1, Threads(index, parts, barrier)))[0]

    with ThreadPoolExecutor(COUNT) as pool:
        both = list(pool.map(rank, range(COUNT)))
    for found in both:
        same_numbers(found.terms, alone.terms)
        same_numbers(found.bounds, alone.bounds)
        np.testing.assert_allclose(found.params["final.U"], alone.params["final.U"], rtol=1e-9)


def same_numbers(found, expected, path=""):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            same_numbers(found[name], value, f"{path}/{name}")
    elif expected is None:
        assert found is None, path
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12), path


def together_is_alone():
    changes = [{}, {"eta": 0.3}, {"rho": 0.02}]
    configs = [configure({**SMALL, "seed": i, **change}) for i, change in enumerate(changes)]
    for config, found in zip(configs, outcomes(configs, Workers(1)), strict=True):
        (alone,) = outcomes([config], Workers(1))
        assert found.terms == alone.terms
        for name, value in alone.params.items():
            assert np.array_equal(found.params[name], value), name


def plan_is_minimal():
    name, target = "closed-form", 0.7
    found = planner.plan(PROBLEM, target, name)
    assert bound(PROBLEM, name, found.m, found.tau) <= target, "not guaranteed"
    assert bound(PROBLEM, name, found.m - 2, found.tau) > target, "fewer heads would do"
    steps = planner.plan(PROBLEM, target, name, m=2 * found.m)
    assert bound(PROBLEM, name, 2 * found.m, steps.tau) <= target, "not guaranteed"
    assert bound(PROBLEM, name, 2 * found.m, steps.tau - 1) > target, "fewer steps would do"


# --- the mutations ------------------------------------------------------------------------------


def first_pairs_for_all(self, m):
    return slice(0, m // 2 // self.count)


def mirrors_not_shifted(self, part, count):
    first = self.pairs(self.total(count)).start
    return [slice(part.start + first, part.stop + first)]


def ranks_side_by_side(self, values):
    return torch.cat(self._all(values))


def rule_with(patch, **wrong):
    """The descent rule of other configs than those that train."""
    true = training.descent_rule

    def mutated(configs, device="cpu"):
        fields = {b: getattr(configs[0], b) for b in wrong}
        return true([config.model_copy(update=fields) for config in configs], device)

    patch.setattr(training, "descent_rule", mutated)


def smallest_plus(patch, extra):
    true = planner._smallest
    patch.setattr(planner, "_smallest", lambda holds: (found := true(holds)) and found + extra)


MUTATIONS = {
    "sums over ranks forgotten": (
        lambda p: p.setattr(Threads, "sum_", Ranks.sum_), ranks_are_one_process),
    "every rank draws the first pairs": (
        lambda p: p.setattr(Ranks, "pairs", first_pairs_for_all), ranks_are_one_process),
    "mirrored heads at the wrong index": (
        lambda p: p.setattr(Ranks, "held", mirrors_not_shifted), ranks_are_one_process),
    "gathered without splitting the pairs": (
        lambda p: p.setattr(ProcessGroup, "gather", ranks_side_by_side), ranks_are_one_process),
    "eta of the first run for all": (lambda p: rule_with(p, eta=0), together_is_alone),
    "radius of the first run for all": (lambda p: rule_with(p, rho=0), together_is_alone),
    "planner one too many": (lambda p: smallest_plus(p, 1), plan_is_minimal),
    "planner one too few": (lambda p: smallest_plus(p, -1), plan_is_minimal),
}  # fmt: skip


@pytest.mark.parametrize("check", [ranks_are_one_process, together_is_alone, plan_is_minimal])
def test_the_checks_pass_unbroken(check):
    check()


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_makes_its_check_fail(name, monkeypatch):
    mutate, check = MUTATIONS[name]
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        check()
