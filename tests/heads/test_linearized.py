"""Tangent kernel, linearized dynamics and membership against explicit Jacobians and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound import read, run
from ntkbound.core.errors import InputError
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.model import AutogradView, fresh_heads
from ntkbound.heads.sums import adjoint, outputs
from ntkbound.heads.terms import kernel_regression as membership
from ntkbound.heads.terms import tangent_kernel
from ntkbound.heads.terms.linear_dynamics import (
    SpectralMeasure,
    dense_measure,
    lanczos_measure,
    parting_step,
    products_needed,
)
from ntkbound.heads.terms.linearization import linearized_outputs
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine import memory
from ntkbound.machine.parallel import Workers
from ntkbound.runs.execute import Execution
from ntkbound.stats import judge_membership
from ntkbound.theorems.shallow_transformer.config import RunConfig
from ntkbound.theorems.shallow_transformer.verify import verify
from tests.support import reference
from tests.support.problems import (
    BOUNDED,
    QUERIES,
    make_case,
    make_inputs,
    make_model,
    make_params,
    random_labels,
    small_arrays,
)
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)


def jacobian(name, params, inputs):
    """J = ∇f(X_j; φ), (n, parameters), head by head and sample by sample; columns by block."""
    heads = reference.heads_of(params)
    X, q = inputs.X.numpy(), inputs.q.numpy()
    grads = [
        [reference.head_gradient(name, x, w, head) for head in heads]
        for x, w in zip(X, q, strict=True)
    ]
    columns = [np.array([[g[b].ravel() for g in row] for row in grads]) for b in params]
    return np.concatenate([c.reshape(len(X), -1) for c in columns], 1) / math.sqrt(len(heads))


def flat(params):
    return np.concatenate([v.numpy().ravel() for v in params.values()])


def check_kernel(activation="tanh", query="last", n=5, m=6, T=3, d=2, seed=0):
    model, inputs = make_model(activation, query, d), make_inputs(n, T, d, query, seed)
    params = make_params(model, m, seed)
    J = jacobian(activation, params, inputs)
    for view in (model, AutogradView(model)):
        name = f"{activation}, {query}, {type(view).__name__}"
        kernel = tangent_kernel.tangent_kernel(view, params, inputs, ONE)
        assert_close(kernel, J @ J.T, EXACT, f"kernel: {name}")
        part = tangent_kernel.tangent_kernel(view, params, inputs.rows(slice(0, 2)), ONE, inputs)
        assert_close(part, (J @ J.T)[:2], EXACT, f"kernel between samples: {name}")
        v = random_labels(n, seed)
        assert_close(flat(adjoint(view, params, v, inputs, ONE)), J.T @ v.numpy(), EXACT, name)
        product = tangent_kernel.TangentOperator(view, params, inputs, ONE)
        assert_close(product(v), J @ (J.T @ v.numpy()), EXACT, f"Θv: {name}")


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", BOUNDED)
def test_the_kernel_is_the_product_of_jacobians(activation, query):
    check_kernel(activation, query)


@given(
    n=st.integers(1, 6), m=st.integers(1, 5), T=st.integers(1, 4), d=st.integers(2, 3),
    query=st.sampled_from(QUERIES), seed=st.integers(0, 100),
)  # fmt: skip
def test_the_kernel_at_any_size(n, m, T, d, query, seed):
    check_kernel("erf", query, max(n, 2), m, T, d, seed)


def forgets_the_query(self, params, inputs):
    factors = ShallowTransformer.gradient_factors.original(self, params, inputs)
    return [tangent_kernel.GradientFactor(factor.features) for factor in factors]


def weighs_samples_twice(self, params, inputs, weights, workers):
    true = ShallowTransformer.weighted_gradient_sums.original
    return true(self, params, inputs, weights * 2, workers)


@pytest.mark.parametrize("wrong", [forgets_the_query, weighs_samples_twice])
def test_a_wrong_factor_fails_the_check(wrong, monkeypatch):
    names = {
        forgets_the_query: "gradient_factors",
        weighs_samples_twice: "weighted_gradient_sums",
    }
    wrong.original = getattr(ShallowTransformer, names[wrong])
    monkeypatch.setattr(ShallowTransformer, names[wrong], wrong)
    with pytest.raises(AssertionError):
        check_kernel()


@pytest.mark.parametrize("query", ["last", "fixed"])
def test_blocks_and_threads_do_not_matter(query, monkeypatch):
    model, inputs = make_model("tanh", query, 3), make_inputs(9, 4, 3, query, 1)
    params = make_params(model, 12, 2)
    whole = tangent_kernel.tangent_kernel(model, params, inputs, ONE)
    monkeypatch.setattr(tangent_kernel, "FEATURE_BYTES", 9 * 8 * 13 * 2)  # two heads at a time
    monkeypatch.setattr(tangent_kernel, "TILE", 4)
    blocked = tangent_kernel.tangent_kernel(model, params, inputs, ONE)
    assert_close(blocked, whole, EXACT, "two heads and four rows at a time")
    two = tangent_kernel.tangent_kernel(model, params, inputs, Workers(2))
    assert torch.equal(blocked, two), "threads change bits"
    assert_close(blocked, blocked.mT, EXACT, "symmetry")
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    permuted = {b: v[order] for b, v in params.items()}
    again = tangent_kernel.tangent_kernel(model, permuted, inputs, ONE)
    assert_close(again, whole, EXACT, "permuted heads")


def test_the_drift_by_tiles(monkeypatch):
    model, inputs = make_model("tanh", "last", 2), make_inputs(7, 3, 2, "last", 1)
    a, b = (make_params(model, 5, seed) for seed in (1, 2))
    before, after = (tangent_kernel.tangent_kernel(model, p, inputs, ONE) for p in (a, b))
    monkeypatch.setattr(tangent_kernel, "TILE", 3)
    change = tangent_kernel.kernel_change(model, a, b, inputs, ONE)
    assert change.drift == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-12)
    assert change.norm == pytest.approx(float(before.norm()), rel=1e-12)
    assert change.trace == pytest.approx(float(before.trace()), rel=1e-12)
    assert tangent_kernel.kernel_change(model, a, a, inputs, ONE).drift == 0


def test_the_infinite_width_kernel_and_its_error():
    """The streamed mean and error are those of the batches; the error is of the right size."""
    model, inputs = make_model("tanh", "last", 2), make_inputs(4, 3, 2, "last", 1)
    found = tangent_kernel.infinite_width_kernel(model, inputs, 64, 5, ONE)
    assert found.heads == 64
    theta = fresh_heads(model, 5, 0, 64, torch.float64, "kernel")
    batches = [{b: v[i : i + 2] for b, v in theta.items()} for i in range(0, 64, 2)]
    each = torch.stack(
        [tangent_kernel.tangent_kernel(model, batch, inputs, ONE) for batch in batches]
    )
    assert_close(found.kernel, each.mean(0), EXACT, "mean")
    assert_close(found.error, each.std(0) / math.sqrt(32), EXACT, "standard error")
    wide = tangent_kernel.infinite_width_kernel(model, inputs, 16384, 6, ONE)
    gap = float((found.kernel - wide.kernel).norm() / wide.kernel.norm())
    assert 0.3 < gap / found.relative_error < 3
    assert wide.relative_error < found.relative_error / 8


def test_memory_is_asked_for_before_it_is_used(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    model, inputs = make_model("tanh", "last", 2), make_inputs(3, 3, 2, "last", 1)
    with pytest.raises(InputError, match=r"3 × 3 samples needs 0\.1 GiB of memory and 0\.0 "):
        tangent_kernel.tangent_kernel(model, make_params(model, 2, 1), inputs, ONE)


def test_available_memory_is_a_plausible_number():
    assert 1 << 24 < memory.available() < 1 << 50


# --- linearized dynamics ------------------------------------------------------------------------


def trained_linear(J, r, eta, tau):
    """R̂ of f_lin along plain gradient descent on the displacement itself."""
    delta, losses = np.zeros(J.shape[1]), []
    for _ in range(tau + 1):
        residual = r + J @ delta
        losses.append(np.mean(residual**2))
        delta -= eta * (2 / len(r)) * J.T @ residual
    return np.array(losses)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("measure", ["dense", "lanczos"])
def test_the_prediction_is_a_trained_linear_model(query, measure):
    model, task, initial, _, _ = make_case(query, n=8, m=10)
    J = jacobian("tanh", initial, task.inputs)
    r = outputs(model, initial, task.inputs, ONE) - task.y
    tau, eta = 60, 1.5
    if measure == "dense":
        found = dense_measure(tangent_kernel.tangent_kernel(model, initial, task.inputs, ONE), r)
    else:
        product = tangent_kernel.TangentOperator(model, initial, task.inputs, ONE)
        found = lanczos_measure(product, r, products_needed(tau))
    truth = trained_linear(J, r.numpy(), eta, tau)
    assert_close(found.losses(eta, np.arange(tau + 1)), truth, 1e-12, f"{query}, {measure}")
    assert truth[-1] < 0.9 * truth[0]


@settings(max_examples=15)
@given(st.integers(1, 400), st.integers(0, 20))
def test_lanczos_is_exact_with_the_products_it_asks_for(steps, seed):
    """A spectrum over [0, 2], the whole range of a stable step: the hardest case."""
    rng = np.random.default_rng(seed)
    values = np.sort(rng.uniform(0, 2, 500))
    r = torch.from_numpy(rng.standard_normal(500))
    scaled = torch.from_numpy(values) * 500 / 2  # η = 1: factors 1 − λ cover [−1, 1]
    found = lanczos_measure(lambda v: scaled * v, r, products_needed(steps))
    truth = SpectralMeasure(scaled.numpy(), r.square().numpy(), 500)
    at = np.array([0, steps])
    gap = np.abs(found.losses(1.0, at) - truth.losses(1.0, at)).max()
    assert gap <= 1e-11 * truth.losses(1.0, at)[0]


def test_lanczos_stops_at_an_invariant_space_and_at_zero():
    values = torch.tensor([1.0, 1.0, 2.0, 2.0], dtype=torch.float64)
    found = lanczos_measure(lambda v: values * v, torch.ones(4, dtype=torch.float64), 4)
    assert found.values == pytest.approx([1, 2]) and found.weights == pytest.approx([2, 2])
    nothing = lanczos_measure(lambda v: values * v, torch.zeros(4, dtype=torch.float64), 4)
    assert nothing.losses(0.1, np.array([0, 5])).tolist() == [0, 0]


def test_a_step_beyond_stability_is_infinite_not_nan():
    measure = SpectralMeasure(np.array([0.0, 10.0]), np.array([1.0, 1.0]), 2)
    losses = measure.losses(1.0, np.array([0, 10_000]))
    assert losses[0] == 1 and losses[1] == math.inf


def test_the_parting_is_the_first_recorded_step_outside_the_tolerance():
    steps, predicted = np.array([0, 1, 4, 9]), np.array([1.0, 0.5, 0.25, 0.1])
    assert parting_step(steps, predicted * [1, 1.04, 1.06, 2], predicted, 0.05) == 4
    assert parting_step(steps, predicted * [1, 0.94, 1, 1], predicted, 0.05) == 1
    assert parting_step(steps, predicted * 1.04, predicted, 0.05) is None
    assert parting_step(steps, predicted, np.array([1.0, 0.5, np.inf, np.inf]), 0.05) == 4


# --- membership ---------------------------------------------------------------------------------


@pytest.mark.parametrize("query", QUERIES)
def test_the_displacement_is_the_least_squares_one(query):
    """Against NumPy's minimum-norm solution, and through f_lin of the package."""
    model, task, initial, _, _ = make_case(query, n=6, m=8)
    J = jacobian("tanh", initial, task.inputs)
    kernel = tangent_kernel.tangent_kernel(model, initial, task.inputs, ONE)
    (fit,) = membership.kernel_fits(kernel, task.y, [0.0])
    delta = membership.minimum_norm_displacement(model, initial, fit.alpha, task.inputs, ONE)
    truth = np.linalg.lstsq(J, task.y.numpy(), rcond=None)[0]
    assert_close(flat(delta), truth, 1e-8, "minimum norm")
    assert fit.rkhs_norm == pytest.approx(np.linalg.norm(truth), rel=1e-9)
    assert fit.displacement_norm == pytest.approx(fit.rkhs_norm, rel=1e-9)
    assert fit.residual < 1e-10
    moved = {b: initial[b] + delta[b] for b in delta}
    assert_close(
        linearized_outputs(model, initial, moved, task.inputs, ONE), task.y, 1e-9, "f_lin = y"
    )
    nu = membership.required_nu(delta)
    for block, value in delta.items():
        sizes = [np.linalg.norm(head) for head in value.numpy()]
        assert nu[block] == pytest.approx(math.sqrt(8) * max(sizes)), block
    assert math.sqrt(sum(v**2 for v in nu.values())) >= fit.displacement_norm


