"""One step, natively and in torch: the same move, the same norms, per run."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.heads.training.step import NativeStep, Place, Rule, Step, TorchStep, make_step
from tests.support.checks import check_small_steps
from tests.support.problems import make_model, make_params
from tests.support.tolerances import ROUNDING, assert_close


def setting(dtype: torch.dtype, projected: bool, query: str = "last"):
    """Three runs: one frozen, one with room to move, one pressed onto its balls."""
    model = make_model("tanh", query, 3)
    params, grads, centre = (make_params(model, 6, seed=s, runs=3) for s in range(3))
    rounded = {b: v.to(dtype) for b, v in params.items()}
    place = Place(centre, params, rounded, {b: v.to(dtype) for b, v in grads.items()})
    radii = torch.tensor([1.0, 50.0, 0.1], dtype=torch.float64)
    limits = dict.fromkeys(params, radii) if projected else None
    return place, Rule(torch.tensor([0.0, 0.1, 5.0]).double(), limits)


def norms_now(value, centre):
    return (value - centre).reshape(3, value.shape[1], -1).norm(dim=-1).amax(1)


@pytest.mark.parametrize("query", ["last", "fixed"])
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_steps_move_alike(dtype, projected, query):
    moved, norms = {}, {}
    kinds: tuple[type[Step], ...] = (NativeStep, TorchStep)
    for kind in kinds:
        place, rule = setting(dtype, projected, query)
        step = kind(place, rule)
        norms[kind] = step.gradient_norms()
        step.take()
        moved[kind] = place.params
        for block, value in place.rounded.items():
            assert value.dtype == dtype
            assert torch.equal(value, place.params[block].to(dtype)), f"{block} is not up to date"
    assert norms[NativeStep] == pytest.approx(norms[TorchStep], rel=1e-12)
    expected = [math.sqrt(sum(float(g[r].double().square().sum()) for g in place.grads.values()))
                for r in range(3)]  # fmt: skip
    assert norms[NativeStep] == pytest.approx(expected, rel=1e-12)
    for block, value in moved[NativeStep].items():
        assert_close(value, moved[TorchStep][block], ROUNDING[torch.float64], block)


@pytest.mark.parametrize("kind", [NativeStep, TorchStep])
@pytest.mark.parametrize("projected", [True, False])
def test_reach_is_the_farthest_any_head_has_been(projected, kind):
    start, rule = setting(torch.float64, projected)
    place = Place.at(start.params, torch.float64)
    params, grads, centre = place.params, place.grads, place.centre
    step, farthest = kind(place, rule), {b: np.zeros(3) for b in params}
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


@pytest.mark.parametrize("kind", [NativeStep, TorchStep])
def test_a_run_frozen_later_stays_where_it_is(kind):
    place, rule = setting(torch.float64, projected=False)
    params = place.params
    rule.eta[:] = 0.1
    step = kind(place, rule)
    step.freeze(np.array([False, True, False]))
    before = {b: v.clone() for b, v in params.items()}
    step.take()
    for block, value in params.items():
        kept = (before[block] == value).flatten(1).all(1)
        assert kept.tolist() == [False, True, False]
    assert (rule.eta == 0.1).all(), "the rule of the caller"


def test_decay_is_taken_in_torch():
    place, rule = setting(torch.float64, projected=False)
    assert isinstance(make_step(place, Rule(rule.eta, None, 0.1)), TorchStep)


@pytest.mark.parametrize(("kind", "decay"), [(NativeStep, 0.0), (TorchStep, 0.0), (TorchStep, 0.1)])
def test_steps_below_half_an_ulp_add_up(kind, decay):
    check_small_steps(kind, decay)


@given(
    st.sampled_from([torch.float32, torch.float64]), st.floats(-16, 2), st.floats(-6, 3),
    st.integers(1, 40), st.sampled_from([NativeStep, TorchStep]),
)  # fmt: skip
def test_no_iterate_is_ever_outside_its_ball(dtype, radius, size, numbers, kind):
    """Whatever the precision of the gradient, to the last bit, however its squares are added."""
    rng = np.random.default_rng(numbers)
    start = {"c": (2, 4), "U": (2, 4, numbers)}
    initial = {b: torch.from_numpy(rng.standard_normal(shape)) for b, shape in start.items()}
    limit = torch.tensor([10**radius, 3 * 10**radius], dtype=torch.float64)
    place = Place.at(initial, dtype)
    step = kind(place, Rule(torch.ones(2).double(), dict.fromkeys(initial, limit)))
    for _ in range(4):
        for g in place.grads.values():
            g.copy_(torch.from_numpy(10**size * rng.standard_normal(g.shape)))
        step.take()
        for block, value in place.params.items():
            away = (value - initial[block]).reshape(2, 4, -1)
            assert (away.norm(dim=-1) <= limit[:, None]).all(), block
            assert (np.linalg.norm(away.numpy(), axis=-1) <= limit.numpy()[:, None]).all(), block
            forwards = [sum(float(x) ** 2 for x in head) for head in away.flatten(0, 1)]
            assert (np.sqrt(forwards).reshape(2, 4) <= limit.numpy()[:, None]).all(), block
            assert (step.reach()[block] <= limit.numpy()).all(), block
