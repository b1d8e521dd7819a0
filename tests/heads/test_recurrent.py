"""The IndRNN: closed forms, kernel, gradient bound, and what is not defined for it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core.record import Record
from ntkbound.core.registry import configure
from ntkbound.heads import native
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, Inputs, symmetric_init
from ntkbound.heads.training.choose import objective_for
from ntkbound.heads.training.fused import FusedObjective
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.machine.parallel import Workers
from ntkbound.stats import check, claims_of
from ntkbound.theorems.shallow_transformer import recurrent
from ntkbound.theorems.shallow_transformer.problem import UNBOUNDED, Norms, Problem
from ntkbound.theorems.shallow_transformer.start import build_model
from ntkbound.theorems.shallow_transformer.statement import CLAIMS, IN_BALL
from tests.support import reference
from tests.support.checks import check_zero_at_start
from tests.support.problems import BOUNDED, in_ball, make_inputs, make_params, random_labels
from tests.support.tolerances import FINITE_DIFFERENCE, ROUNDING, assert_close

ONE = Workers(1)
RUN = {
    "model": "indrnn", "m": 8, "tau": 20, "n": 20, "lag": 1, "positions": "onehot",
    "task": "ar", "records": 4, "search_steps": 3, "search_samples": 2,
}  # fmt: skip
TRAIN = ["train", *(f"--{k.replace('_', '-')}={v}" for k, v in RUN.items()), "--threads=1"]


def indrnn(activation="tanh", omega=1.5):
    return IndRNN(3, ACTIVATIONS[activation], omega)


def definition(name, X, head):
    """c h_T, literally."""
    state = 0.0
    for x in X:
        state = reference.VALUE[name](float(head["w"]) * state + float(head["U"] @ x))
    return float(head["c"]) * state


def risk(name, params, inputs, y):
    heads, X = reference.heads_of(params), inputs.X.double().numpy()
    f = np.array([sum(definition(name, x, h) for h in heads) for x in X]) / math.sqrt(len(heads))
    return float(np.mean((f - y.double().numpy()) ** 2))


@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_closed_forms_equal_torch_func(activation, T):
    model, inputs = indrnn(activation), make_inputs(5, T, 3, "last", seed=1)
    generic = AutogradView(model)
    params, delta = make_params(model, 6, seed=2), make_params(model, 6, seed=3)
    runs, moved = make_params(model, 6, seed=2, runs=3), make_params(model, 6, seed=3, runs=3)
    for a, b in zip(
        model.jvp(params, delta, inputs), generic.jvp(params, delta, inputs), strict=True
    ):
        assert_close(a, b, ROUNDING[torch.float64], "jvp")
    closed, derived = model.gradients(params, inputs), generic.gradients(params, inputs)
    assert closed.keys() == derived.keys() == params.keys()
    for block in params:
        assert_close(closed[block], derived[block], ROUNDING[torch.float64], block)
    for name in ("squared_gradient_norms",):
        pair = [getattr(m, name)(params, inputs) for m in (model, generic)]
        assert_close(*pair, ROUNDING[torch.float64], name)
    sums = [m.tangent_sums(runs, moved, inputs, ONE) for m in (model, generic)]
    assert_close(*sums, ROUNDING[torch.float64], "sums over heads, native and torch.func")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_kernel_equals_autograd_and_finite_differences(activation, dtype):
    model, inputs = indrnn(activation), make_inputs(19, 4, 3, "last", seed=4).to(dtype)
    y = random_labels(19, seed=5).to(dtype)
    params = {b: v.to(dtype) for b, v in make_params(model, 5, seed=6, runs=2).items()}
    found = []
    for objective in (
        FusedObjective(model, inputs, y, 5, ONE, 2), AutogradObjective(model, inputs, y)
    ):  # fmt: skip
        grads = {b: torch.full_like(v, math.nan) for b, v in params.items()}
        found.append((objective.evaluate(params, grads), grads))
    assert_close(found[0][0], found[1][0], ROUNDING[dtype], "R̂")
    for block in params:
        assert_close(found[0][1][block], found[1][1][block], ROUNDING[dtype], f"∂R̂/∂{block}")
    if dtype == torch.float32 or activation == "relu":
        return
    for run, block in ((0, "U"), (1, "w"), (1, "c")):
        at = {b: v[run] for b, v in params.items()}
        assert_close(float(found[0][0][run]), risk(activation, at, inputs, y), 1e-12, "R̂ literally")
        direction = torch.ones_like(at[block])

        def moved(step, at=at, block=block, direction=direction):
            return risk(activation, {**at, block: at[block] + step * direction}, inputs, y)

        h = 1e-3
        slope = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
        expected = float(found[0][1][block][run].sum())
        assert abs(slope - expected) <= FINITE_DIFFERENCE * max(1, abs(slope)), block


def test_bits_depend_neither_on_threads_nor_on_companions():
    model, m = indrnn(), 40
    inputs, y = make_inputs(640, 12, 3, "last", seed=4), random_labels(640, seed=5)
    both = make_params(model, m, seed=6, runs=2)

    def evaluate(params, threads):
        grads = {b: torch.empty_like(v) for b, v in params.items()}
        objective = FusedObjective(model, inputs, y, m, Workers(threads), runs=params["c"].shape[0])
        return objective.evaluate(params, grads), grads

    loss, grads = evaluate(both, 1)
    again, grads2 = evaluate(both, 2)
    assert torch.equal(loss, again)
    assert all(torch.equal(grads[b], grads2[b]) for b in grads)
    for run in range(2):
        alone, own = evaluate({b: v[run : run + 1].clone() for b, v in both.items()}, 1)
        assert torch.equal(alone[0], loss[run])
        assert all(torch.equal(own[b][0], grads[b][run]) for b in grads)


def test_without_numba_it_trains_by_autograd(monkeypatch):
    model, inputs = indrnn(), make_inputs(4, 2, 3, "last", seed=1)
    assert isinstance(objective_for(model, inputs, inputs.X[:, 0, 0], 4, ONE), FusedObjective)
    monkeypatch.setattr(native, "available", lambda: False)
    assert isinstance(objective_for(model, inputs, inputs.X[:, 0, 0], 4, ONE), AutogradObjective)
    params, delta = make_params(model, 4, seed=2, runs=2), make_params(model, 4, seed=3, runs=2)
    closed = model.tangent_sums(params, delta, inputs, ONE)
    generic = AutogradView(model).tangent_sums(params, delta, inputs, ONE)
    assert_close(closed, generic, ROUNDING[torch.float64], "sums in torch")


def test_initialisation():
    model = indrnn(omega=1.1)
    initial = symmetric_init(model, 400, 3, torch.float64)
    assert torch.equal(initial["w"].abs(), torch.full((400,), 1.1, dtype=torch.float64))
    assert torch.equal(initial["w"][:200], initial["w"][200:])
    assert 60 < int((initial["w"][:200] > 0).sum()) < 140
    assert not torch.equal(initial["w"].sign()[:200], initial["c"][:200])
    check_zero_at_start(model, make_inputs(4, 3, 3, "last", 1), 6, 5)


@pytest.mark.parametrize("activation", ["tanh", "erf", "sigmoid"])
@pytest.mark.parametrize("omega", [0.5, 1.0, 1.5])
def test_the_bound_on_the_input_weights_is_attained(activation, omega):
    """U = 0 keeps every z at 0, where σ' = σ1: equal tokens of norm B_x then add up."""
    s0, s1, _ = ACTIVATIONS[activation].constants
    for T in (1, 2, 7):
        X = torch.zeros(1, T, 3, dtype=torch.float64)
        X[..., 0] = 2.0
        head = {"c": torch.ones(1), "U": torch.zeros(1, 3), "w": torch.tensor([omega])}
        head = {b: v.double() for b, v in head.items()}
        grads = indrnn(activation).gradients(head, Inputs(X, X[:, -1]))
        bound = s1 * 2.0 * recurrent.geometric(omega * s1, T)
        assert_close(float(grads["U"].norm()), bound, 1e-12, f"‖∂h/∂U‖, T = {T}")
    # Two tokens: the first saturates h_1, the second cancels w h_1, so that z_2 = 0.
    head["U"][0, 0] = 12.0
    h1 = ACTIVATIONS[activation].value(torch.tensor(12.0, dtype=torch.float64))
    X = torch.zeros(1, 2, 3, dtype=torch.float64)
    X[0, 0, 0], X[0, 1, 0] = 1.0, -omega * h1 / 12
    by_w = float(indrnn(activation).gradients(head, Inputs(X, X[:, -1]))["w"].abs())
    assert 0.99 * s0 * s1 <= by_w <= s0 * s1 * (1 + 1e-12), "the first term of ∂h/∂w"


