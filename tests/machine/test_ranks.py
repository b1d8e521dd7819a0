"""Heads divided over processes: the record of one process to rounding, and ranks that die."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from ntkbound.core.errors import InputError
from ntkbound.heads.model import symmetric_init
from ntkbound.machine.ranks import ALONE, Ranks
from tests.support.problems import make_model

OPTIONS = [
    "train",
    "--m",
    "12",
    "--tau",
    "20",
    "--n",
    "24",
    "--T",
    "4",
    "--d",
    "3",
    "--teacher-heads",
    "512",
    "--records",
    "4",
    "--dtype",
    "float64",
    "--search-samples",
    "2",
    "--search-restarts",
    "3",
    "--search-steps",
    "4",
    "--rho",
    "0.3",
    "--validation",
    "0.25",
    "--json",
]


def rank(index, *, count, port, command):
    """One rank as torchrun starts it."""
    environment = {
        **os.environ,
        "RANK": str(index), "LOCAL_RANK": str(index),
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, *command], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def numbers(value, path=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers(inner, f"{path}/{index}")
    else:
        yield path, value


LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "--"]


def called(*command):
    done = subprocess.run(list(command), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def same_record(one, two):
    """As one process leaves it, to rounding."""
    assert (one["environment"]["ranks"], two["environment"]["ranks"]) == (1, 2)
    assert one["id"] == two["id"]
    for part in ("config", "terms", "bounds", "certificates", "checks"):
        found = dict(numbers(two[part]))
        for path, value in numbers(one[part]):
            close = pytest.approx(value, rel=1e-9, abs=1e-12) if type(value) is float else value
            assert found[path] == close, f"{part}{path}"


def test_two_ranks_leave_the_record_of_one_process(tmp_path):
    """By the documented command; the second call finds the record and trains nothing."""
    alone = called(sys.executable, "-m", "ntkbound", *OPTIONS, "--out", str(tmp_path / "1"))
    sharded = [*LAUNCH, "ntkbound", *OPTIONS, "--out", str(tmp_path / "2")]
    both, again = called(*sharded), called(*sharded)
    assert "record reused" in again.stderr
    assert both.stdout == again.stdout, "rank 0 alone prints"
    one, two = json.loads(alone.stdout), json.loads(both.stdout)
    same_record(one, two)
    assert one["notes"] == two["notes"]
    # the gathered parameters are those of the terms
    called(sys.executable, "-m", "ntkbound", "verify", str(tmp_path / "2" / one["id"]))


SERIES = ["--task", "ar", "--lag", "2", "--positions", "none", "--n", "24", "--m", "12"]
SHORT = ["--tau", "20", "--dtype", "float64", "--rho", "0.3", "--search-samples", "2", "--json"]


@pytest.mark.parametrize(
    "options",
    [
        [*SERIES, *SHORT, "--model", "indrnn"],
        [*SERIES, *SHORT, "--rescale", "--transport", "computed", "--ridge", "0.1"],
    ],
)
def test_a_recurrence_and_a_computed_transport_are_divided_too(options, tmp_path):
    train = ["ntkbound", "train", *options, "--out"]
    alone = called(sys.executable, "-m", *train, str(tmp_path / "1"))
    both = called(*LAUNCH, *train, str(tmp_path / "2"))
    same_record(json.loads(alone.stdout), json.loads(both.stdout))


def test_a_rank_that_dies_ends_the_run_with_one_line_and_no_record(tmp_path):
    """Rank 1 answers the first exchange and dies: rank 0, the real command, is left alone."""
    dying = (
        "import os, torch\n"
        "from ntkbound.machine.ranks import ProcessGroup\n"
        "group = ProcessGroup('cpu')\n"
        "group.share_(torch.tensor([False]))\n"
        "os._exit(9)\n"
    )
    port, out = free_port(), tmp_path / "out"
    command = ["-m", "ntkbound", *OPTIONS, "--out", str(out)]
    first = rank(0, count=2, port=port, command=command)
    second = rank(1, count=2, port=port, command=["-c", dying])
    _, told = first.communicate(timeout=120)
    second.communicate(timeout=120)
    assert (first.returncode, second.returncode) == (3, 9)
    assert "ntkbound: rank 0: another rank was lost" in told
    assert "no record was written" in told
    assert "Traceback" not in told
    assert not list(out.glob("st-*"))


class Third(Ranks):
    index, count = 2, 3


def test_ranks_hold_whole_pairs_and_refuse_uneven_ones():
    ranks = Third()
    assert ranks.pairs(12) == slice(4, 6)
    assert ranks.total(4) == 12
    assert ranks.held(slice(0, 4), 4) == [slice(4, 6), slice(10, 12)]
    assert ranks.held(slice(1, 3), 4) == [slice(5, 6), slice(10, 11)]
    assert ALONE.held(slice(1, 3), 4) == [slice(1, 2), slice(2, 3)]
    with pytest.raises(InputError, match="4 pairs cannot be dealt evenly to 3 ranks"):
        ranks.pairs(8)
    with pytest.raises(InputError, match="m 8: 4 pairs cannot be dealt evenly to 3 ranks"):
        symmetric_init(make_model("tanh", "last", 2), 8, 0, torch.float64, ranks)
