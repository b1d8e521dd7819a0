"""What the training bound allows for arithmetic covers what the kernels really do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ntkbound.core.registry import configure
from ntkbound.heads.model import together
from ntkbound.heads.sums import squared_distance
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.choose import objective_for
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems.shallow_transformer.bounds import descent_bound, rmse_root
from ntkbound.theorems.shallow_transformer.data import prepare
from ntkbound.theorems.shallow_transformer.rounding import FUNCTION, rounding
from ntkbound.theorems.shallow_transformer.start import Start, build_model, start
from tests.support.problems import in_ball, parts

SMALL = {"m": 32, "tau": 100, "n": 40, "T": 5, "d": 3, "teacher_heads": 64, "records": 4}
CASES = [
    {},
    {"activation": "erf", "query": "mean", "d": 8},
    {"activation": "sigmoid", "query": "fixed", "T": 1},
    {"activation": "bump", "transport": "anchors", "m": 2, "n": 1},
    {"inputs": "ball", "input_norm": 4.0, "rho": 3.0, "nu": 3.0},
    {"m": 256, "n": 300, "T": 16},
]


def begun(**fields) -> Start:
    config, _, make = parts(prepare(configure(SMALL | fields)))
    model, tools = build_model(config), Tools(Workers(1))
    return start(config, model, make(model, tools.workers, tools.cache), tools.workers)


def steepness(run, params):
    return math.sqrt(float(run.lin.squared_feature_norms(params).mean()))


def evaluated(run, kind, params, dtype):
    """∇R̂ as float64, and the residual that R̂ is the mean square of."""
    inputs, y = run.task.inputs.to(dtype, "cpu"), run.task.y.to(dtype)
    objective = kind(run.model, inputs, y, run.config.m, run.workers)
    seen = {b: v.to(dtype) for b, v in together(params).items()}
    grads = {b: torch.empty_like(v) for b, v in seen.items()}
    loss = objective.evaluate(seen, grads)
    return {b: g[0].double() for b, g in grads.items()}, math.sqrt(float(loss[0]))


KINDS = {
    "native": objective_for,
    "blocked": BlockedObjective,
    "autograd": lambda model, inputs, y, m, workers: AutogradObjective(model, inputs, y),
}


def check_gradients(run, kind, dtype):
    """ĝ and R̂ at points of Ω_ρ beside autograd in float64; the largest share of what is allowed."""
    largest = 0.0
    for seed in range(3):
        at = in_ball(run.initial, run.radii, seed, boundary=True)
        exact, root = evaluated(run, KINDS["autograd"], at, torch.float64)
        found, seen = evaluated(run, kind, at, dtype)
        steep = max(steepness(run, p) for p in (run.initial, at)) * 1.5
        allowed = rounding(run, run.problem.rho, steep, str(dtype).removeprefix("torch."))
        assert root <= allowed.loss
        error = math.sqrt(squared_distance(run.model, found, exact, run.workers))
        assert error <= allowed.constant + allowed.relative * root <= allowed.gradient * (1 + 1e-12)
        assert abs(seen - root) <= allowed.residual
        largest = max(largest, error / allowed.gradient)
    return largest


@pytest.mark.parametrize("fields", CASES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_is_farther_from_the_exact_one(fields, kind):
    run = begun(**fields)
    assert check_gradients(run, KINDS[kind], torch.float32) > 0
    if kind != "autograd":
        check_gradients(run, KINDS[kind], torch.float64)


def test_a_coarser_kernel_is_seen():
    """Samples rounded to eight bits: an error that no sum in float32 makes."""
    run = begun()

    def coarse(model, inputs, y, m, workers):
        less = replace(inputs, X=inputs.X.to(torch.bfloat16).to(inputs.X.dtype) * 1.05)
        return objective_for(model, less, y, m, workers)

    with pytest.raises(AssertionError):
        check_gradients(run, coarse, torch.float32)


@pytest.mark.parametrize(
    ("fields", "grows"),
    [({"m": 128}, "m"), ({"n": 4000}, "n"), ({"T": 500}, "T"), ({"d": 12}, "d")],
)
def test_it_grows_with_the_sizes_of_its_sums(fields, grows):
    assert rounded(**fields).gradient > rounded().gradient, grows


def rounded(dtype="float32", **fields):
    run = begun(**fields)
    return rounding(run, run.problem.rho, 1.0, dtype)


def test_it_is_proportional_to_the_unit():
    single, double = rounded(), rounded("float64")
    for name in ("residual", "constant", "relative"):
        ratio = getattr(single, name) / getattr(double, name)
        # Products of two roundings are the rest: 3e-4 of one at float32.
        assert ratio == pytest.approx(2.0**29, rel=1e-3), name
    assert single.landing == double.landing, "iterates are float64 whatever trains"
    assert double.gradient < 1e-9


def test_sizes_beyond_a_precision_leave_no_bound():
    problem = begun().problem
    coarse = rounded(T=4, rho=1e6)
    assert math.isinf(coarse.gradient)
    none = descent_bound(problem, 0.1, 1.0, 1.0, coarse)
    assert (none.value, none.absent) == (None, "vacuous")
    assert none.reason == "float32 is too coarse for these sizes to be sure of anything: " \
        "set dtype float64"  # fmt: skip
    assert math.isfinite(rounded("float64", T=4, rho=1e6).gradient)


def test_the_bound_pays_for_every_step():
    """Against the inequality of docs/certificates.md §6, one step after the other."""
    problem, found = replace(begun().problem, tau=50, eta=0.1), rounded()
    epsilon, L2, V0 = 0.02, 1.0, 0.5  # steep = 1 in ``rounded``
    value = descent_bound(problem, epsilon, L2, V0, found).value
    bound = value - 2 * found.residual
    # The worst that the proof allows: R̂ = bound² at every step, every error the largest.
    eta, far, error = problem.eta, found.far, found.constant + found.relative * bound
    V = V0
    for _ in range(problem.tau):
        V += -4 * eta * (bound**2 - epsilon * bound) + 4 * eta**2 * L2 * bound**2
        V += 2 * eta * error * far
        V += eta**2 * found.gradient * (4 * found.loss * found.steep + found.gradient)
        V += found.landing * (2 * far + 3 * found.landing)
    assert abs(V) < 1e-12, "the potential is used up, and no larger R̂ was paid for"
    assert value > rmse_root(epsilon, L2, V0, eta, problem.tau)


def test_functions_are_as_accurate_as_is_assumed():
    """exp, σ and σ' of the kernels at many numbers of every size, within half of FUNCTION·u."""
    for dtype in (torch.float32, torch.float64):
        u = torch.finfo(dtype).eps / 2
        for name in ("tanh", "erf", "sigmoid", "bump"):
            assert of_activation(name, dtype) < FUNCTION / 2 * u, (name, dtype)
        assert of_weights(dtype) < FUNCTION / 2 * u, dtype