def make_problem(m, T, activation, **fields) -> Problem:
    rest = {"n": 4, "d": 3, "nu": UNBOUNDED, "eta": 0.01, "tau": 100, "delta": 0.05}
    return Problem(m=m, T=T, activation=activation, target="unknown", **rest, **fields)


@given(
    activation=st.sampled_from(BOUNDED),
    T=st.integers(1, 12),
    omega=st.sampled_from([0.3, 0.9, 1.0, 1.1, 1.5, 3.0]),
    rho=st.tuples(*[st.sampled_from([0.0, 1.0, 3.0])] * 3),
    norm=st.sampled_from([0.2, 1.0, 3.0]),
    kind=st.sampled_from(["ball", "sphere", "antipodal"]),
    boundary=st.booleans(),
    small=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_point_of_the_ball_exceeds_the_gradient_bound(
    activation, T, omega, rho, norm, kind, boundary, small, seed
):
    model, m = indrnn(activation, omega), 4
    inputs = make_inputs(4, T, 3, "last", seed, kind, norm)
    initial = symmetric_init(model, m, seed, torch.float64)
    if small:  # the bound does not use U: near 0 the slopes are largest
        initial["U"] = initial["U"] * 1e-2
    radii = dict(zip(model.blocks, (r / math.sqrt(m) for r in rho), strict=True))
    at = in_ball(initial, radii, seed, boundary=boundary)
    problem = make_problem(m, T, activation, rho=Norms(*rho), B_x=norm)
    lin = Linearized(model, initial, inputs, ONE)
    measured = float(lin.squared_feature_norms(at).max())
    assert measured <= recurrent.squared_feature_norm(problem, omega) * (1 + 1e-9)


@pytest.mark.attack
@pytest.mark.parametrize("activation", BOUNDED)
@pytest.mark.parametrize("T", [2, 3, 6])
def test_ascent_does_not_exceed_the_gradient_bound(activation, T):
    """Gradient ascent on ‖∇h‖² over U and the tokens, many starts at once."""
    omega = 1.5
    model = indrnn(activation, omega)
    generator = torch.Generator().manual_seed(T)
    X = torch.randn(32, T, 3, generator=generator, dtype=torch.float64)
    U = torch.randn(16, 3, generator=generator, dtype=torch.float64)
    head = {"c": torch.ones(16).double(), "w": omega * torch.ones(16).double()}
    problem = make_problem(1, T, activation, rho=Norms(0, 0, 0))
    bound = recurrent.squared_feature_norm(problem, omega)
    best = 0.0
    for _ in range(300):
        X, U = X.detach().requires_grad_(), U.detach().requires_grad_()
        tokens = X / X.norm(dim=-1, keepdim=True).clamp(min=1)
        value = model.squared_gradient_norms({**head, "U": U}, Inputs(tokens, tokens[:, -1]))
        best = max(best, float(value.detach().max()))
        by_X, by_U = torch.autograd.grad(value.log().sum(), (X, U))
        X, U = X + 0.05 * by_X.sign(), U + 0.05 * by_U.sign()
    assert 0.2 * bound < best <= bound


def test_growth_of_the_bound_in_T():
    ratios = {r: [recurrent.geometric(r, T) for T in (10, 20, 40, 4000)] for r in (0.5, 1.0, 1.5)}
    assert ratios[1.0] == [10, 20, 40, 4000]
    assert ratios[0.5][-1] == pytest.approx(2)
    assert ratios[1.5][0] == pytest.approx((1.5**10 - 1) / 0.5)
    assert math.isinf(ratios[1.5][-1])
    problem = make_problem(4, 4000, "tanh", rho=Norms(1, 1, 1))
    found = recurrent.bounds(problem, 1.5).feature_norm
    assert found.value is None and "float64" in found.reason


def test_context_memory():
    sizes = {"T": 5, "d": 3, "n": 4}
    recurrence = build_model(configure({"model": "indrnn", **sizes}))
    attention, fixed = (build_model(configure({"query": q, **sizes})) for q in ("last", "fixed"))
    assert [recurrence.context_numbers(T, 8) for T in (5, 500)] == [8, 8]
    assert [attention.context_numbers(T, 8) for T in (5, 500)] == [15, 1500]
    assert [fixed.context_numbers(T, 8) for T in (5, 500)] == [15, 40]


def test_the_command_says_what_is_not_defined(command):
    code, out, err = command(*TRAIN, "--json", "--quiet")
    assert (code, err) == (0, "")
    data = json.loads(out)
    checks = {(row["term"], row["probe"], row["statistic"]): row for row in data["checks"]}
    norm = checks.pop(("gradient", "training", "feature_norm_max"))
    assert norm["verdict"] == "holds" and norm["bound"] == data["bounds"]["feature_norm"]
    for row in checks.values():
        assert (row["verdict"], row["bound"]) == ("not-defined", None)
        assert row["reason"], row
    assert [k for k, v in data["bounds"].items() if v is not None] == ["feature_norm"]
    assert list(data["config"]["rho"]) == ["c", "U", "w"]
    training = data["terms"]["optimization"]["training"]
    assert training["noise_floor"] == pytest.approx(0.19)
    assert training["min_validation_mse"] > 0
    assert command("verify", f"results/{data['id']}")[0] == 0
    assert data["id"].startswith("indrnn-ar-L1-m8-")


def test_the_teachers_labels_are_the_transformers(command):
    sizes = [
        "--m=4",
        "--tau=5",
        "--n=6",
        "--T=2",
        "--d=3",
        "--teacher-heads=64",
        "--search-steps=2",
    ]
    labels = []
    for model in ("transformer", "indrnn"):
        code, out, _ = command("train", *sizes, f"--model={model}", "--json", "--quiet")
        data = json.loads(out)
        assert code == 0
        labels.append(
            float(np.load(f"results/{data['id']}/trace.npz")["optimization/training/mse"][0])
        )
    assert labels[0] == pytest.approx(labels[1], rel=1e-9), "f(·; φ_0) = 0: R̂ is the labels' size"
    assert "approximation" not in data["terms"]
    reasons = {row["reason"] for row in data["checks"] if row["term"] == "approximation"}
    assert any("moves Transformer heads" in reason for reason in reasons)


def test_the_theorems_claims_are_not_about_recurrent_runs():
    """A gradient that grows in T refutes the claim only where a Transformer did it."""

    def records(model):
        return [
            Record(
                id=f"{model}{T}{seed}",
                theorem="shallow-transformer",
                version=1,
                config={"model": model, "T": T, "seed": seed, "dtype": "float64"},
                conditions={IN_BALL: True},
                terms={"gradient": {"training": {"feature_norm_max": T * (1 + 0.01 * seed)}}},
            )
            for T in (8, 16, 32, 64)
            for seed in range(5)
        ]

    claims = [claim for claim in CLAIMS if claim.axis == "T"]
    both = check([*records("transformer"), *records("indrnn")], claims)
    verdicts = {dict(fit.arm)["model"]: fit.verdict for fit in both.fits}
    assert verdicts == {"transformer": "violated"}
    assert claims_of(records("transformer")) == claims
    assert claims_of(records("indrnn")) == [], "nothing is claimed of the recurrence"


@pytest.mark.parametrize("wrong", [
    lambda ratio, terms: recurrent_sum(ratio, terms - 1),
    lambda ratio, terms: recurrent_sum(ratio, terms + 1),
    lambda ratio, terms: ratio ** max(0, terms - 1),
], ids=["a term short", "a term more", "the last term alone"])  # fmt: skip
def test_a_wrong_bound_is_seen(monkeypatch, wrong):
    monkeypatch.setattr(recurrent, "geometric", wrong)
    with pytest.raises(AssertionError):
        test_the_bound_on_the_input_weights_is_attained("tanh", 1.5)


recurrent_sum = recurrent.geometric
