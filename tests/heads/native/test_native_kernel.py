"""The native kernel against float64 autograd, and its promises of bit-equality."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.heads.native.kernel import ACTIVATIONS, NativeKernel, Params

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # max-norm per parameter block, relative
TORCH = {
    "tanh": torch.tanh,
    "erf": torch.erf,
    "sigmoid": lambda z: torch.tanh(z / 2),
    "bump": lambda z: torch.exp(-z * z / 2),
    "relu": torch.relu,
}


class Problem:
    """Random data and parameters, rounded to `dtype` before anything is computed from them."""

    def __init__(
        self, n: int, tokens: int, d: int, m: int, runs: int = 1, *, dtype: str = "float32",
        query: str = "last", scale: float = 1.0, seed: int = 0,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, tokens, d))
        x /= np.linalg.norm(x, axis=-1, keepdims=True)
        self.x = x.astype(dtype)
        self.q = {"last": self.x[:, -1], "mean": self.x.mean(axis=1), "fixed": None}[query]
        self.y = rng.normal(size=n).astype(dtype)
        last = (runs, m, d) if query == "fixed" else (runs, m, d, d)
        self.params: Params = (
            rng.choice([-1.0, 1.0], size=(runs, m)).astype(dtype),
            rng.normal(size=(runs, m, d)).astype(dtype),
            (scale * rng.normal(size=last)).astype(dtype),
        )
        self.dtype, self.runs, self.m = dtype, runs, m

    def objective(self, **options: Any) -> NativeKernel:
        given: dict[str, Any] = {"heads": self.m, "runs": self.runs, "dtype": self.dtype}
        return NativeKernel(self.x, self.q, self.y, **(given | options))

    def empty(self) -> tuple[np.ndarray[Any, Any], Params]:
        c, u, w = (np.full_like(p, np.nan) for p in self.params)
        return np.full((self.runs, len(self.x)), np.nan, self.dtype), (c, u, w)

    def evaluate(self, objective: NativeKernel) -> tuple[Any, Any, Params]:
        residual, grads = self.empty()
        mse = objective.loss_and_gradient(self.params, residual, grads).copy()
        return mse, residual, grads

    def reference(self, activation: str) -> tuple[Any, Any, list[Any]]:
        """The same in float64 by autograd."""
        c, u, w = (torch.tensor(p.astype(float), requires_grad=True) for p in self.params)
        x, y = torch.tensor(self.x.astype(float)), torch.tensor(self.y.astype(float))
        if self.q is None:
            k = w[:, :, None].expand(-1, -1, len(x), -1)
        else:
            k = torch.einsum("rmde,je->rmjd", w, torch.tensor(self.q.astype(float)))
        p = torch.softmax(torch.einsum("jtd,rmjd->rmjt", x, k), -1)
        z = torch.einsum("rmjt,jtd,rmd->rmj", p, x, u)
        f = (c[..., None] * TORCH[activation](z)).sum(1) * self.m**-0.5
        mse = ((f - y) ** 2).mean(1)
        mse.sum().backward()
        return (
            mse.detach().numpy(),
            (f - y).detach().numpy(),
            [t.grad.numpy() for t in (c, u, w) if t.grad is not None],
        )


def assert_matches(problem: Problem, activation: str, floor: float = 0.0, **options: Any) -> None:
    tolerance = TOLERANCE[problem.dtype]
    mse, residual, grads = problem.evaluate(problem.objective(activation=activation, **options))
    want_mse, want_residual, want_grads = problem.reference(activation)
    np.testing.assert_allclose(mse, want_mse, rtol=tolerance)
    assert np.abs(residual - want_residual).max() <= tolerance * max(1, np.abs(want_residual).max())
    for name, got, want in zip("cUW", grads, want_grads, strict=True):
        error, size = np.abs(got - want).max(), np.abs(want).max()
        assert error <= tolerance * size + floor, f"{name}: {error:.1e} of {size:.1e}"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("query", ["last", "mean", "fixed"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_of_every_activation_and_query(activation: str, query: str, dtype: str) -> None:
    assert_matches(Problem(37, 16, 8, 40, 2, dtype=dtype, query=query), activation)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("query", ["last", "fixed"])
@pytest.mark.parametrize(
    ("n", "tokens", "d", "m", "runs"),
    [(1, 1, 1, 1, 1), (5, 1, 8, 3, 2), (16, 7, 1, 17, 1), (33, 3, 3, 5, 7), (17, 2, 11, 19, 2),
     (20, 300, 8, 6, 1), (300, 9, 8, 300, 1)],
)  # fmt: skip
def test_odd_sizes(n: int, tokens: int, d: int, m: int, runs: int, query: str, dtype: str) -> None:
    assert_matches(Problem(n, tokens, d, m, runs, dtype=dtype, query=query), "tanh")


@given(
    n=st.integers(1, 50), tokens=st.integers(1, 20), d=st.sampled_from([1, 3, 8, 11, 16]),
    m=st.integers(1, 40), runs=st.integers(1, 4), seed=st.integers(0, 2**16),
    activation=st.sampled_from(["tanh", "erf", "bump"]),
    dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_size(
    n: int, tokens: int, d: int, m: int, runs: int, seed: int, activation: str, dtype: str
) -> None:
    # T = 1 has no attention gradient: autograd's is rounding noise
    assert_matches(Problem(n, tokens, d, m, runs, dtype=dtype, seed=seed), activation, floor=1e-16)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("query", ["last", "fixed"])
@pytest.mark.parametrize("scale", [5.0, 25.0])
def test_large_scores(scale: float, query: str, dtype: str) -> None:
    problem = Problem(60, 16, 8, 64, dtype=dtype, query=query, scale=scale)
    if scale == 25.0 and query == "last":
        k = np.einsum("mde,je->jmd", problem.params[2][0], problem.q)
        assert np.abs(np.einsum("jtd,jmd->jmt", problem.x, k)).max() > 80
    assert_matches(problem, "tanh")


def test_saturated_head_keeps_a_relative_gradient() -> None:
    """One token wins by e^20: the gradient of W is tiny, not rounding noise."""
    problem = Problem(1, 2, 2, 1, query="fixed")
    problem.x[0] = [[1.0, 0.0], [0.0, 1.0]]
    problem.params[2][0, 0] = [20.0, 0.0]
    assert_matches(problem, "tanh")
    assert 0 < np.abs(problem.reference("tanh")[2][2]).max() < 1e-8


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_denormal_inputs(dtype: str) -> None:
    tiny = float(np.finfo(dtype).smallest_normal)
    problem = Problem(20, 6, 8, 16, dtype=dtype)
    problem.x[::2] *= np.dtype(dtype).type(tiny * 0.1)  # every second sample is denormal
    problem.params[1][0, 3] *= np.dtype(dtype).type(tiny)
    assert_matches(problem, "tanh")
    problem.x[:] *= np.dtype(dtype).type(tiny)  # nothing left but 0 and denormals
    assert_matches(problem, "tanh", floor=tiny)


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_scores_beyond_the_range_of_exp_stay_finite(scale: float) -> None:
    mse, _, grads = Problem(9, 5, 8, 4, scale=scale).evaluate(
        Problem(9, 5, 8, 4, scale=scale).objective()
    )
    assert np.isfinite(mse).all() and all(np.isfinite(g).all() for g in grads)


def test_nan_is_not_swallowed() -> None:
    for block in range(3):
        problem = Problem(9, 5, 8, 4)
        problem.params[block].flat[0] = np.nan
        assert np.isnan(problem.evaluate(problem.objective())[0]).all()


@pytest.mark.parametrize("sizes", [(700, 16, 8, 40, 1), (90, 16, 8, 33, 9), (64, 2, 8, 8000, 1)])
def test_same_bits_for_any_number_of_threads(sizes: tuple[int, ...]) -> None:
    problem = Problem(*sizes)
    want = problem.evaluate(problem.objective())
    for threads in (2, 3, 5):
        got = problem.evaluate(problem.objective(threads=threads))
        assert np.array_equal(got[0], want[0]) and np.array_equal(got[1], want[1])
        assert all(np.array_equal(a, b) for a, b in zip(got[2], want[2], strict=True)), threads


@pytest.mark.parametrize("query", ["last", "fixed"])
@pytest.mark.parametrize("sizes", [(50, 6, 8, 7, 50), (20, 3, 3, 130, 5), (500, 16, 8, 24, 13)])
def test_runs_together_or_one_by_one_have_the_same_bits(sizes: tuple[int, ...], query: str) -> None:
    problem = Problem(*sizes, query=query)
    mse, residual, grads = problem.evaluate(problem.objective())
    for run in range(problem.runs):
        c, u, w = (p[run : run + 1].copy() for p in problem.params)
        one = Problem(*sizes[:4], query=query)
        one.params = (c, u, w)
        got = one.evaluate(one.objective())
        assert got[0][0] == mse[run] and np.array_equal(got[1][0], residual[run])
        assert all(np.array_equal(a[0], b[run]) for a, b in zip(got[2], grads, strict=True))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_heads_divided_over_two_objectives(dtype: str, threads: int) -> None:
    """forward and backward on shards agree with one fused call on all heads."""
    problem = Problem(600, 9, 8, 50, 2, dtype=dtype)
    _, residual, grads = problem.evaluate(problem.objective())
    outs, shards = [], []
    for part in (slice(0, 18), slice(18, 50)):
        c, u, w = (np.ascontiguousarray(p[:, part]) for p in problem.params)
        heads = c.shape[1]
        objective = problem.objective(heads=heads, total_heads=50, threads=threads)
        out = np.empty((2, 600), dtype)
        objective.forward((c, u, w), out)
        outs.append(out)
        shards.append((objective, (c, u, w), part))
    total = outs[0] + outs[1] - problem.y
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(total, residual, atol=tolerance)
    for objective, (c, u, w), part in shards:
        got = (np.empty_like(c), np.empty_like(u), np.empty_like(w))
        objective.backward((c, u, w), total, got)
        for a, b in zip(got, grads, strict=True):
            assert np.abs(a - b[:, part]).max() <= tolerance * np.abs(b).max()


def test_backward_repeats_the_fused_gradient_bit_for_bit() -> None:
    problem = Problem(500, 16, 8, 40)
    objective = problem.objective()
    _, residual, grads = problem.evaluate(objective)
    _, again = problem.empty()
    objective.backward(problem.params, residual, again)
    assert all(np.array_equal(a, b) for a, b in zip(again, grads, strict=True))


@pytest.mark.parametrize("d", [8, 9])
def test_a_result_that_is_not_finite_does_not_live_on(d: int) -> None:
    """What one call leaves in the buffers, padding included, is not seen by the next."""
    problem = Problem(40, 5, d, 20)
    kernel, wanted = problem.objective(), np.empty((1, 4, 40))
    problem.objective().tangent_sums(problem.params, problem.params, wanted)
    residual, grads = problem.empty()
    lost: Params = tuple(np.full_like(p, np.inf) for p in problem.params)  # type: ignore[assignment]
    with np.errstate(invalid="ignore"):
        kernel.loss_and_gradient(lost, residual, grads)
        kernel.backward(problem.params, np.full_like(residual, np.inf), grads)
    found = np.empty((1, 4, 40))
    kernel.tangent_sums(problem.params, problem.params, found)
    np.testing.assert_array_equal(found, wanted)
    got, want = problem.evaluate(kernel), problem.evaluate(problem.objective())
    for a, b in zip([*got[:2], *got[2]], [*want[:2], *want[2]], strict=True):
        np.testing.assert_array_equal(a, b)


def test_workspaces_are_bounded() -> None:
    m = 65536
    problem = Problem(4, 2, 8, m)
    parameters = sum(p.nbytes for p in problem.params)
    residual, grads = problem.empty()
    tracemalloc.start()
    try:
        problem.objective(threads=2).loss_and_gradient(problem.params, residual, grads)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 3 * parameters + (32 << 20)


@pytest.mark.parametrize("query", ["last", "fixed"])
def test_held_bytes_are_what_was_allocated(query: str) -> None:
    problem = Problem(3000, 5, 11, 24, query=query)  # padded, so that samples are copied
    residual, grads = problem.empty()
    problem.objective().loss_and_gradient(problem.params, residual, grads)  # compiles
    tracemalloc.start()
    try:
        kernel = problem.objective()
        kernel.loss_and_gradient(problem.params, residual, grads)
        held = tracemalloc.get_traced_memory()[0] + problem.y.nbytes
    finally:
        tracemalloc.stop()
    assert kernel.held_bytes() == pytest.approx(held, rel=0.02, abs=10_000)
    assert held > problem.x.nbytes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "gelu"}, "gelu"),
        ({"dtype": "float16"}, "float16"),
        ({"heads": 0}, "at least 1"),
    ],
)
def test_bad_options_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Problem(3, 2, 8, 4).objective(**change)


def test_bad_arrays_are_refused() -> None:
    problem = Problem(3, 2, 8, 4)
    objective = problem.objective()
    residual, (c, u, w) = problem.empty()
    for grads in ((c, u, w.swapaxes(2, 3)), (c, u.astype("float64"), w), (c[:, :2], u, w)):
        with pytest.raises(ValueError, match="C-contiguous float32"):
            objective.loss_and_gradient(problem.params, residual, grads)


def test_samples_of_another_shape_are_not_loaded() -> None:
    problem, other = Problem(8, 3, 8, 4), Problem(8, 4, 8, 4)
    with pytest.raises(ValueError, match="expected 8 samples of 3 × 8"):
        problem.objective().load(other.x, other.q, other.y)


def test_loading_other_samples_leaves_the_first_ones_alone() -> None:
    first, other = Problem(8, 3, 8, 4), Problem(8, 3, 8, 4, seed=1)
    x, q, y = (np.array(v, np.float32) for v in (first.x, first.q, first.y))
    before = [v.copy() for v in (x, q, y)]
    kernel = NativeKernel(x, q, y, heads=4)  # d fills the registers: the samples are borrowed
    kernel.load(other.x, other.q, other.y)
    for value, copy in zip((x, q, y), before, strict=True):
        np.testing.assert_array_equal(value, copy)
