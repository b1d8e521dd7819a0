"""The planner: the inversion is exact, monotone, honest about δ, and its intervals cover."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from ntkbound.stats import Series, crossing
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer.plan import inversion as planner
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem
from tests.support.problems import TRAIN

ONE = Norms(1, 1, 1)
PROBLEM = Problem(
    n=100, m=64, d=4, T=16, activation="tanh", rho=ONE, nu=ONE, eta=1.0, tau=1, delta=0.05
)
LEVELS = list(planner.LEVELS)


def bound(problem, name, m, tau):
    return planner.guaranteed_rmse(problem, name, m, tau)


@pytest.mark.parametrize("name", LEVELS)
@settings(max_examples=2)
@given(target=st.floats(0.2, 5.0))
def test_what_is_free_is_minimal(name, target):
    found = planner.plan(PROBLEM, target, name)
    m, tau = found.m, found.tau
    assert bound(PROBLEM, name, m, tau) <= target
    assert bound(PROBLEM, name, m - 2, tau) > target
    assert bound(PROBLEM, name, m, tau - 1) > target
    level = planner.LEVELS[name]
    assert level(replace(PROBLEM, m=found.fewest_heads)).epsilon < target
    assert level(replace(PROBLEM, m=found.fewest_heads - 2)).epsilon >= target
    steps = planner.plan(PROBLEM, target, name, m=2 * m)
    assert bound(PROBLEM, name, 2 * m, steps.tau) <= target
    assert bound(PROBLEM, name, 2 * m, steps.tau - 1) > target
    heads = planner.plan(PROBLEM, target, name, tau=10 * tau)
    assert bound(PROBLEM, name, heads.m, 10 * tau) <= target
    assert bound(PROBLEM, name, heads.m - 2, 10 * tau) > target


@pytest.mark.parametrize("name", LEVELS)
@settings(max_examples=15)
@given(m=st.integers(1, 10**9), tau=st.integers(1, 10**9), factor=st.integers(2, 1000))
def test_bounds_fall_with_heads_and_steps(name, m, tau, factor):
    here = bound(PROBLEM, name, 2 * m, tau)
    assert bound(PROBLEM, name, 2 * m * factor, tau) <= here * (1 + 1e-6)
    assert bound(PROBLEM, name, 2 * m, tau * factor) <= here * (1 + 1e-12)


@pytest.mark.parametrize("d", [1, 8, 100])
@pytest.mark.parametrize("m", [2, 16, 1000])
def test_mean_square_norm_covers_the_quantile(m, d):
    """Against the exact law of m/2 independent pairs, and at most 6 times."""
    for delta in (0.3, 0.05, 1e-4):
        exact = chi2.isf(delta, m / 2 * d) / (m / 2)
        assert exact <= planner.mean_square_norm(d, m, delta) <= 6 * exact


def test_it_bounds_what_a_run_will_be_told():
    """Above the closed-form bound of realised heads, and by little."""
    m, rng = 64, np.random.default_rng(0)
    known = planner.closed_form(replace(PROBLEM, m=m))
    problem = replace(PROBLEM, m=m, delta=0.98 * 0.05)
    for _ in range(50):
        u = np.tile(np.linalg.norm(rng.standard_normal((m // 2, 4)), axis=1), 2)
        epsilon = theorem.linearization(problem, u) + theorem.change_of_feature(problem, u)
        epsilon += theorem.approximation(problem, m // 2, problem.delta)
        assert 0.5 * known.epsilon < epsilon <= known.epsilon
        assert theorem.squared_feature_norm(problem, u) <= known.squared_feature_norm


def test_width_grows_like_log_n():
    n = [10**k for k in range(2, 9)]
    m = np.array(planner.width_curve(PROBLEM, 0.5, LEVELS[0], n), dtype=float)
    line = np.polyval(np.polyfit(np.log(n), m, 1), np.log(n))
    assert np.abs(m - line).max() < 0.02 * m.max()
    assert np.all(np.diff(m) > 0)


def test_targets_that_cannot_be_guaranteed():
    name = LEVELS[0]
    labels = planner.plan(replace(PROBLEM, label_heads=512), 0.1, name)
    assert labels.m is None and "the error of labels that average 512 heads" in labels.reason
    outside = planner.plan(replace(PROBLEM, nu=Norms(2, 1, 1)), 0.1, name)
    assert outside.m is None and "needs ν ≤ ρ" in outside.reason
    assert "no finite τ at m = 4" in planner.plan(PROBLEM, 0.1, name, m=4).reason
    assert "no finite m at τ = 5" in planner.plan(PROBLEM, 0.1, name, tau=5).reason


def series(values, points):
    seeds = tuple(str(i) for i in range(len(values)))
    return Series("m", "a", "b", "c", (), np.array(points, float), np.array(values), seeds)


def test_the_crossing_of_an_exact_law():
    points = [16, 32, 64]
    y = [[3 * x**-0.5 for x in points]] * 3
    found = crossing(series(y, points), 0.5)
    assert [found.value, found.low, found.high] == pytest.approx([36] * 3)
    assert not found.extrapolated
    assert crossing(series(y, points), 0.1).extrapolated
    assert crossing(series([[1, 1, 1]] * 3, points), 0.1).value is None


def test_the_interval_covers():
    rng, points, true, hits = np.random.default_rng(1), np.array([16, 32, 64, 128]), 300.0, 0
    target = 3 * true**-0.5
    for _ in range(600):
        noise = 0.1 * rng.standard_normal((5, 4)) + 0.1 * rng.standard_normal((5, 1))
        found = crossing(series(3 * points**-0.5 * np.exp(noise), points), target)
        inside = found.low is None or found.low <= true
        hits += inside and (found.high is None or true <= found.high)
    assert 0.93 <= hits / 600 <= 0.97


def test_the_command(command, folder):
    code, out, err = command("plan", "--target=0.5", "--n=100", "--d=4", "--curve=m.svg")
    assert (code, err) == (0, "")
    assert "closed-form" in out and "guaranteed RMSE" in out
    assert (folder / "m.svg").stat().st_size > 1000
    _, out, _ = command("plan", "--target=0.5", "--n=100", "--d=4", "--json")
    (row,) = (r for r in json.loads(out)["plans"] if r["level"] == "closed-form")
    assert row["rmse"] <= 0.5 < bound(PROBLEM, "closed-form", row["m"] - 2, row["tau"])


def test_a_record_gives_the_problem(command, folder):
    command(*TRAIN, "--nu=0.5", "--eta-scale=2", "--quiet")
    (path,) = (p for p in (folder / "results").iterdir() if p.name.startswith("st-"))
    code, out, _ = command("plan", "--target=5", str(path), "--json")
    assert code == 0
    config = json.loads((path / "run.json").read_text())["config"]
    problem = json.loads(out)["problem"]
    for name in ("n", "d", "activation", "delta", "teacher_heads"):
        assert problem[name] == config[name]
    assert problem["nu"] == {"c": 0.5, "u": 0.5, "w": 0.5}
    assert problem["eta_scale"] == pytest.approx(2)
    _, out, _ = command("plan", "--target=5", str(path), "--n=7", "--json")
    assert json.loads(out)["problem"] == problem | {"n": 7}


def test_what_was_measured(command):
    for m in (8, 16, 32):
        for seed in (0, 1, 2):
            command(*TRAIN[:1], *TRAIN[2:], f"--m={m}", f"--seed={seed}", "--quiet")
    code, out, _ = command("plan", "--target=0.05", "--from=results", "--json")
    assert code == 0
    (found,) = json.loads(out)["measured"]
    assert (found["axis"], found["points"], found["seeds"]) == ("m", 3, 3)
    assert "measured min RMSE" in command("plan", "--target=0.05", "--from=results")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target=0"], "--target: 0 is not a positive RMSE"),
        (["--target=nan"], "--target: nan is not a positive RMSE"),
        (["--target=1", "--m=3"], "--m: 3 is odd"),
        (["--target=1", "--activation=relu"], "--activation: relu has no bounded"),
        (["--target=1", "--delta=2"], "--delta: "),
        (["--target=1", "--from=absent"], "absent: no such results folder"),
        (["--target=1", "--curve=m.gif"], "--curve m.gif: unknown format"),
        ([], "Missing option '--target'"),
    ],
)
def test_bad_input(refused, arguments, message):
    assert refused("plan", *arguments).startswith(message)


def test_infinite_bounds_are_told():
    assert math.isinf(bound(PROBLEM, LEVELS[0], 8, 1))
    assert "the bound is vacuous" in planner.plan(PROBLEM, 0.5, LEVELS[0], m=8, tau=1).reason
