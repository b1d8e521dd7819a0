"""The compiled search against brute force and torch.func, and how stationary it ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.model import Inputs, symmetric_init
from ntkbound.heads.native import search
from ntkbound.heads.terms.worst import Search, candidates, seen_heads, signed_suprema
from ntkbound.heads.transformer import ShallowTransformer
from tests.support.brute_force import HeadProblem
from tests.support.checks import ONE
from tests.support.problems import BOUNDED, QUERIES, in_ball, make_inputs, make_model
from tests.support.search_kernel import compiled, mutated, value_and_gradient
from tests.support.tolerances import ROUNDING, assert_close

DEFAULT = Search(8, 20, 0)
SIZES = st.floats(-3, math.log10(3)).map(lambda x: 10**x)
RADII = st.one_of(st.sampled_from([0.0, 1.0, 3.0]), SIZES)

PROBLEMS = st.fixed_dictionaries(
    {
        "activation": st.sampled_from(BOUNDED),
        "query": st.sampled_from(QUERIES),
        "d": st.integers(1, 2),
        "T": st.integers(1, 3),
        "rho": st.tuples(RADII, RADII, RADII),
        "nu": st.tuples(RADII, RADII, RADII),
        "scores": st.sampled_from([1.0, 1.0, 20.0]),
        "seed": st.integers(0, 2**20),
    }
)


def shares(activation, query, d, T, rho, nu, scores, seed):
    """Searched over brute-force suprema of one pair of heads at one sample, both errors.

    |error| maximal over both heads together, as a record holds it: (2,).
    """
    model, inputs = make_model(activation, query, d), make_inputs(1, T, d, query, seed)
    initial = symmetric_init(model, 2, seed, torch.float64)
    initial[model.key] = scores * initial[model.key]
    radii, far = (dict(zip(model.blocks, r, strict=True)) for r in (rho, nu))
    goal = in_ball(initial, far, seed + 1, boundary=True)
    found = []
    for target in (None, goal):
        heads = seen_heads(model, initial, target, radii, inputs)
        points = candidates(heads.model, DEFAULT, [slice(0, 2)])
        found.append(signed_suprema(heads, inputs, points, DEFAULT.steps, ONE)[0, :, 0].sum(1))
    X, q = inputs.X[0].numpy(), inputs.q[0].numpy()
    stretch = 1.0 if model.key == "k" else float(np.linalg.norm(q))

    def seen(params, i):
        c, U, key = (params[b][i].numpy() for b in model.blocks)
        return float(c), U, key if model.key == "k" else key @ q

    moved = {b: goal[b] - initial[b] for b in initial}
    truth = sum(
        HeadProblem(
            activation, X, seen(initial, i), (rho[0], rho[1], rho[2] * stretch), seen(moved, i)
        ).suprema()
        for i in range(2)
    )
    return torch.stack(found).amax(1).numpy(), truth.max(1)


def check_against_brute_force(problem):
    found, truth = shares(**problem)
    for name, value, top in zip(("linearization", "change of feature"), found, truth, strict=True):
        assert value >= 0.98 * top - 1e-12, f"{name}: {value / top:.4f} of brute force, {problem}"
        assert value <= 1.02 * top + 1e-12, f"{name}: {value / top:.4f} of brute force, {problem}"
    return found, truth


@settings(max_examples=3)
@given(PROBLEMS)
def test_the_default_search_meets_brute_force_in_the_plane(problem):
    """At least 98 % of the supremum, and no more than it: what is found is feasible."""
    check_against_brute_force({**problem, "d": 2})


@pytest.mark.attack
@settings(max_examples=300)
@given(PROBLEMS)
def test_the_default_search_meets_brute_force_attack(problem):
    check_against_brute_force(problem)


def kernel_problem(activation, change, T=5, d=3, heads=4):
    """Heads, radii, goal and points strictly inside their unit balls, as the kernel takes them."""
    rng = np.random.default_rng([T, d, change])
    X = rng.uniform(-1, 1, (T, d)) / math.sqrt(d)

    def triple():
        return rng.standard_normal(heads), *rng.standard_normal((2, heads, d))

    radii = tuple(rng.uniform(0.2, 1.5, (3, heads)))
    xi = rng.uniform(-1, 1, (heads, 2, d)) / math.sqrt(d)
    signs = np.where(np.arange(heads) % 2, -1.0, 1.0)
    return activation, X, triple(), radii, triple() if change else None, xi, signs


def by_autograd(activation, X, heads, radii, goal, xi, signs):
    """The same by ``torch.func``, head by head."""
    model = ShallowTransformer(X.shape[1], ACTIVATIONS[activation], fixed_query=True)
    inputs = Inputs(torch.from_numpy(X)[None], torch.zeros(1, X.shape[1]).double())

    def h(theta):
        return model.h({b: v[None] for b, v in theta.items()}, inputs)[0, 0]

    def one(i):
        base, limit, point = (
            dict(zip(model.blocks, (torch.from_numpy(np.array(v[i])) for v in values), strict=True))
            for values in (heads, radii, goal or heads)
        )
        return error_and_gradient(
            h, base, limit, point if goal else None, torch.from_numpy(xi[i]), signs[i]
        )

    values, slopes = zip(*(one(i) for i in range(len(signs))), strict=True)
    return torch.stack(values).numpy(), torch.stack(slopes).numpy()


def error_and_gradient(h, base, radii, goal, xi, sign):
    """± the error at ξ at its better end of δc, and its gradient in ξ: that of a jvp of h."""
    slope = torch.func.grad(h)(base)

    def error(x, end):
        delta = {"c": end * radii["c"], "U": radii["U"] * x[0], "k": radii["k"] * x[1]}
        moved = {b: base[b] + delta[b] for b in base}
        far = delta if goal is None else {b: delta[b] - goal[b] for b in base}
        linear = sum((slope[b] * far[b]).sum() for b in base)
        if goal is None:
            return sign * (h(moved) - h(base) - linear)
        return sign * (torch.func.jvp(h, (moved,), (far,))[1] - linear)

    end = max((1.0, -1.0), key=lambda e: float(error(xi, e)))
    gradient, value = torch.func.grad_and_value(error)(xi, end)
    return value, gradient


def check_kernel_gradient(run, activation, change):
    problem = kernel_problem(activation, change)
    values, slopes = value_and_gradient(run, *problem)
    expected, gradient = by_autograd(*problem)
    what = f"{activation}, {'change of feature' if change else 'linearization'}"
    assert_close(values, expected, ROUNDING[torch.float64], f"error, {what}")
    assert_close(slopes, gradient, ROUNDING[torch.float64], f"gradient of the error, {what}")


@pytest.fixture(scope="module")
def kernel():
    return compiled(search._evaluate)


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("activation", BOUNDED)
def test_the_kernel_climbs_by_the_gradient_of_the_error(activation, change, kernel):
    """Closed forms of ∇h − ∇h_0 and of the Hessian-vector product against torch.func."""
    check_kernel_gradient(kernel, activation, change)


# A line of the kernel's evaluation, and what it becomes.
WRONG = {
    "σ'' dropped": ("alpha = fma(weight * second, speed, alpha)", "alpha = alpha"),
    "∇h_0 not subtracted": ("zero - load(work, plan.origin + i))", "zero)"),
    "β (w − ż) dropped": ("fma(p * beta, load(work, w_at + t) - speed, second_weight)",
                          "second_weight"),
    "x̄ dropped": ("load(work, x_at + t) - middle", "load(work, x_at + t)"),
    "e_c dropped": ("fma(shift - load(work, head + V_C * lanes), first, alpha)", "alpha"),
}  # fmt: skip


@pytest.mark.attack  # each compiles the kernel again
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_term_of_the_gradient_is_caught(name):
    run = compiled(mutated(*WRONG[name]))
    with pytest.raises(AssertionError, match="gradient of the error"):
        check_kernel_gradient(run, "tanh", True)
