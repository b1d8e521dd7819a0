"""The same numbers wherever they are computed: natively, by torch on the CPU, or on a GPU."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ntkbound import run
from ntkbound.heads import native
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.model import Inputs, symmetric_init
from ntkbound.heads.training import blocked
from ntkbound.heads.training.descent import Descent, Schedule, Watcher, descend
from ntkbound.heads.training.step import Rule, TorchStep
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.config import Config
from tests.support.problems import SMALL_RUN
from tests.support.tolerances import TRAJECTORY

with warnings.catch_warnings():  # a driver that is too old is no GPU
    warnings.simplefilter("ignore")
    needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
TERMS = [("linearization", "worst"), ("linearization", "trajectory"), ("optimization", "training")]


def agree(a, b, dtype: str) -> None:
    for term, probe in TERMS:
        for statistic, value in a.terms[term][probe].items():
            if statistic != "best_step":
                expected = pytest.approx(value, rel=TRAJECTORY[getattr(torch, dtype)], abs=1e-9)
                assert b.terms[term][probe][statistic] == expected, (term, probe, statistic)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("query", ["last", "fixed"])
def test_without_the_native_kernel_the_numbers_are_the_same(tmp_path, monkeypatch, dtype, query):
    config = Config(**{**SMALL_RUN, "dtype": dtype, "query": query})
    fast = run(config, Execution(tmp_path / "fast", threads=1))
    # Labels are averaged in float32: shared, so that only the kernels are compared.
    shutil.copytree(tmp_path / "fast" / "cache", tmp_path / "slow" / "cache")
    monkeypatch.setattr(native, "available", lambda: False)
    slow = run(config, Execution(tmp_path / "slow", threads=1))
    agree(fast, slow, dtype)


def test_on_a_device_a_step_asks_for_its_loss_and_its_gradient_norm_only():
    """Everything stays on the device; each number fetched from a GPU stops the program."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.fake_device"], cwd=Path(__file__).parents[3],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    asked = dict(line.split(": ") for line in done.stdout.splitlines())
    assert len(asked) == 9
    # Mini-batches evaluate nothing in between: the loss is asked for at recorded steps alone.
    assert asked.pop("mini-batches") == "0"
    assert set(asked.values()) == {"2"}


def test_float32_products_are_not_rounded_to_less_whatever_was_set_before():
    torch.set_float32_matmul_precision("high")
    Workers(1)
    assert torch.get_float32_matmul_precision() == "highest"


@needs_gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "change",
    [
        {}, {"query": "fixed"}, {"activation": "erf"}, {"method": "decay"}, {"method": "gd"},
        {"method": "projsgd", "batch": 6}, {"model": "indrnn", "omega": 0.9},
    ],
    ids=str,
)  # fmt: skip
def test_a_gpu_gives_the_same_numbers(tmp_path, monkeypatch, dtype, change):
    """In several blocks, the last of them short, and twice the same bits."""
    config = Config(**{**SMALL_RUN, "dtype": dtype, **change})
    monkeypatch.setattr(blocked, "GPU_BLOCK_TOKENS", 5 * SMALL_RUN["T"])
    where, take = set(), TorchStep.take

    def seen(step: TorchStep) -> None:
        where.update(value.device.type for value in step.params.values())
        take(step)

    cpu = run(config, Execution(tmp_path / "cpu", threads=1))
    monkeypatch.setattr(TorchStep, "take", seen)
    gpu, again = (
        run(config, Execution(tmp_path / name, threads=2, device="cuda")) for name in "ab"
    )
    assert where == {"cuda"}
    assert gpu.environment["gpu"]
    agree(cpu, gpu, dtype)
    rel = TRAJECTORY[getattr(torch, dtype)]
    for name, value in cpu.params.items():
        np.testing.assert_allclose(gpu.params[name], value, rtol=rel, atol=rel, err_msg=name)
        np.testing.assert_array_equal(again.params[name], gpu.params[name])
    for block, value in cpu.terms["gradient"]["reach"].items():
        assert gpu.terms["gradient"]["reach"][block] == pytest.approx(value, rel=rel)


@needs_gpu
def test_a_run_that_diverges_on_a_gpu_leaves_the_others_alone():
    cpu, gpu = (two_descents(device, [0.1, 1e9]) for device in ("cpu", "cuda"))
    assert gpu.diverged.tolist() == [False, True]
    for block, value in cpu.final.items():
        np.testing.assert_allclose(gpu.final[block].cpu(), value, rtol=1e-9, atol=1e-12)


@needs_gpu
def test_bench_on_a_gpu(command):
    code, out, _ = command("bench", "--device", "cuda", "--n", 64, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["ns_per_element"]["kernel"] is None
    assert found["ns_per_element"]["blocked"] > 0
    assert min(found["ceilings"].values()) > 0


def two_descents(device: str, eta: list[float]) -> Descent:
    """Plain descent of two equal runs at different step sizes, in torch."""
    model = ShallowTransformer(3, ACTIVATIONS["relu"])
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.standard_normal((20, 4, 3)))
    inputs, y = Inputs(X, X[:, -1]).to(X.dtype, device), torch.from_numpy(rng.standard_normal(20))
    initial = {
        b: v.expand(2, *v.shape).to(device).contiguous()
        for b, v in symmetric_init(model, 8, 0, X.dtype).items()
    }
    return descend(
        blocked.BlockedObjective(model, inputs, y.to(device), 8, Workers(1)), initial,
        Rule(torch.tensor(eta, dtype=torch.float64), None), Schedule(30, [0, 30]),
        Watcher(lambda *_: None),
    )  # fmt: skip


def test_a_run_that_diverges_in_torch_leaves_the_others_alone():
    both, alone = two_descents("cpu", [0.1, 1e9]), two_descents("cpu", [0.1, 0.1])
    assert both.diverged.tolist() == [False, True]
    assert alone.diverged.tolist() == [False, False]
    for block, value in both.final.items():
        assert torch.equal(value[0], alone.final[block][0])
        assert torch.isfinite(value).all()
