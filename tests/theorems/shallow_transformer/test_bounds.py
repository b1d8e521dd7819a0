"""The explicit bounds of theory §3: never exceeded, free of T, minimised, null with a reason."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound import run
from ntkbound.core.outcome import Bound, check
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import symmetric_init
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.transport import transported_parameters
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import NoCache
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem
from ntkbound.theorems.shallow_transformer.start import build_model
from ntkbound.theorems.shallow_transformer.statement import MIN_MSE
from ntkbound.theorems.shallow_transformer.teacher import Teacher, teacher_task
from tests.support.bound_checks import check_bounds, check_constants
from tests.support.problems import BOUNDED, QUERIES, SMALL_RUN, BoundCase

SIZES = st.one_of(st.just(0.0), st.floats(0.01, 4))
CASES = st.builds(
    BoundCase,
    activation=st.sampled_from(BOUNDED),
    query=st.sampled_from(QUERIES),
    n=st.integers(1, 3),
    T=st.sampled_from([1, 2, 3, 8, 64]),
    d=st.integers(1, 4),
    m=st.sampled_from([2, 4, 16]),
    rho=st.tuples(SIZES, SIZES, SIZES),
    nu=st.tuples(SIZES, SIZES, SIZES),
    norm=st.sampled_from([1.0, 1.0, 0.3, 2.5]),
    kind=st.sampled_from(["ball", "sphere", "antipodal"]),
    seed=st.integers(0, 2**32),
)


U = np.linspace(0.5, 3.5, 64)  # ‖U_i(0)‖


def make_problem(**fields) -> Problem:
    standard = {
        "n": 50, "m": 64, "d": 4, "T": 3, "activation": "tanh", "rho": Norms(1, 1, 1),
        "nu": Norms(1, 1, 1), "eta": 1e-3, "tau": 10**6, "delta": 0.05,
    }  # fmt: skip
    return Problem(**{**standard, **fields})


@pytest.mark.parametrize("name", BOUNDED)
def test_activation_constants_are_the_exact_suprema(name):
    check_constants(name)


@given(CASES)
def test_no_bound_is_exceeded(case):
    check_bounds(case)


@pytest.mark.attack
@settings(max_examples=1500)
@given(CASES)
def test_no_bound_is_exceeded_attack(case):
    check_bounds(case, restarts=6, steps=60)


@pytest.mark.parametrize("T", [1, 2, 4, 16, 64])
def test_no_bound_is_exceeded_at_any_length(T):
    for query, kind in itertools.product(QUERIES, ("ball", "antipodal")):
        check_bounds(
            BoundCase("tanh", query, 2, T, 3, 4, (1, 1, 1), (1, 1, 1), 1.0, kind, seed=T), steps=15
        )


def test_the_attack_comes_near_the_bounds():
    """A check that cannot fail is no check: on their worst cases the bounds are nearly met."""
    # Only U moves, z ≈ 0 and ‖a‖ = 1 at T = 1: |∇f| → its bound; d = 1 and tiny radii for the rest.
    largest = {"linearization": 0.0, "change_of_feature": 0.0, "feature_norm": 0.0}
    for seed, rho in itertools.product(range(6), [(1, 0.05, 0), (0.3, 0.3, 0.3), (0.05, 1, 0)]):
        case = BoundCase("sigmoid", "last", 3, 2, 1, 2, rho, (1, 1, 1), 1.0, "antipodal", seed)
        for name, ratio in check_bounds(case).items():
            largest[name] = max(largest[name], ratio)
    assert largest["linearization"] > 0.5
    assert largest["change_of_feature"] > 0.5
    assert largest["feature_norm"] > 0.6


@pytest.mark.parametrize("norm", [0.3, 1.0, 3.0])
def test_scaling_the_inputs_equals_scaling_the_parameters(norm):
    """B_x ≠ 1: tokens X with (U, W) are the tokens X/B_x with (B_x U, B_x B_q W)."""
    problem = make_problem(B_x=norm, B_q=norm, rho=Norms(0.5, 0.7, 0.9), nu=Norms(0.3, 0.2, 0.1))
    scaled = make_problem(
        rho=Norms(0.5, 0.7 * norm, 0.9 * norm**2), nu=Norms(0.3, 0.2 * norm, 0.1 * norm**2)
    )
    both = ((problem, U), (scaled, norm * U))
    pairs = {
        "linearization": [theorem.linearization(*one) for one in both],
        "change_of_feature": [theorem.change_of_feature(*one) for one in both],
    }
    # Here U is random with unit variance in both, so its factor B_x moves to ν_w as well.
    wide = replace(scaled, nu=Norms(0.3, 0.2 * norm, 0.1 * norm**3))
    pairs["approximation"] = [theorem.approximation(s, 32, 0.05) for s in (problem, wide)]
    for name, (a, b) in pairs.items():
        assert a == pytest.approx(b, rel=1e-9), name


def test_bounds_decay_like_the_claims():
    """ε_lin, ε_cof, ε_app ~ 1/√m at large m; quadrupling n at fixed m adds √log only."""
    narrow, wide = (make_problem(m=m) for m in (10_000, 40_000))
    two = np.full(1, 2.0)  # every head alike
    for f in (lambda s: theorem.linearization(s, two), lambda s: theorem.change_of_feature(s, two),
              lambda s: theorem.approximation(s, s.m // 2, 0.05)):  # fmt: skip
        assert f(narrow) / f(wide) == pytest.approx(2, rel=0.03)
    few, many = (theorem.approximation(make_problem(n=n), 32, 0.05) for n in (100, 100**2))
    assert many / few < math.sqrt(math.log(2 * 100**2 / 0.05) / math.log(2 * 100 / 0.05)) * 1.3


@pytest.mark.parametrize("pairs", [1, 8, 4096])
@pytest.mark.parametrize("delta", [0.5, 0.05, 1e-6])
def test_the_approximation_bound_without_w_has_a_closed_form(pairs, delta):
    problem = make_problem(nu=Norms(0.7, 1.3, 0.0))
    alpha = 0.7 + 1.3
    expected = 4 * alpha * math.sqrt(math.log(2 * 50 / delta) / (2 * pairs))
    assert theorem.approximation(problem, pairs, delta) == pytest.approx(expected, rel=1e-12)
    nearly = make_problem(nu=Norms(0.7, 1.3, 1e-7))
    assert theorem.approximation(nearly, pairs, delta) == pytest.approx(expected, rel=1e-3)


@given(
    nu=st.tuples(st.floats(0, 5), st.floats(0, 5), st.floats(1e-3, 5)),
    d=st.integers(1, 32),
    pairs=st.integers(1, 10_000),
    n=st.integers(1, 10**6),
    delta=st.floats(1e-6, 0.9),
    activation=st.sampled_from(BOUNDED),
    norm=st.sampled_from([0.2, 1.0, 4.0]),
)
def test_the_approximation_bound_is_the_minimum_of_its_formula(
    nu, d, pairs, n, delta, activation, norm
):
    problem = make_problem(nu=Norms(*nu), d=d, n=n, activation=activation, B_x=norm, B_q=norm)
    found, sigma = theorem.approximation(problem, pairs, delta), problem.sigma
    alpha = nu[0] * sigma[0] + nu[1] * sigma[1] * norm
    beta = nu[2] * sigma[1] * norm**3
    s = np.exp(np.linspace(-14, 14, 281))[:, None]
    b = 2 * (1 + 1 / s) * beta**2
    share = 1 / (1 + np.exp(-np.linspace(-25, 12, 371)))[None, :]
    lam = share / np.sqrt(b)
    grid = 2 * lam**2 * (1 + s) * alpha**2 - d * np.log1p(-(lam**2) * b)
    grid = (grid + math.log(2 * n / delta) / pairs) / lam
    assert found <= grid.min() * (1 + 1e-6), "the minimisation stopped early"
    assert found >= grid.min() * (1 - 5e-3), "below every point of the formula: no bound at all"


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_approximation_bound_covers(activation):
    _coverage(activation, draws=60, m=8)


@pytest.mark.attack
@pytest.mark.parametrize("m", [2, 8, 64])
@pytest.mark.parametrize("activation", ["tanh", "erf", "sigmoid"])
def test_the_approximation_bound_covers_attack(activation, m):
    _coverage(activation, draws=2000, m=m)


def _coverage(activation, draws, m, delta=0.3):
    """Over fresh φ_0 the bound fails at most a share δ of the time."""
    config = Config(m=m, n=20, T=4, d=2, activation=activation, teacher_heads=4096, delta=delta)
    model = build_model(config)

    task = teacher_task(Teacher.of(config), Workers(1), NoCache())
    problem = make_problem(n=20, m=m, d=2, activation=activation, label_heads=4096)
    bound = theorem.approximation(problem, m // 2, delta) + theorem.label_error(problem, 1e-3)
    above = 0
    for seed in range(draws):
        initial = symmetric_init(model, m, 1000 + seed, torch.float64)
        moved = transported_parameters(initial, task.transport)
        lin = Linearized(model, initial, task.inputs, Workers(1))
        errors = approximation_errors(lin, moved, task.y)
        above += float(errors.abs().max()) > bound
    assert above <= delta * draws + 3 * math.sqrt(delta * (1 - delta) * draws)


TRAINED = [
    {"activation": "sigmoid", "d": 1, "tau": 30},
    {"activation": "sigmoid", "d": 2, "tau": 150, "query": "mean", "transport": "anchors"},
    {"activation": "tanh", "d": 1, "tau": 200, "query": "fixed"},
    {"activation": "bump", "d": 2, "tau": 100, "transport": "random-feature", "T": 8},
    {"activation": "sigmoid", "d": 1, "tau": 1500, "input_norm": 1.3, "transport": "constant"},
    {"activation": "erf", "d": 1, "tau": 400, "m": 128, "T": 1},
    {"activation": "sigmoid", "d": 1, "tau": 40, "rho": 0.3, "nu": 0.3, "m": 2},
    {"activation": "tanh", "d": 2, "tau": 300, "rho": 4, "nu": 0.5, "m": 32},  # far from ∂Ω_ρ
]


@pytest.mark.parametrize("fields", TRAINED, ids=lambda f: f"{f['activation']}-tau{f['tau']}")
@pytest.mark.parametrize("seed", range(2))
def test_the_training_theorem_holds(fields, seed, tmp_path):
    config = Config(**{**SMALL_RUN, **fields, "seed": seed, "dtype": "float64"})
    record = run(config, Execution(tmp_path, threads=1))
    bound = record.bounds["training_rmse"]
    assert bound is not None, "the case was meant to have a bound"
    training = record.terms["optimization"]["training"]
    assert training["min_rmse"] <= bound
    assert math.sqrt(training["mean_mse"]) <= bound, "it also bounds the average of R̂"
    assert record.bounds["optimization_mse"] == pytest.approx(bound**2)
    initial = float(record.trace["optimization/training/mse"][0])
    for row in record.checks:
        trivial = row.term == "optimization" and bound**2 > initial
        assert row.verdict == ("vacuous" if trivial else "holds"), row


def test_what_training_never_reached_costs_nothing(tmp_path):
    """Widening ρ beyond the reach of training leaves the descent, and its bound, as they were."""
    found = []
    for rho in (4, 8):
        fields = {**SMALL_RUN, "d": 2, "tau": 300, "rho": rho, "nu": 0.5, "m": 32}
        record = run(Config(**fields, dtype="float64"), Execution(tmp_path, threads=1))
        assert max(record.terms["gradient"]["reach"].values()) < 3
        found.append(record)
    near, far = found
    assert near.terms["optimization"] == far.terms["optimization"]
    assert far.bounds["linearization"] > 2 * near.bounds["linearization"]
    assert far.bounds["training_rmse"] == pytest.approx(near.bounds["training_rmse"], rel=1e-9)


def test_the_training_bound_is_the_formula():
    problem = make_problem(eta=1e-3, tau=10**6)
    k = 1 - 1e-3 * theorem.squared_feature_norm(problem, U)
    epsilon = 0.4
    found = theorem.training_rmse(problem, U, epsilon).value
    assert found == pytest.approx((0.4 + math.sqrt(0.16 + k * 3 / 1000)) / (2 * k), rel=1e-12)
    # Without ε the optimization part of the MSE is V_0/(4kητ).
    assert theorem.training_rmse(problem, U, 0.0).value ** 2 == pytest.approx(3 / (4 * k * 1000))


def test_a_vacuous_bound_says_which_tau_would_do():
    problem = make_problem()
    L4 = theorem.squared_feature_norm(problem, U) ** 2
    short = replace(problem, tau=25, eta=0.2)
    reason = theorem.training_rmse(short, U, 0.1)
    assert reason.value is None
    assert reason.reason.startswith("needs ηL² < 1: τ > ")
    needed = int(reason.reason.split()[-1])
    assert needed == math.ceil(L4)
    enough = replace(problem, tau=needed + 1, eta=1 / math.sqrt(needed + 1))
    assert theorem.training_rmse(enough, U, 0.1).value is not None
    scaled = theorem.training_rmse(replace(problem, tau=25, eta=0.6), U, 0.1)  # η = 3/√τ
    assert int(scaled.reason.split()[-1]) == math.ceil(9 * L4)


@pytest.mark.parametrize("block", range(3))
def test_a_target_outside_the_projection_ball_has_no_training_bound(block):
    nu = [0.5, 0.5, 0.5]
    nu[block] = 1.1
    found = theorem.training_rmse(make_problem(nu=Norms(*nu)), U, 0.1)
    assert found == theorem.OUTSIDE
    assert (found.value, found.absent) == (None, "condition-not-met")


def test_verdicts_of_a_check():
    def verdict(measured, bound):
        return check(MIN_MSE, measured, bound).verdict

    assert verdict(1.0, Bound(2.0)) == "holds"
    assert verdict(1.0, Bound(1.0)) == "holds"
    assert verdict(1.1, Bound(1.0)) == "bound-violated"
    assert verdict(1.1, Bound(1.0, delta=0.05)) == "inconclusive"
    assert verdict(1.1, Bound(1.0, delta=None)) == "inconclusive"
    assert verdict(1.0, Bound(None, "why")) == "vacuous"
    assert verdict(1.0, Bound(None, "why", absent="not-defined")) == "not-defined"
    assert check(MIN_MSE, 0.5, Bound(2.0)).slack == 4
    assert check(MIN_MSE, 0.0, Bound(2.0)).slack is None