def numbers(dtype):
    sizes = np.concatenate([np.geomspace(1e-30, 1e-2, 3000), np.linspace(1e-2, 12, 20000)])
    return torch.from_numpy(np.concatenate([-sizes, sizes])).to(dtype)


def of_activation(name, dtype):
    """|σ̂ − σ| and |σ̂' − σ'|: heads with T = 1 and z = U·X = U, all samples the same."""
    z = numbers(dtype)
    z = torch.cat([z, z.new_zeros((-len(z)) % 2)])
    run = begun(activation=name, d=1, T=1, m=2, n=1, query="fixed",
                transport="anchors" if name == "bump" else "rank-one")  # fmt: skip
    inputs = replace(run.task.inputs, X=torch.ones(1, 1, 1, dtype=dtype),
                     q=torch.ones(1, 1, dtype=dtype))  # fmt: skip
    params = {"c": torch.ones_like(z)[None], "U": z[None, :, None], "k": 0 * z[None, :, None]}
    objective = objective_for(run.model, inputs, z.new_full((1,), -1.0), len(z), run.workers)
    grads = {b: torch.empty_like(v) for b, v in params.items()}
    objective.evaluate(params, grads)
    whole, sigma = z.double(), run.model.activation
    value = sigma.value(whole)
    slope = sigma.slope(whole, value)
    # Both gradients are the same factor 2 r/(n√m) times σ and σ': read where |σ| is 1.
    factor = float(grads["c"][0].double()[value.abs().argmax()] / value[value.abs().argmax()])
    off = [grads["c"][0].double() / factor - value, grads["U"][0, :, 0].double() / factor - slope]
    return float(torch.stack(off).abs().max())


def of_weights(dtype):
    """Relative error of e^{s} for two tokens, from the share p of the second: p/(1 − p) = e^s."""
    s = -numbers(dtype).abs()[::7]
    s = torch.cat([s, s.new_zeros((-len(s)) % 2)])
    run = begun(d=1, T=2, m=2, n=1, query="fixed")
    inputs = replace(run.task.inputs, X=torch.tensor([[[0.0], [1.0]]], dtype=dtype),
                     q=torch.ones(1, 1, dtype=dtype))  # fmt: skip
    params = {"c": torch.ones_like(s)[None], "U": 0 * s[None, :, None], "k": s[None, :, None]}
    grads = {b: torch.empty_like(v) for b, v in params.items()}
    objective_for(run.model, inputs, s.new_full((1,), 1.0), len(s), run.workers).evaluate(
        params, grads
    )
    share = grads["U"][0, :, 0].double() / (-2 / math.sqrt(len(s)))  # r = −1, σ'(0) = 1: a = p
    exact = torch.sigmoid(s.double())
    # A score of this size is itself rounded: u|s| log2(e) twice.
    size = torch.finfo(dtype).eps * s.double().abs() * 2
    return float(((share - exact).abs() / exact - size).max())


def test_a_run_keeps_what_it_allows_for(finished):
    (row,) = (row for row in finished.certificates if row.term == "gradient_error")
    assert row.level == "a-posteriori"
    assert 0 < row.value < 0.1
