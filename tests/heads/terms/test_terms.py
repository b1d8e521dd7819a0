"""The four error terms, the probes at which they are measured, and the searched worst case."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import symmetric_init, together
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.summary import summarise
from ntkbound.heads.terms.trajectory import (
    FEATURE_NORM,
    MSE,
    VALIDATION_MSE,
    Trajectory,
    mean_square_error,
)
from ntkbound.heads.terms.worst import Search, worst_linearization
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.descent import Rule, Schedule, Watcher, descend
from ntkbound.machine.parallel import Workers
from tests.support import reference
from tests.support.checks import check_identity
from tests.support.problems import (
    BOUNDED,
    QUERIES,
    in_ball,
    make_case,
    make_inputs,
    make_model,
    random_labels,
)
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)


def train(lin, task, radii, trajectory, tau=10, eta=1.0):
    initial, seen = lin.initial, {}
    dtype = initial["c"].dtype

    def observe(step, params, norms):
        seen[step] = {b: v[0].clone() for b, v in params.items()}
        trajectory.observe(step, params, norms)

    rule = Rule(
        eta=torch.tensor([eta], dtype=torch.float64),
        radii={b: torch.tensor([r], dtype=dtype) for b, r in radii.items()},
    )
    objective = BlockedObjective(lin.model, task.inputs.to(dtype), task.y.to(dtype), lin.heads, ONE)
    descend(objective, together(initial), rule, Schedule(tau, [0, 1, 3, 7]), Watcher(observe))
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", BOUNDED)
def test_the_identity_holds_along_a_trajectory(activation, query, dtype):
    """Terms are float64 whatever the training dtype, so the identity is exact to 1e-12 in both."""
    lin, task, radii, transported = make_case(query, activation, dtype=dtype)
    runs = lin.at(together(lin.initial))
    trajectory = Trajectory(runs, task.y, together(transported), None)
    for params in train(lin, task, radii, trajectory).values():
        check_identity(lin, params, transported, task.y)


@pytest.mark.parametrize("query", QUERIES)
def test_the_observer_equals_the_definitions(query):
    """The loop shares work between terms; each must still be what its own file computes."""
    lin, task, radii, transported = make_case(query)
    initial = lin.initial
    held_out = Task(
        make_inputs(3, 4, 3, query, seed=8),
        random_labels(3, seed=9),
        token_norm=1.0,
        query_norm=1.0,
    )
    trajectory = Trajectory(lin.at(together(initial)), task.y, together(transported), held_out)
    seen = train(lin, task, radii, trajectory)
    own = trajectory.of(0)
    table = own.table
    assert table["step"].tolist() == list(seen) == [0, 1, 3, 7, 10]
    for row, params in enumerate(seen.values()):
        linear = linearization_errors(lin, params)
        cof = change_of_feature_errors(lin, params, transported)
        expected = {
            **{f"linearization/trajectory/{s}": v for s, v in summarise(linear).items()},
            **{f"change_of_feature/trajectory/{s}": v for s, v in summarise(cof).items()},
            MSE: mean_square_error(lin, params, task.y),
            VALIDATION_MSE: mean_square_error(lin.on(held_out.inputs), params, held_out.y),
            FEATURE_NORM: float(lin.squared_feature_norms(params).sqrt().max()),
        }
        for block in initial:
            moved = (params[block] - initial[block]).reshape(6, -1).norm(dim=1).max()
            expected[f"displacement/trajectory/{block}"] = float(moved) * math.sqrt(6)
        for name, value in expected.items():
            assert_close(table[name][row], value, EXACT, f"{name}, row {row}", floor=1.0)
    for statistic in ("max", "mean", "rms"):
        for term in ("linearization", "change_of_feature"):
            worst = table[f"{term}/trajectory/{statistic}"].max()
            assert own.worst(term)[statistic] == worst
    assert own.worst("displacement").keys() == initial.keys()


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", BOUNDED)
def test_terms_equal_the_numpy_definitions(activation, query):
    lin, task, radii, transported = make_case(query, activation, m=4, n=3)
    initial = lin.initial
    at, inputs, y = in_ball(initial, radii, 5, boundary=False), task.inputs, task.y.numpy()
    zero = {b: at[b] - initial[b] for b in at}
    far = {b: at[b] - transported[b] for b in at}
    goal = {b: transported[b] - initial[b] for b in at}
    linear = reference.directional(activation, initial, zero, inputs)
    pairs = {
        "lin": (
            linearization_errors(lin, at),
            reference.outputs(activation, at, inputs) - linear,
        ),
        "app": (
            approximation_errors(lin, transported, task.y),
            reference.directional(activation, initial, goal, inputs) - y,
        ),
        "cof": (
            change_of_feature_errors(lin, at, transported),
            reference.directional(activation, at, far, inputs)
            - reference.directional(activation, initial, far, inputs),
        ),
        "f_lin": (lin.linear_outputs(at), linear),
    }
    for name, (found, expected) in pairs.items():
        assert_close(found, expected, EXACT, f"{name}, {activation}, query {query}", floor=1.0)


def test_the_linearization_error_is_of_second_order():
    """Halving φ − φ_0 quarters the error: what is subtracted really is the tangent at φ_0."""
    lin, *_ = make_case()
    initial = lin.initial
    direction = in_ball({b: torch.zeros_like(v) for b, v in initial.items()},
                        dict.fromkeys(initial, 1.0), 6, boundary=True)  # fmt: skip
    sizes = []
    for step in (1e-2, 5e-3):
        at = {b: initial[b] + step * direction[b] for b in initial}
        sizes.append(linearization_errors(lin, at).abs().max())
    assert math.log2(float(sizes[0] / sizes[1])) == pytest.approx(2, abs=0.05)


def test_summaries():
    assert summarise(torch.tensor([3.0, -4.0], dtype=torch.float64)) == {
        "max": 4.0, "mean": 3.5, "rms": math.sqrt(12.5),
    }  # fmt: skip


@pytest.mark.parametrize("query", ["last", "fixed"])
def test_the_random_probe_is_uniform_in_every_ball(query):
    model = make_model("tanh", query, 2)
    initial = symmetric_init(model, 4000, 1, torch.float64)
    radii = {b: 0.1 * (i + 1) for i, b in enumerate(model.blocks)}
    lin = Linearized(model, initial, make_inputs(2, 2, 2, query, seed=1), ONE)
    probe = random_probe(lin, radii, seed=5)
    for block, shape in model.blocks.items():
        delta = (probe[block] - initial[block]).reshape(4000, -1)
        share = delta.norm(dim=1) / radii[block]
        assert float(share.max()) <= 1 + 1e-12, block
        # ‖Δ‖^size is uniform on [0, 1] for a uniform point of the unit ball in R^size.
        volume = share ** math.prod(shape)
        assert abs(float(volume.mean()) - 0.5) < 5 / math.sqrt(12 * 4000), block
        assert abs(float((volume < 0.25).double().mean()) - 0.25) < 5 * 0.44 / math.sqrt(4000), (
            block
        )
        assert float(delta.mean(dim=0).abs().max()) < 5 * radii[block] / math.sqrt(4000), block
    again = random_probe(lin, radii, seed=5)
    assert all(torch.equal(again[b], probe[b]) for b in probe)
    assert not torch.equal(random_probe(lin, radii, seed=6)["U"], probe["U"])


@pytest.mark.parametrize("query", ["last", "fixed"])
def test_the_aligned_probe_is_s1s(query):
    """ΔU, ΔW on the sphere along Σ_j ∂σ(z_i(X_j)) without c_i; Δc = +ρ_c/√m for every head."""
    lin, task, radii, _ = make_case(query)
    initial, probe = lin.initial, aligned_probe(lin, radii)
    X, q = task.inputs.X.numpy(), task.inputs.q.numpy()
    for i, head in enumerate(reference.heads_of(initial)):
        unsigned = {**head, "c": np.array(1.0)}
        gradients = [
            reference.head_gradient("tanh", x, w, unsigned) for x, w in zip(X, q, strict=True)
        ]
        for block in lin.model.blocks:
            moved = (probe[block][i] - initial[block][i]).numpy()
            if block == "c":
                assert moved == pytest.approx(radii["c"])
                continue
            along = sum(g[block] for g in gradients)
            expected = radii[block] * along / np.linalg.norm(along)
            assert_close(moved, expected, 1e-10, f"{block} of head {i}")


def test_bits_do_not_depend_on_threads_or_on_the_other_samples():
    lin, _, radii, transported = make_case(m=520, n=40)
    search, few = Search(2, 3, 0), slice(0, 2)
    for ask in (
        lambda lin: lin.outputs(transported),
        lambda lin: lin.linear_outputs(transported),
        lambda lin: worst_linearization(lin.rows(few), radii, search).error,
        lambda lin: aligned_probe(lin, radii)["W"],
    ):
        assert torch.equal(ask(lin), ask(replace(lin, workers=Workers(2))))
    assert torch.equal(lin.outputs(transported)[few], lin.rows(few).outputs(transported))