@given(st.integers(0, 50), st.floats(1e-6, 1e3))
def test_a_ridge_fit_is_the_regularised_solution(seed, ridge):
    model, inputs = make_model("tanh", "last", 2), make_inputs(5, 3, 2, "last", seed)
    y = random_labels(5, seed)
    kernel = tangent_kernel.tangent_kernel(model, make_params(model, 6, seed), inputs, ONE)
    exact, fit = membership.kernel_fits(kernel, y, [0.0, ridge])
    K, v = kernel.numpy(), y.numpy()
    alpha = np.linalg.solve(K + ridge * np.trace(K) / 5 * np.eye(5), v)
    assert_close(fit.alpha, alpha, 1e-7, "α")
    assert fit.residual == pytest.approx(
        np.linalg.norm(v - K @ alpha) / np.linalg.norm(v), rel=1e-6
    )
    assert fit.rkhs_norm == pytest.approx(math.sqrt(v @ alpha), rel=1e-6)
    assert fit.displacement_norm == pytest.approx(math.sqrt(alpha @ K @ alpha), rel=1e-6)
    assert fit.displacement_norm <= fit.rkhs_norm <= exact.rkhs_norm * (1 + 1e-9)


def test_directions_beyond_float64_stay_unfitted():
    """Rank one: only the part of y along it is fitted, the rest is the residual."""
    u = torch.tensor([0.6, 0.8], dtype=torch.float64)
    (fit,) = membership.kernel_fits(torch.outer(u, u), torch.tensor([1.0, 0.0]).double(), [0.0])
    assert fit.displacement_norm == pytest.approx(0.6)
    assert fit.residual == pytest.approx(0.8)


