"""φ_0: symmetric pairs, counter-based streams, and the reduction of W under a fixed query."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core import streams
from ntkbound.heads.model import fresh_heads, symmetric_init
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.heads.training.projection import project_
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.teacher import Teacher, draw_inputs
from tests.support import reference
from tests.support.checks import check_zero_at_start
from tests.support.problems import BOUNDED, QUERIES, make_inputs, make_model, random_labels
from tests.support.tolerances import ROUNDING, TRAJECTORY, assert_close

SEEDS = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", [*BOUNDED, "relu"])
@pytest.mark.parametrize("m", [2, 6, 514])
def test_the_network_starts_at_zero(activation, query, m):
    check_zero_at_start(make_model(activation, query, 3), make_inputs(4, 3, 3, query, 1), m, seed=5)


@given(seed=SEEDS, pairs=st.integers(1, 300), more=st.integers(0, 300))
def test_pair_i_is_the_same_for_every_m(seed, pairs, more):
    """Adding a width to a sweep must not change the other widths' heads."""
    model = make_model("tanh", "last", 2)
    small = symmetric_init(model, 2 * pairs, seed, torch.float64)
    large = symmetric_init(model, 2 * (pairs + more), seed, torch.float64)
    for block in model.blocks:
        assert torch.equal(small[block][:pairs], large[block][:pairs]), block
        second = large[block][pairs + more :][:pairs]
        assert torch.equal(small[block][pairs:], second), block


def test_the_second_half_mirrors_the_first():
    phi = symmetric_init(make_model("tanh", "last", 3), 8, 3, torch.float32)
    assert torch.equal(phi["c"][4:], -phi["c"][:4])
    assert torch.equal(phi["c"].abs(), torch.ones(8))
    assert torch.equal(phi["U"][4:], phi["U"][:4])
    assert torch.equal(phi["W"][4:], phi["W"][:4])


def test_the_seed_counts_and_blocks_are_independent():
    """Seeds recorded but not used is a pitfall of published code."""
    model = make_model("tanh", "last", 4)
    first, second = (symmetric_init(model, 4096, seed, torch.float64) for seed in (0, 1))
    for block in model.blocks:
        assert not torch.equal(first[block], second[block]), block
    for block in ("U", "W"):
        for values in (first[block], second[block]):
            half = values[:2048]
            error = 5 / math.sqrt(half.numel())
            assert abs(float(half.mean())) < error
            assert abs(float(half.square().mean()) - 1) < 2 * error
    assert abs(float(first["c"][:2048].mean())) < 5 / math.sqrt(2048)
    correlation = float((first["U"][:2048] * first["W"][:2048, 0]).mean())
    assert abs(correlation) < 5 / math.sqrt(2048 * 4)


def test_teacher_heads_differ_from_the_student():
    """The approximation bound needs a target that does not depend on φ_0."""
    model = make_model("tanh", "last", 3)
    student = symmetric_init(model, 512, 7, torch.float64)
    teacher = fresh_heads(model, 7, 0, 256, torch.float64)
    assert not bool((student["U"][:256] == teacher["U"]).any())


@given(seed=SEEDS, start=st.integers(0, 900), length=st.integers(0, 600))
def test_any_window_of_a_stream_is_a_window_of_the_whole(seed, start, length):
    def draw(rng, size):
        return rng.standard_normal((size, 2))

    whole = streams.rows(seed, "test", 0, 1500, draw)
    window = streams.rows(seed, "test", start, start + length, draw)
    assert np.array_equal(window, whole[start : start + length])
    assert not np.array_equal(whole, streams.rows(seed, "another purpose", 0, 1500, draw))


@given(n=st.integers(1, 300), more=st.integers(0, 300))
def test_asking_for_more_samples_keeps_the_first(n, more):
    few = draw_inputs(Teacher.of(Config(n=n, T=2, d=2)), 3, "data", n)
    many = draw_inputs(Teacher.of(Config(n=n, T=2, d=2)), 3, "data", n + more)
    assert torch.equal(few.X, many.X[:n])
    assert torch.equal(few.q, many.q[:n])


