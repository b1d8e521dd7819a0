"""Runs that differ in their seed train together: same bits as alone; others never do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.runs.execute import Execution, run, run_together
from ntkbound.theorems.next_token import THEOREM
from ntkbound.theorems.next_token.config import Config

WATER = str(Path(__file__).parents[3] / "examples" / "next_token" / "water.txt")
ALIKE = {
    "rollout": {"V": 12},
    "free": {"task": "free", "V": 9, "keep": 0.5},
    "sgd": {"V": 12, "method": "sgd", "eta": 0.5},
    "a start": {"V": 12, "ov_init": 0.1},
    "a text": {"task": WATER, "ov_init": 0.1},
}


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("threads", [1, 2])
def test_together_is_as_alone(name, threads):
    prepared = [THEOREM.prepare(Config(**ALIKE[name], seed=seed, tau=120)) for seed in range(3)]
    configs = [one.config for one in prepared]
    assert len({THEOREM.together(config) for config in configs}) == 1
    joint = THEOREM.run_together(configs, Tools(Workers(threads), data=prepared[0].data))
    for one, outcome in zip(prepared, joint, strict=True):
        alone = THEOREM.run(one.config, Tools(Workers(1), data=one.data))
        assert outcome.terms == alone.terms and outcome.bounds == alone.bounds
        for found, expected in ((outcome.trace, alone.trace), (outcome.params, alone.params),
                                (outcome.inputs, alone.inputs)):  # fmt: skip
            assert found.keys() == expected.keys()
            assert all(np.array_equal(found[key], expected[key]) for key in found)
    assert joint[0].terms != joint[1].terms


def test_only_seeds_may_differ():
    base = Config(V=12)
    keys = {
        THEOREM.together(Config(**{"V": 12, **other}))
        for other in (
            {},
            {"V": 13},
            {"tau": 10},
            {"method": "gd"},
            {"task": "cyclic"},
            {"eta": 1.0},
        )
    }
    assert len(keys) == 6 and THEOREM.together(base) in keys
    assert THEOREM.together(Config(V=12, seed=7)) == THEOREM.together(base)
    assert THEOREM.together(Config(V=1000)) is None
    assert THEOREM.together(Config(V=20, tau=10**7)) is None


def test_records_are_those_of_runs_alone(folder):
    configs = [Config(V=10, seed=seed, tau=50) for seed in range(2)]
    joint = run_together(configs, Execution(folder / "joint"))
    for config, record in zip(configs, joint, strict=True):
        alone = run(config, Execution(folder / "alone"))
        assert alone.id == record.id and alone.terms == record.terms
        told = [json.loads((folder / name / record.id / "run.json").read_text())["checks"]
                for name in ("joint", "alone")]  # fmt: skip
        assert told[0] == told[1]