@pytest.fixture
def data(folder):
    path = folder / "data.npz"
    np.savez(path, **small_arrays())
    return path


@pytest.mark.parametrize("query", ["last", "fixed"])
def test_a_computed_transport_defines_the_terms_but_not_the_bounds(data, folder, query):
    fields = {"m": 8, "tau": 20, "records": 4, "search_steps": 5, "search_samples": 2, "rho": 2}
    config = RunConfig(task=str(data), transport="computed", ridge=0.01, query=query, **fields)
    record = run(config, Execution(folder / "results", threads=1))
    checks = {(c["term"], c["probe"]): c for c in record.checks}
    for term in ("approximation", "optimization"):
        probe = "transported" if term == "approximation" else "training"
        assert checks[term, probe]["verdict"] == "not-defined"
        assert "computed from φ_0" in checks[term, probe]["reason"]
    for probe in ("trajectory", "worst"):
        assert checks["change_of_feature", probe]["verdict"] == "holds"
    assert checks["linearization", "transported"]["verdict"] == "holds"
    assert record.bounds["approximation"] is record.bounds["training_rmse"] is None
    assert record.bounds["change_of_feature"] > 0
    (note,) = [n for n in record.data["notes"] if "kernel regression with ridge 0.01" in n]
    assert "depend on φ_0: the approximation bound does not apply" in note
    y, app = small_arrays()["y"], record.terms["approximation"]["transported"]
    residual = app["rms"] * math.sqrt(len(y)) / np.linalg.norm(y)
    assert f"(relative residual {residual:.3g}," in note
    assert [row.quantity for row in verify(read(record.path)) if not row.agrees] == []
    plain = run(RunConfig(task=str(data), query=query, **fields), Execution(folder, threads=1))
    assert plain.id != record.id
    assert plain.terms["optimization"] == record.terms["optimization"], "training is the same"
    assert "approximation" not in plain.terms


