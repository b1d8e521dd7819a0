"""Whole runs: a record of one process is that of threads, of neighbours and of ranks."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ntkbound.core.registry import find
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.run import prepare, run, run_together
from ntkbound.theorems.encoder_only.schedule import small, together
from tests.machine.test_ranks import LAUNCH, called, same_record

SMALL = {"dm": 24, "N": 6, "ds": 3, "d": 5, "tau": 12, "records": 5}
ENCODER = "--theorem=encoder-only"
OPTIONS = [f"--{name}={value}" for name, value in SMALL.items()]


def configs(*groups, **fields):
    return [prepare(Config(**{**SMALL, **fields, **one})).config for one in groups]


def same(one, two):
    """To the last bit."""
    assert one.terms == two.terms
    assert one.checks == two.checks
    assert one.conditions == two.conditions
    for group in ("trace", "params", "inputs"):
        arrays, others = getattr(one, group), getattr(two, group)
        assert arrays.keys() == others.keys()
        for name, array in arrays.items():
            assert np.array_equal(array, others[name], equal_nan=array.dtype.kind == "f"), name


@pytest.mark.parametrize("fields", [
    {}, {"step": "adaptive"}, {"kernel_every": 5, "loss": "sum"},
    {"init": "ntk", "scaling": "one", "hessian": True},
], ids=str)  # fmt: skip
def test_seeds_that_train_together_leave_the_records_of_each_alone(fields):
    several = configs(*({"seed": seed} for seed in range(4)), **fields)
    assert len({together(one) for one in several}) == 1
    found = run_together(several, Tools(Workers(1)))
    for config, outcome in zip(several, found, strict=True):
        same(outcome, run(config, Tools(Workers(1))))


def test_threads_leave_the_record_of_one():
    """Several shares of rows, too large to be padded."""
    (config,) = configs({}, dm=800, N=40, d=40, tau=4)
    assert together(config) is None
    same(run(config, Tools(Workers(1))), run(config, Tools(Workers(3))))


def test_who_trains_together():
    base = Config(**SMALL)
    key = partial(together, base)()
    for fields in ({"seed": 3}, {"gamma": 0.5}, {"gamma_of": "one"}, {"hessian": True}):
        assert together(Config(**{**SMALL, **fields})) == key
    for fields in ({"init": "ntk"}, {"scaling": "one"}, {"tau": 13}, {"dm": 25}, {"step": "fixed"},
                   {"tokens": "raw"}, {"loss": "sum"}, {"records": 6}):  # fmt: skip
        assert together(Config(**{**SMALL, **fields})) not in (key, None)
    assert together(Config()) is None
    assert not small(Config().sizes)
    assert together(Config(task="images")) is None


def test_two_ranks_leave_the_record_of_one_process(tmp_path):
    train = ["ntkbound", "train", ENCODER, *OPTIONS, "--kernel-every=6", "--json", "--out"]
    alone = called(sys.executable, "-m", *train, str(tmp_path / "1"))
    both = called(*LAUNCH, *train, str(tmp_path / "2"))
    one, two = json.loads(alone.stdout), json.loads(both.stdout)
    same_record(one, two)
    called(sys.executable, "-m", "ntkbound", "verify", str(tmp_path / "2" / one["id"]))


def test_an_odd_width_needs_one_process(command):
    code, out, _ = command("train", ENCODER, *OPTIONS, "--dm=7", "--json")
    assert code == 0
    record = json.loads(out)
    assert record["config"]["dm"] == 7
    assert record["terms"]["kernel"]["initial"]["alpha_squared"] >= 0


def test_a_run_that_diverges_is_told_as_one(command):
    _, out, _ = command(
        "train", ENCODER, *OPTIONS, "--step=fixed", "--gamma=1e6", "--tau=200", "--json"
    )
    record = json.loads(out)
    assert record["status"] == "diverged"
    assert "no finite number after step" in record["notes"][0]


def test_a_saved_start_is_where_a_run_goes_on(command, folder):
    """Weights of a record's end, as a file: the loss goes on from where it was."""
    from safetensors.numpy import load_file, save_file

    code, out, _ = command("train", ENCODER, *OPTIONS, "--json")
    assert code == 0
    first = json.loads(out)
    arrays = load_file(folder / "results" / first["id"] / "params.safetensors")
    final = {name: np.ascontiguousarray(arrays[f"final.{name}"])
             for name in ("W_Q", "W_K", "W_V", "w_O")}  # fmt: skip
    save_file(final, folder / "end.safetensors")
    options = [one for one in OPTIONS if "dm" not in one]
    code, out, _ = command("train", ENCODER, *options, "--initial=end.safetensors", "--json")
    assert code == 0
    second = json.loads(out)
    assert second["config"]["dm"] == 24
    losses = [np.load(folder / "results" / one["id"] / "trace.npz")["optimization/training/loss"]
              for one in (first, second)]  # fmt: skip
    assert losses[1][0] == pytest.approx(losses[0][-1], rel=1e-12)


def test_the_bench(command):
    options = [*OPTIONS, "--steps=2"]
    code, out, _ = command("bench", ENCODER, *options, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["elements"] == 4 * 6 * 3 * 5 * 24
    assert set(told["ns_per_element"]) == {
        "closed form", "autograd", "autograd through P", "products"
    }  # fmt: skip
    for name, seconds in told["seconds_per_step"].items():
        assert told["ns_per_element"][name] == pytest.approx(1e9 * seconds / told["elements"])
    code, out, _ = command("bench", ENCODER, *options)
    assert code == 0
    assert "autograd" in out


def test_a_run_in_words(command):
    code, out, _ = command("train", ENCODER, *OPTIONS, "--gamma-of=one")
    assert code == 0
    for told in ("dm = 24", "kernel step 1 of one", "loss ends at", "descent ratio", "τ = 12"):
        assert told in out


def test_what_a_run_costs_and_is_called():
    theorem = find("encoder-only")
    small_run, large = Config(**SMALL), Config(dm=4000)
    assert theorem.cost(small_run) < 2 < 10 < theorem.cost(large)
    assert theorem.prefix(large) == "eo-gaussian-lecun-half-dm4000-N100-tau400-s0"
    assert theorem.cost(Config(task="images")) > 0
    assert "epochs20" in theorem.prefix(Config(task="images"))
    assert replace(prepare(large)).config == large
