"""``ntkbound bench``: implementations agree before they are timed, and the output is complete."""

from __future__ import annotations

import json

import pytest
import torch

from ntkbound.cli import main
from ntkbound.theorems.shallow_transformer.bench import measure as bench

SMALL = ["bench", "--n=24", "--T=3", "--d=2", "--m=4"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_json_holds_every_implementation(capsys, dtype):
    with pytest.raises(SystemExit) as caught:
        main([*SMALL, "--only=kernel,blocked,autograd,jax", f"--dtype={dtype}", "--json"])
    assert caught.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["ns_per_element"]) == {"kernel", "blocked", "autograd", "compile", "jax"}
    assert found["ns_per_element"]["compile"] is None
    assert all(found["ns_per_element"][name] > 0 for name in ("kernel", "blocked", "autograd"))
    assert found["ratios"]["kernel"] == 1
    assert found["ns_per_element"]["jax"] is not None or "jax" in found["absent"]
    assert found["floor_ns"] > 0


def test_the_floor_counts_the_arithmetic_of_the_issue():
    assert bench.Sizes(T=16, d=8).multiply_adds == 4 * 8 + (2 * 64 + 16) / 16 == 41


def test_implementations_that_disagree_are_not_timed(monkeypatch):
    plain = bench._plain_loss
    monkeypatch.setattr(bench, "_plain_loss", lambda c, *rest: plain(1.01 * c, *rest))
    with pytest.raises(RuntimeError, match=r"autograd and kernel differ in ∂R̂/∂c"):
        bench.bench(bench.Sizes(24, 3, 2, 4), "float64", 1, "cpu", ("kernel", "autograd"))


def test_every_implementation_has_the_threads_asked_for(monkeypatch):
    # Blocked and kernel have threads of their own: torch's would come on top of those.
    seen = {"plain": set(), "blocked": set()}
    plain, blocked = bench._plain_loss, bench.BlockedObjective.evaluate
    monkeypatch.setattr(
        bench,
        "_plain_loss",
        lambda *args: (seen["plain"].add(torch.get_num_threads()), plain(*args))[1],
    )
    monkeypatch.setattr(
        bench.BlockedObjective,
        "evaluate",
        lambda *args: (seen["blocked"].add(torch.get_num_threads()), blocked(*args))[1],
    )
    bench.bench(bench.Sizes(24, 3, 2, 4), "float64", 2, "cpu", ("blocked", "autograd"))
    assert seen == {"plain": {2}, "blocked": {1}}
    assert torch.get_num_threads() == 1


def test_growth_gives_a_slope_for_every_axis(capsys, monkeypatch):
    monkeypatch.setattr(bench, "LEAST_SECONDS", 1e-4)
    monkeypatch.setattr(bench, "GROWTH", (1, 2))
    with pytest.raises(SystemExit) as caught:
        main(["bench", "--growth", "--d=2", "--json"])
    assert caught.value.code == 0
    found = json.loads(capsys.readouterr().out)["axes"]
    assert set(found) == {"n", "m", "T"}
    for axis in found.values():
        assert axis["elements"] == [1024, 2048]
        low, high = axis["slope_range"]
        assert low <= axis["slope"] <= high


def test_the_slope_of_a_cost_that_is_linear_is_one(monkeypatch):
    monkeypatch.setattr(bench, "_make", lambda name, problem, *rest: problem.inputs.X.shape[0])
    monkeypatch.setattr(bench, "_calls", lambda step, device: 1)
    monkeypatch.setattr(bench, "_step_seconds", lambda step, calls, device: float(step))
    axes = bench.growth(2, "float32", 1, "cpu")["axes"]
    assert axes["n"]["slope"] == pytest.approx(1)
    assert axes["m"]["slope"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--only=kernels", "--only: 'kernels' is unknown; accepted: kernel, blocked, autograd"),
        ("--dtype=half", "--dtype: 'half' is unknown"),
        ("--m=3", "--m: 3 is odd"),
        ("--device=tpu", "--device: 'tpu' is unknown"),
    ],
)
def test_mistakes_are_one_line(capsys, option, message):
    with pytest.raises(SystemExit) as caught:
        main([*SMALL, option])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