def test_the_computed_transport_lies_in_its_own_class():
    """φ̃ = φ_0 + Δ block by block, inside Ω_ν of the realised ν; no labels, no displacement."""
    model, task, initial, _, _ = make_case(n=5, m=6)
    found, at = membership.with_computed_transport(model, initial, task, 0.0, ONE)
    assert found.transport is not None
    for block, value in at.items():
        v = math.sqrt(6) * (value - initial[block])
        largest = max(np.linalg.norm(head) for head in v.numpy())
        assert found.transport.nu[block] == pytest.approx(largest, rel=1e-12)
    linear = linearized_outputs(model, initial, at, task.inputs, ONE)
    assert_close(linear, task.y, 1e-9, "f_lin(φ̃) = y")
    zero = type(task)(task.inputs, torch.zeros(5).double(), 1.0, 1.0)
    _, still = membership.with_computed_transport(model, initial, zero, 0.0, ONE)
    assert all(torch.equal(still[b], initial[b]) for b in initial)


# --- the verdict on growth ----------------------------------------------------------------------


def rows(growth, falling=0.0, spread=0.02, seeds=5, residual=0.0, bend=0.0):
    """‖Δ‖ = n^growth · (n/m)^falling · noise, on the grid of the command."""
    rng = np.random.default_rng(0)
    found = []
    for seed in range(seeds):
        for m, sizes in ((64, (100, 400)), (128, (200, 400)), (256, (50, 100, 200, 400))):
            for n in sizes:
                norm = n**growth * (n / m) ** falling * math.exp(spread * rng.standard_normal())
                norm *= math.exp(bend * math.log(n / 50) ** 2)
                measured = {"norm": norm, "residual": residual, "nu_c": 2.0, "nu_U": seed + 1.0}
                found.append({
                    "config": {"m": m, "n": n, "seed": seed},
                    "terms": {"membership": {"minimum_norm": measured}},
                })  # fmt: skip
    return found


