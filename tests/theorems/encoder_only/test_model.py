"""Loss and gradient in closed form: the fixture, autograd, and bits that depend on nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.machine.parallel import Workers
from ntkbound.theorems.encoder_only import model
from ntkbound.theorems.encoder_only.model import Objective
from ntkbound.theorems.encoder_only.problem import Weights
from tests.theorems.encoder_only.support import HALF, ONE, WORKERS, drawn, fixture, leaves, loss

FIXTURE = {  # ℓ, ‖∇O‖ ‖∇V‖ ‖∇Q‖ ‖∇K‖, ℓ after ten steps of γ = 0.1
    (HALF, "mean"): (
        0.5338544097,
        (1.27003291, 0.47657544, 0.0727678491, 0.0633322982),
        0.1101613481,
    ),
    (ONE, "mean"): (
        0.5925316595,
        (1.28907772, 0.54462184, 0.0243667159, 0.0201313160),
        0.1413727251,
    ),
    (HALF, "sum"): (0.5362277462, None, 0.0496955566),
}


def evaluated(*pairs, workers=WORKERS, steps=0, gamma=0.1):
    """The value after so many steps, and weights and gradient of every run."""
    problems, weights = zip(*pairs, strict=True)
    objective = Objective(problems, len(weights[0].O), workers)
    state = objective.started(weights)
    value, gradient = objective.evaluate(state)
    size = torch.full((len(pairs),), gamma, dtype=torch.float64)
    for _ in range(steps):
        state = objective.moved(state, gradient, size, state)
        value, gradient = objective.evaluate(state)
    runs = range(len(pairs))
    found = [objective.of(state, r) for r in runs]
    return value, found, [gradient_of(one, gradient, r) for r, one in enumerate(found)]


def gradient_of(weights, gradient, run):
    """∇ of all four blocks."""
    rows, d = weights.V.shape
    G = gradient.G[run, :d, :d]
    return Weights(
        weights.K @ G.mT, weights.Q @ G, gradient.V[run, :rows, :d], gradient.O[run, :rows]
    )


@pytest.mark.parametrize("case", FIXTURE, ids=str)
def test_the_fixture_of_the_specification(case):
    first, norms, last = FIXTURE[case]
    value, _, _ = evaluated(fixture(*case))
    assert value.loss.item() == pytest.approx(first, rel=2e-10)
    if norms is not None:
        assert value.squares[0].sqrt().tolist() == pytest.approx(norms, rel=2e-8)
    value, _, _ = evaluated(fixture(*case), steps=10)
    assert value.loss.item() == pytest.approx(last, rel=1e-9)


SIZES = st.tuples(*(st.integers(1, most) for most in (7, 5, 6, 40)))


@given(SIZES, st.integers(0, 99), st.sampled_from(["mean", "sum"]),
       st.sampled_from(["lecun", "he", "ntk"]), st.sampled_from([1.0, 0.2]))  # fmt: skip
def test_the_gradient_is_that_of_autograd(sizes, seed, pooling, init, weight):
    N, ds, d, dm = sizes
    problem, weights = drawn(seed, N, ds, d, dm, dm**-0.5, pooling, init, weight)
    value, _, (gradient,) = evaluated((problem, weights))
    blocks = leaves(weights)
    expected = loss(problem, *blocks)
    assert value.loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for name, one in zip("QKVO", torch.autograd.grad(expected, blocks), strict=True):
        scale = max(one.abs().max().item(), 1e-3)
        torch.testing.assert_close(getattr(gradient, name), one, rtol=1e-10, atol=1e-12 * scale)
        square = value.squares[0, "OVQK".index(name)].item()
        assert square == pytest.approx(one.square().sum().item(), rel=1e-10, abs=1e-20)


@given(SIZES, st.integers(2, 6))
def test_runs_beside_change_no_bit(sizes, runs):
    N, ds, d, dm = sizes
    pairs = [drawn(seed, N, ds, d, dm) for seed in range(runs)]
    value, weights, gradients = evaluated(*pairs, steps=3)
    for run, pair in enumerate(pairs):
        alone, (own,), (gradient,) = evaluated(pair, steps=3)
        assert torch.equal(alone.loss[0], value.loss[run])
        assert torch.equal(alone.squares[0], value.squares[run])
        assert torch.equal(alone.residual[0], value.residual[run])
        for block in "OVQK":
            assert torch.equal(getattr(own, block), getattr(weights[run], block))
            assert torch.equal(getattr(gradient, block), getattr(gradients[run], block))


WIDE = {"N": 40, "ds": 5, "d": 9, "dm": 700}  # several shares of rows, none of them padded


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(model, "ELEMENTS", 1 << 13)
    one, (weights,), _ = evaluated(drawn(1, **WIDE), steps=3, gamma=1e-3)
    for threads in (2, 3):
        other, (same,), _ = evaluated(
            drawn(1, **WIDE), workers=Workers(threads), steps=3, gamma=1e-3
        )
        assert torch.equal(one.loss, other.loss)
        assert torch.equal(weights.V, same.V)
        assert torch.equal(weights.Q, same.Q)


def test_blocks_of_rows_change_rounding_alone(monkeypatch):
    whole, (weights,), _ = evaluated(drawn(1, **WIDE), steps=3, gamma=1e-3)
    monkeypatch.setattr(model, "ELEMENTS", 1 << 12)
    parts, (same,), _ = evaluated(drawn(1, **WIDE), steps=3, gamma=1e-3)
    assert parts.loss.item() == pytest.approx(whole.loss.item(), rel=1e-12)
    torch.testing.assert_close(weights.V, same.V, rtol=1e-11, atol=1e-13)


def test_padding_changes_rounding_alone(monkeypatch):
    pair = drawn(2, 5, 3, 7, 11)
    padded, (weights,), _ = evaluated(pair, steps=3)
    monkeypatch.setattr(model, "small", lambda sizes: False)
    plain, (same,), _ = evaluated(pair, steps=3)
    assert plain.loss.item() == pytest.approx(padded.loss.item(), rel=1e-12)
    torch.testing.assert_close(weights.V, same.V, rtol=1e-11, atol=1e-13)


@given(st.integers(0, 99), st.permutations(range(9)))
def test_the_order_of_hidden_rows_does_not_matter(seed, order):
    """V and O rows go together, and so do Q and K rows, each pair in an order of its own."""
    problem, weights = drawn(seed, dm=9)
    rows = torch.tensor(order)
    moved = Weights(weights.Q[rows], weights.K[rows], weights.V.flip(0), weights.O.flip(0))
    one, _, (gradient,) = evaluated((problem, weights))
    other, _, (permuted,) = evaluated((problem, moved))
    assert other.loss.item() == pytest.approx(one.loss.item(), rel=1e-12)
    torch.testing.assert_close(permuted.Q, gradient.Q[rows], rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(permuted.V, gradient.V.flip(0), rtol=1e-9, atol=1e-13)


@given(st.integers(0, 99), st.permutations(range(4)))
def test_the_order_of_tokens_does_not_matter(seed, order):
    """Every token attends to all, and all are pooled."""
    problem, weights = drawn(seed, ds=4)
    shuffled = type(problem)(
        problem.X[:, list(order)], problem.y, *(getattr(problem, name) for name in
        ("tau0", "tau1", "factor", "weight")),
    )  # fmt: skip
    one, other = evaluated((problem, weights))[0], evaluated((shuffled, weights))[0]
    assert other.loss.item() == pytest.approx(one.loss.item(), rel=1e-12)
    assert other.squares.tolist()[0] == pytest.approx(one.squares.tolist()[0], rel=1e-9)


@given(st.integers(0, 99), st.sampled_from([(5, 9), (5, 3), (1, 4)]))
def test_queries_and_keys_are_moved_by_their_factors(seed, sizes):
    """P and both Gram matrices descend as the rows do, wider than tokens or not."""
    dm, d = sizes
    problem, weights = drawn(seed, d=d, dm=dm)
    objective = Objective([problem], dm, WORKERS)
    state, rows = objective.started([weights]), weights
    size = torch.tensor([0.05], dtype=torch.float64)
    for _ in range(30):
        _, gradient = objective.evaluate(state)
        G = 0.05 * gradient.G[0, :d, :d]
        rows = Weights(rows.Q - rows.K @ G.mT, rows.K - rows.Q @ G, rows.V, rows.O)
        state = objective.moved(state, gradient, size, state)
    found, factors = objective.of(state, 0), state.factors
    torch.testing.assert_close(found.Q, rows.Q, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(found.K, rows.K, rtol=1e-11, atol=1e-13)
    for gram, expected in (
        (factors.P, rows.Q.mT @ rows.K),
        (factors.QQ, rows.Q.mT @ rows.Q),
        (factors.KK, rows.K.mT @ rows.K),
    ):
        torch.testing.assert_close(gram[0, :d, :d], expected, rtol=1e-10, atol=1e-12)


def test_blocks_of_rows_do_not_depend_on_the_runs_beside(monkeypatch):
    monkeypatch.setattr(model, "ELEMENTS", 1 << 13)
    pairs = [drawn(seed, 20, 5, 6, 300) for seed in range(4)]
    value, _, _ = evaluated(*pairs, steps=3, gamma=1e-3)
    for run, pair in enumerate(pairs):
        alone, _, _ = evaluated(pair, steps=3, gamma=1e-3)
        assert torch.equal(alone.loss[0], value.loss[run])
        assert torch.equal(alone.squares[0], value.squares[run])
