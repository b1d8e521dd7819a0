"""Transport maps: inside their balls to the last bit, not zero by parity, and f̃ itself."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core.errors import InputError
from ntkbound.core.registry import configure
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, fresh_heads
from ntkbound.heads.transport import transported_parameters
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import NoCache
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.start import build_model
from ntkbound.theorems.shallow_transformer.teacher import Teacher, average_labels, teacher_task
from tests.support.checks import check_transport
from tests.support.problems import BOUNDED
from tests.support.reference import SLOPE, VALUE

MAPS = ("rank-one", "random-feature", "constant", "anchors")
ALLOWED = [pair for pair in itertools.product(MAPS, BOUNDED) if pair != ("rank-one", "bump")]


def make_task(**fields):
    config = Config(**{"n": 4, "T": 3, "d": 2, "teacher_heads": 64, **fields})
    model = build_model(config)
    return config, model, teacher_task(Teacher.of(config), Workers(1), NoCache())


@given(
    pair=st.sampled_from(ALLOWED),
    query=st.sampled_from(["last", "fixed"]),
    d=st.sampled_from([1, 2, 3, 8, 16]),
    nu=st.tuples(*[st.one_of(st.just(0.0), st.floats(1e-3, 30))] * 3),
    size=st.floats(1e-3, 1e3),
    norm=st.sampled_from([0.2, 1.0, 4.0]),
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_every_map_stays_inside_its_balls_exactly(pair, query, d, nu, size, norm, seed, dtype):
    transport, activation = pair
    _, model, task = make_task(
        transport=transport, activation=activation, query=query, d=d, nu=list(nu), n=2,
        teacher_seed=seed, input_norm=norm, teacher_heads=2,
    )  # fmt: skip
    theta = fresh_heads(model, seed, 0, 40, torch.float64)
    for scale in (1.0, size):  # also far from where heads are drawn: "for every θ"
        moved = {b: v if b == "c" else scale * v for b, v in theta.items()}
        check_transport(task.transport, {b: v.to(dtype) for b, v in moved.items()})


@pytest.mark.parametrize(("transport", "activation"), ALLOWED)
def test_transported_parameters_lie_in_the_ball_of_nu(transport, activation):
    """φ̃ = φ_0 + v/√m; the norm used must be the norm recorded (a pitfall of published code)."""
    config, model, task = make_task(transport=transport, activation=activation, nu=[0.5, 2, 3])
    initial = fresh_heads(model, 0, 0, 16, torch.float64)
    moved = transported_parameters(initial, task.transport)
    for block, value in moved.items():
        scaled = (value - initial[block]).reshape(16, -1).norm(dim=1) * math.sqrt(16)
        assert float(scaled.max()) <= config.nu[block] * (1 + 1e-12), block
    used = {b for b, v in moved.items() if not torch.equal(v, initial[b])}
    vanishing = {-1: {"c", "W"}, 1: {"U"}}[model.activation.parity]
    expected = set(moved) - vanishing if transport == "constant" else set(moved)
    assert used == expected, "parts whose expectation vanishes by parity must be zero, no others"


@pytest.mark.parametrize("transport", ["rank-one", "constant"])
def test_maps_that_are_constant_in_size_use_their_whole_ball(transport):
    config, model, task = make_task(transport=transport, nu=[0.5, 2, 3])
    v = task.transport(fresh_heads(model, 0, 0, 50, torch.float64))
    for block, value in v.items():
        norms = value.reshape(50, -1).norm(dim=1)
        full = transport == "rank-one" or block == "U"
        assert torch.allclose(norms, torch.full_like(norms, config.nu[block] if full else 0.0))


@pytest.mark.parametrize("block", range(3))
@pytest.mark.parametrize(("transport", "activation"), ALLOWED)
def test_no_part_of_a_map_vanishes_by_parity(transport, activation, block):
    """f̃ of each part alone is far from zero, except where ``constant`` says it is zero."""
    nu = [0.0, 0.0, 0.0]
    nu[block] = 1.0
    _, model, task = make_task(
        transport=transport, activation=activation, nu=nu, n=20, d=3, teacher_heads=16384,
        query="mean",
    )  # fmt: skip
    name = list(model.blocks)[block]
    vanishing = {-1: {"c", "W"}, 1: {"U"}}[model.activation.parity]
    ratio = (task.y / task.standard_error.clamp(min=1e-300)).square().mean().sqrt()
    if transport == "constant" and name in vanishing:
        assert torch.equal(task.y, torch.zeros_like(task.y))
    else:
        assert float(ratio) > 5, f"{name} is zero within its standard error"


def test_rank_one_with_an_even_activation_is_refused():
    with pytest.raises(InputError, match=r"transport: rank-one represents the zero function"):
        configure({"activation": "bump"})


@pytest.mark.parametrize("transport", MAPS)
def test_labels_do_not_depend_on_the_student_or_on_threads(transport):
    fields = {"transport": transport, "teacher_heads": 5000, "seed": 3}
    _, _, first = make_task(**fields)
    _, _, second = make_task(**fields, m=64, init_seed=99, tau=7, rho=3)
    assert torch.equal(first.y, second.y)
    config, _, task = make_task(**fields)
    two = average_labels(Teacher.of(config), task.transport, task.inputs, Workers(2))
    assert torch.equal(two[0], first.y)
    assert torch.equal(two[1], first.standard_error)
    _, _, other = make_task(**fields, teacher_seed=4)
    assert not torch.equal(other.y, first.y)


@pytest.mark.parametrize("query", ["last", "mean", "fixed"])
@pytest.mark.parametrize(("transport", "activation"), [
    ("rank-one", "tanh"), ("rank-one", "erf"), ("rank-one", "sigmoid"),
    ("constant", "tanh"), ("constant", "bump"),
])  # fmt: skip
def test_labels_agree_with_quadrature(transport, activation, query):
    """d = 1, T = 2: f̃ is a double integral over (U, W), and so is the standard error."""
    nu, heads = (0.7, 1.3, 0.9), 16384
    _, model, task = make_task(
        transport=transport, activation=activation, query=query, nu=list(nu), T=2, d=1, n=4,
        teacher_heads=heads,
    )  # fmt: skip
    one = {b: torch.ones(1, *s, dtype=torch.float64) for b, s in model.blocks.items()}
    e = float(torch.sign(task.transport(one)["U"])) if transport == "rank-one" else math.nan
    if transport == "constant":
        e = float(
            torch.sign(task.transport(one)[list(model.blocks)[1 if activation != "bump" else 2]])
        )
        # v_w = c e eᵀ does not show the sign of e, and v_k = c q needs it: q is e there.
        e = float(task.inputs.q[0, 0]) if query == "fixed" else e
    for j in range(4):
        X, q = task.inputs.X[j, :, 0].numpy(), float(task.inputs.q[j, 0])
        mean, variance = _integrate(transport, activation, X, q, e, nu, query == "fixed")
        error = math.sqrt(variance / heads)
        assert abs(float(task.y[j]) - mean) <= 4.5 * error + 1e-6, f"sample {j}"
        # The standard error is itself estimated from 16384 heads.
        assert abs(float(task.standard_error[j]) / error - 1) < 0.1, f"sample {j}"


def _integrate(transport, activation, X, q, e, nu, fixed):
    """Mean and variance of ⟨v(θ), ∇h(X; θ)⟩ by Gauss–Legendre over U > 0, U < 0 and all W."""
    nodes, weights = np.polynomial.legendre.leggauss(36)

    def piece(low, high):
        x = (high - low) / 2 * nodes + (high + low) / 2
        w = (high - low) / 2 * weights * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return x, w

    U = [np.concatenate(parts) for parts in zip(piece(-7, 0), piece(0, 7), strict=True)]
    W = piece(-7, 7)
    values, masses = [], []
    for (u, mu), (w, mw) in itertools.product(zip(*U, strict=True), zip(*W, strict=True)):
        score = X * (w if fixed else w * q)
        p = np.exp(score - score.max())
        p /= p.sum()
        a = float(p @ X)
        MU, z = float(p @ (X - a) ** 2) * u, u * a
        slope = SLOPE[activation](z)
        # At c = 1: the factor c in v_u and v_w makes the terms at c = −1 the same.
        gradient = (VALUE[activation](z), slope * a, slope * MU * (1.0 if fixed else q))
        sign = math.copysign(1, u * e)
        if transport == "rank-one":
            key = math.copysign(1, u) * (1.0 if fixed else e)
            v = (sign, e, key)
        else:
            v = (0, e, 0) if activation == "tanh" else (1, 0, e if fixed else 1)
        values.append(sum(n * x * g for n, x, g in zip(nu, v, gradient, strict=True)))
        masses.append(mu * mw)
    values, masses = np.array(values), np.array(masses)
    assert abs(masses.sum() - 1) < 1e-9
    mean = float(values @ masses)
    return mean, float(values**2 @ masses) - mean**2


@pytest.mark.parametrize(("transport", "activation"), ALLOWED)
def test_labels_agree_with_a_larger_independent_average(transport, activation):
    """Heads from NumPy's own generator, derivatives by torch.func, all in float64."""
    _, model, task = make_task(
        transport=transport, activation=activation, d=3, T=4, n=8, teacher_heads=4096, nu=2
    )
    rng, count, parts = np.random.default_rng(12345), 4096, []
    generic = AutogradView(model)
    for _ in range(6):
        theta = {
            "c": torch.from_numpy(rng.choice([-1.0, 1.0], count)),
            "U": torch.from_numpy(rng.standard_normal((count, 3))),
            "W": torch.from_numpy(rng.standard_normal((count, 3, 3))),
        }
        parts.append(generic.jvp(theta, task.transport(theta), task.inputs)[1])
    terms = torch.cat(parts, dim=1)
    error = (terms.var(dim=1) / terms.shape[1] + task.standard_error.square()).sqrt()
    off = ((task.y - terms.mean(dim=1)) / error).abs()
    assert float(off.max()) < 4.5, f"{float(off.max()):.1f} standard errors"
    ratio = task.standard_error / (terms.var(dim=1) / 4096).sqrt()
    assert float((ratio - 1).abs().max()) < 0.1


def test_the_infinite_network_at_the_transported_parameters_approaches_the_labels():
    """f_lin(φ̃) is an average over m/2 pairs, so it meets the labels as m grows."""
    _, model, task = make_task(d=2, T=3, n=10, teacher_heads=16384)
    initial = fresh_heads(model, 77, 0, 4096, torch.float64)
    both = {b: torch.cat([-v, v]) if b == "c" else torch.cat([v, v]) for b, v in initial.items()}
    lin = Linearized(model, both, task.inputs, Workers(1))
    f = lin.outputs(transported_parameters(both, task.transport))
    assert float((f - task.y).abs().max()) < 0.1