@pytest.mark.parametrize(("case", "verdict", "words"), [
    ({"growth": 0.0}, "inside", "inside F_ν for ν ≥ (c 2, U 5); every fit has |ν| ≥ 0.9"),
    ({"growth": 0.1}, "inside", "saturates with n, it grows like n^0.1"),
    ({"growth": 0.5}, "outside", "outside the class"),
    ({"growth": 1.3}, "outside", "‖Δ‖ grows like n^1.3"),
    ({"growth": 0.0, "falling": 0.6}, "inconclusive", "m is too small for this n; raise --m"),
    ({"growth": 1.0, "falling": 0.4}, "outside", "with m in proportion to n like n^1.0"),
    ({"growth": 0.25, "spread": 0.1}, "inconclusive", "not clearly more or less than n^0.25"),
    ({"growth": 0.0, "bend": 0.09}, "inconclusive", "over the last two sizes, not clearly less"),
    ({"growth": 0.0, "residual": 0.2}, "inconclusive", "20.0% of the labels are left unfitted"),
    ({"growth": 1.0, "seeds": 2}, "inconclusive", "4 sizes and 2 seeds: needs at least 3 sizes"),
    ({"growth": 1.0, "seeds": 1}, "inconclusive", "4 sizes and 1 seed: needs at least"),
], ids=str)  # fmt: skip
def test_planted_growth_is_judged(case, verdict, words):
    found = judge_membership(rows(**case))
    assert found.verdict == verdict, found.reason
    assert words in found.reason


def test_one_size_is_no_growth():
    alone = [row for row in rows(0.0) if row["config"]["n"] == 400]
    assert judge_membership(alone).reason == "‖Δ‖ was measured at one n or m only"


def test_false_verdicts_are_rare():
    """At the threshold itself neither verdict may come often: 1 % outside, 2.5 % inside."""
    rng, counts = np.random.default_rng(1), {"inside": 0, "outside": 0, "inconclusive": 0}
    for _ in range(100):
        planted = rows(0.25, spread=0.0)
        slopes = {seed: 0.05 * rng.standard_normal() for seed in range(5)}
        for row in planted:
            config, found = row["config"], row["terms"]["membership"]["minimum_norm"]
            found["norm"] *= config["n"] ** slopes[config["seed"]] * math.exp(
                0.03 * rng.standard_normal()
            )
        counts[judge_membership(planted).verdict] += 1
    assert counts["outside"] <= 4 and counts["inside"] <= 8, counts


def test_activations_without_bounds_have_a_kernel_too():
    assert ACTIVATIONS["relu"].constants is None
    check_kernel("relu", "mean", seed=3)