@pytest.mark.parametrize("inputs", ["shrunk", "ball"])
@pytest.mark.parametrize("norm", [0.1, 1.0, 10.0])
def test_tokens_lie_in_their_ball(inputs, norm):
    teacher = Teacher.of(Config(n=300, T=4, d=3, inputs=inputs, input_norm=norm))
    X = draw_inputs(teacher, 1, "data", 300).X
    sizes = X.norm(dim=2) / norm
    assert float(sizes.max()) <= 1 + 1e-15
    if inputs == "ball":  # uniform: the volume inside radius r is r^d
        assert abs(float((sizes**3).mean()) - 0.5) < 5 * math.sqrt(1 / 12 / 1200)
    else:  # N(0, I_3) leaves the unit ball with probability 0.801
        assert abs(float((sizes > 1 - 1e-12).double().mean()) - 0.8013) < 5 * 0.4 / math.sqrt(1200)


@pytest.mark.parametrize("size", [1.0, 0.6])
def test_a_fixed_query_reduces_w_to_k_exactly(size):
    """Theory §1: k_i = W_i q, radius ρ_w‖q‖/√m and step η‖q‖² give the same f at every step."""
    n, T, d, m, rho, eta = 6, 4, 3, 8, 0.7, 2.0
    full, reduced = make_model("tanh", "given", d), make_model("tanh", "fixed", d)
    X = make_inputs(n, T, d, "fixed", seed=1)
    inputs = type(X)(X.X, size * X.q)
    y = 3 * random_labels(n, seed=2)
    phi = symmetric_init(full, m, 4, torch.float64)
    start = {b: v.unsqueeze(0) for b, v in phi.items()}
    short = {"c": start["c"], "U": start["U"], "k": start["W"] @ inputs.q[0]}
    left = _train(full, inputs, y, start, eta, rho / math.sqrt(m), scale={})
    right = _train(reduced, inputs, y, short, eta, rho / math.sqrt(m), scale={"k": size})
    touched = False
    for step, (a, b) in enumerate(zip(left, right, strict=True)):
        f, g = reference.outputs("tanh", a, inputs), reference.outputs("tanh", b, inputs)
        assert_close(f, g, TRAJECTORY[torch.float64], f"f at step {step}", floor=1.0)
        assert_close(a["W"] @ inputs.q[0], b["k"], TRAJECTORY[torch.float64], f"k at step {step}")
        moved = (a["W"] - phi["W"]).flatten(1).norm(dim=1)
        touched |= bool((moved > 0.999 * rho / math.sqrt(m)).any())
    assert touched, "the projection of W never acted: the comparison proves too little"


def _train(model: ShallowTransformer, inputs, y, start, eta, radius, scale):
    """ProjGD with the block's step and radius changed as the reduction says, by plain autograd."""
    objective = AutogradObjective(model, inputs, y)
    params = {b: v.clone() for b, v in start.items()}
    grads = {b: torch.empty_like(v) for b, v in start.items()}
    radii = {b: torch.tensor([radius * scale.get(b, 1.0)], dtype=torch.float64) for b in start}
    seen = []
    for _ in range(15):
        seen.append({b: v[0].clone() for b, v in params.items()})
        objective.evaluate(params, grads)
        for b, value in params.items():
            value -= eta * scale.get(b, 1.0) ** 2 * grads[b]
        project_(params, start, radii)
    return seen


@pytest.mark.parametrize("query", QUERIES)
def test_mirrored_heads_get_mirrored_gradients(query):
    """At φ_0 both heads of a pair see −σ and +σ: ∂c agrees, ∂U and ∂W are opposite."""
    model, m = make_model("erf", query, 2), 6
    phi = {b: v.unsqueeze(0) for b, v in symmetric_init(model, m, 1, torch.float64).items()}
    inputs, y = make_inputs(5, 3, 2, query, seed=2), random_labels(5, seed=3)
    grads = {b: torch.empty_like(v) for b, v in phi.items()}
    BlockedObjective(model, inputs, y, m, Workers(1)).evaluate(phi, grads)
    for block, g in grads.items():
        sign = 1 if block == "c" else -1
        assert_close(g[:, 3:], sign * g[:, :3], ROUNDING[torch.float64], f"∂{block} of a pair")
