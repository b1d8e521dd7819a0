"""One step, natively and in torch: the same move, the same norms, per run."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ntkbound.heads.training.step import NativeStep, Rule, Step, TorchStep, make_step
from tests.support.problems import make_model, make_params
from tests.support.tolerances import ROUNDING, assert_close


def setting(dtype: torch.dtype, projected: bool, query: str = "last"):
    """Three runs: one frozen, one with room to move, one pressed onto its balls."""
    model = make_model("tanh", query, 3)
    params, grads, centre = (
        {b: v.to(dtype) for b, v in make_params(model, 6, seed=s, runs=3).items()} for s in range(3)
    )
    radii = torch.tensor([1.0, 50.0, 0.1], dtype=dtype)
    limits = dict.fromkeys(params, radii) if projected else None
    return params, grads, centre, Rule(torch.tensor([0.0, 0.1, 5.0]).double(), limits)


@pytest.mark.parametrize("query", ["last", "fixed"])
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_steps_move_alike(dtype, projected, query):
    moved, norms = {}, {}
    kinds: tuple[type[Step], ...] = (NativeStep, TorchStep)
    for kind in kinds:
        params, grads, centre, rule = setting(dtype, projected, query)
        step = kind(params, grads, centre, rule)
        norms[kind] = step.gradient_norms()
        step.take()
        moved[kind] = params
    assert norms[NativeStep] == pytest.approx(norms[TorchStep], rel=1e-12)
    expected = [math.sqrt(sum(float(g[r].double().square().sum()) for g in grads.values()))
                for r in range(3)]  # fmt: skip
    assert norms[NativeStep] == pytest.approx(expected, rel=1e-12)
    for block, value in moved[NativeStep].items():
        assert_close(value, moved[TorchStep][block], ROUNDING[dtype], block)


@pytest.mark.parametrize("kind", [NativeStep, TorchStep])
@pytest.mark.parametrize("projected", [True, False])
def test_reach_is_the_farthest_any_head_has_been(projected, kind):
    params, _, _, rule = setting(torch.float64, projected)
    centre = {b: v.clone() for b, v in params.items()}
    grads = {b: torch.empty_like(v) for b, v in params.items()}
    step, farthest = kind(params, grads, centre, rule), {b: np.zeros(3) for b in params}
    for back_and_forth in range(8):
        for block, g in grads.items():
            g[:] = (-1.0) ** (back_and_forth // 2) * (1 + params[block].cos())
        step.take()
        for block, value in params.items():
            norms = (value - centre[block]).reshape(3, value.shape[1], -1).norm(dim=-1).amax(1)
            farthest[block] = np.maximum(farthest[block], norms.numpy())
    for block in params:
        assert step.reach()[block] == pytest.approx(farthest[block], rel=1e-12)
        assert step.reach()[block][0] == 0, "a frozen run goes nowhere"
    assert any(step.reach()[b][1] > 1.01 * norms_now(params[b], centre[b])[1] for b in params)


def norms_now(value, centre):
    return (value - centre).reshape(3, value.shape[1], -1).norm(dim=-1).amax(1)


@pytest.mark.parametrize("kind", [NativeStep, TorchStep])
def test_a_run_frozen_later_stays_where_it_is(kind):
    params, grads, centre, rule = setting(torch.float64, projected=False)
    rule.eta[:] = 0.1
    step = kind(params, grads, centre, rule)
    step.freeze(np.array([False, True, False]))
    before = {b: v.clone() for b, v in params.items()}
    step.take()
    for block, value in params.items():
        kept = (before[block] == value).flatten(1).all(1)
        assert kept.tolist() == [False, True, False]
    assert (rule.eta == 0.1).all(), "the rule of the caller"


def test_decay_is_taken_in_torch():
    params, grads, centre, rule = setting(torch.float64, projected=False)
    assert isinstance(make_step(params, grads, centre, Rule(rule.eta, None, 0.1)), TorchStep)
