"""The same numbers wherever they are computed: natively, by torch on the CPU, or on a GPU."""

from __future__ import annotations

import shutil

import pytest
import torch

from ntkbound import RunConfig, run
from ntkbound.models import native
from ntkbound.runs.execute import Execution
from tests.problems import SMALL_RUN
from tests.tolerances import TRAJECTORY

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
    config = RunConfig(**{**SMALL_RUN, "dtype": dtype, "query": query})
    fast = run(config, Execution(tmp_path / "fast", threads=1))
    # Labels are averaged in float32: shared, so that only the kernels are compared.
    shutil.copytree(tmp_path / "fast" / "cache", tmp_path / "slow" / "cache")
    monkeypatch.setattr(native, "available", lambda: False)
    slow = run(config, Execution(tmp_path / "slow", threads=1))
    agree(fast, slow, dtype)


@needs_gpu
@pytest.mark.parametrize("method", ["projgd", "projsgd", "decay"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gpu_gives_the_same_numbers(tmp_path, dtype, method):
    batch = {"batch": 6} if method == "projsgd" else {}
    config = RunConfig(**{**SMALL_RUN, "dtype": dtype, "method": method, **batch})
    cpu = run(config, Execution(tmp_path / "cpu", threads=1))
    gpu = run(config, Execution(tmp_path / "gpu", threads=1, device="cuda"))
    agree(cpu, gpu, dtype)
