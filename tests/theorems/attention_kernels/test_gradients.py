"""Closed forms in native code against autograd, for every kernel, subset and kind of values."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.theorems.attention_kernels import native
from ntkbound.theorems.attention_kernels.autograd import FUNCTIONS, Loss
from ntkbound.theorems.attention_kernels.descent import descend
from ntkbound.theorems.attention_kernels.kernels import SHIPPED
from ntkbound.theorems.attention_kernels.own import Own, load
from tests.theorems.attention_kernels.support import KERNELS, descended, fixture, mine, one

SUBSETS = ["".join(s) for size in (1, 2, 3) for s in combinations("QKV", size)]


def by_autograd(problem, weights):
    """Gradients in the parameters of the paper: W_Q, W_K, and W_V whatever its shape."""
    kernel, X = FUNCTIONS[problem.config.kernel], torch.from_numpy(problem.X)
    leaves = [torch.from_numpy(W).clone().requires_grad_() for W in weights[:3]]
    W_Q, W_K, W_V = leaves
    W_O = torch.from_numpy(weights[3])
    loss = torch.zeros((), dtype=torch.float64)
    for i in range(len(X)):
        heads = [kernel(X[i] @ W_Q[h], X[i] @ W_K[h]) for h in range(len(W_O))]
        if W_V.ndim == 2:
            out = torch.cat([S @ X[i] for S in heads], 1) @ W_V @ W_O.flatten()
        else:
            out = sum(S @ X[i] @ W_V[h] @ W_O[h] for h, S in enumerate(heads))
        loss = loss + (out - torch.from_numpy(problem.y[i])).square().sum() / 2
    return loss.item(), [g.numpy() for g in torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("dense", [False, True], ids=["block", "dense"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("train", SUBSETS)
def test_descent_follows_the_gradients_of_what_is_trained(kernel, train, dense):
    problem = fixture(2, kernel, train, dense, tau=3)
    run = descended(problem)
    weights = [problem.start.arrays[name].copy() for name in ("W_Q", "W_K", "W_V", "W_O")]
    for step in range(4):
        loss, gradients = by_autograd(problem, weights)
        assert run.losses[step] == pytest.approx(loss, rel=1e-12)
        squares = [float(np.square(g).sum()) for g in gradients]
        for place, letter in enumerate("QKV"):
            expected = squares[place] if letter in train else 0.0
            assert run.descent.series[step, native.OF_Q + place] == pytest.approx(expected)
            if letter in train and step < 3:
                weights[place] = weights[place] - 0.1 * gradients[place]
    for name, expected in zip(("W_Q", "W_K", "W_V"), weights, strict=False):
        np.testing.assert_allclose(run.descent.final.arrays[name], expected, atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_against_finite_differences(kernel):
    problem = fixture(1, kernel)
    of, h = Loss(problem), 1e-6
    weights = [problem.start.W_Q, problem.start.W_K, problem.start.u]
    _, gradients, _ = of.gradients(*weights)
    rng = np.random.default_rng(0)
    for place, gradient in enumerate(gradients):
        way = rng.standard_normal(gradient.shape)
        ends = [[w + s * h * way if p == place else w for p, w in enumerate(weights)]
                for s in (1, -1)]  # fmt: skip
        slope = (of.value(*ends[0]) - of.value(*ends[1])) / (2 * h)
        assert slope == pytest.approx(float((gradient * way).sum()), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_jacobian_of_the_scores(kernel):
    """J against autograd, and ‖∇_Q f‖² = ‖Jᵀ dc‖² with dC as the loss has it."""
    problem = fixture(1, kernel)
    shipped, k = SHIPPED[kernel], problem.initial.k[0]
    X, keys = torch.from_numpy(problem.X), torch.from_numpy(k)

    def scores(W):
        q = X @ W
        if shipped.distance:
            return -(q.unsqueeze(2) - keys.unsqueeze(1)).square().sum(-1) / (2 * math.sqrt(4))
        return q @ keys.mT / math.sqrt(4)

    J = shipped.jacobian(problem.X, problem.start.W_Q[0], k)
    expected = torch.autograd.functional.jacobian(scores, torch.from_numpy(problem.start.W_Q[0]))
    np.testing.assert_allclose(J, expected.reshape(-1, 24).numpy(), atol=1e-14)
    C = scores(torch.from_numpy(problem.start.W_Q[0])).requires_grad_()
    S = {"softmax": lambda c: torch.softmax(c, -1), "exp": torch.exp, "identity": lambda c: c}
    out = torch.einsum("iaj,ij->ia", S[shipped.shape](C), torch.from_numpy(problem.initial.v[0]))
    loss = (out - torch.from_numpy(problem.y)).square().sum() / 2
    (dC,) = torch.autograd.grad(loss, C)
    run = descended(problem)
    assert run.descent.series[0, native.OF_C] == pytest.approx(float(dC.square().sum()))
    of_Q = float(np.square(J.T @ dC.numpy().reshape(-1)).sum())
    assert run.descent.series[0, native.OF_Q] == pytest.approx(of_Q)


@pytest.mark.parametrize(
    ("name", "method", "train"),
    [("softmax", "fixed", "QKV"), ("softmax", "monotone", "QKV"), ("gaussian", "monotone", "QKV"),
     ("gaussian", "fixed", "Q"), ("softmax", "fixed", "KV"), ("gaussian", "fixed", "V")],
)  # fmt: skip
def test_a_kernel_of_a_users_own_is_the_shipped_one(tmp_path, name, method, train):
    """The same descent through autograd, step by step, the steps rejected among them."""
    shipped = fixture(2, name, train, method=method, tau=40, eta=0.5)
    own = shipped.__class__(**{**vars(shipped), "kernel": load(mine(tmp_path), name)})
    assert isinstance(own.kernel, Own)
    (a,), (b,) = (descend([p], lambda *_: None) for p in (shipped, own))
    columns = [native.LOSS, native.OF_Q, native.OF_K, native.OF_V, native.STEP, native.MOVED]
    np.testing.assert_allclose(a.series[:, columns], b.series[:, columns], rtol=1e-8, atol=1e-25)
    assert (method == "monotone") == (a.of(native.MOVED)[:-1].min() == 0)
    np.testing.assert_allclose(a.final.W_V, b.final.W_V, atol=1e-10)


def test_a_kernel_of_no_kind(tmp_path):
    """Scores that are weights: J is that of S, and no floor is known."""
    run = one(kernel=f"{mine(tmp_path)}:cubic", tau=5, method="fixed", eta=1e-4)
    assert run.attainable is None and run.floor == 0.0
    assert run.losses[-1] < run.losses[0]
    J = run.problem.kernel.jacobian(
        run.problem.X, run.problem.start.W_Q[0], run.problem.initial.k[0]
    )
    r, v = run.problem.initial.residual, run.problem.initial.v[0]
    dS = (r[:, :, None] * v[:, None, :]).reshape(-1)
    assert float(np.square(J.T @ dS).sum()) == pytest.approx(run.descent.series[0, native.OF_Q])
    assert float(np.square(dS).sum()) == pytest.approx(run.descent.series[0, native.OF_C])


@given(
    st.sampled_from(KERNELS), st.sampled_from(SUBSETS), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 6), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_any_sizes(kernel, train, N, n, D, d, H, dense, seed):
    run = one(
        kernel=kernel, train=train, N=N, n=n, D=D, d=d, H=H, tau=2, seed=seed, method="fixed",
        eta=1e-3, values="dense" if dense else "block",
    )  # fmt: skip
    start = run.problem.start
    loss, gradients, _ = Loss(run.problem).gradients(start.W_Q, start.W_K, start.u)
    assert run.losses[0] == pytest.approx(loss, rel=1e-10)
    factor = np.array([1.0, 1.0])
    squares = [float(np.square(g).sum()) for g in gradients[:2]] * factor
    of_V = float((start.factor[:, None] * np.square(gradients[2])).sum())
    expected = [g if c in train else 0 for c, g in zip("QKV", [*squares, of_V], strict=True)]
    found = run.descent.series[0, native.OF_Q : native.OF_V + 1]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-20)


@pytest.mark.parametrize("kernel", ["softmax", "gaussian", "normalised-gaussian"])
def test_scores_that_overflow(kernel):
    """Scores of ±10⁴: e^C is infinite, or 0 throughout a row."""
    run = one(kernel=kernel, sq=200.0, tau=2, method="fixed", eta=1e-9, train="QV")
    start = run.problem.start
    loss, _, _ = Loss(run.problem).gradients(start.W_Q, start.W_K, start.u)
    assert np.abs(SHIPPED[kernel].scores(run.problem.initial.q, run.problem.initial.k)).max() > 3e3
    assert run.losses[0] == pytest.approx(loss, rel=1e-10) and np.isfinite(run.losses).all()
