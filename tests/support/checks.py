"""Assertions used twice: by the tests, and by ``test_mutations``, which must see them fail.

Every function here raises AssertionError when the package is wrong in its respect, and says which
implementation disagrees with which.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, HeadModel, Inputs, Params, symmetric_init
from ntkbound.heads.tasks.task import query
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.training import descent, projection
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.fused import FusedObjective
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.heads.training.step import NativeStep, Place, Rule, Step
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.heads.transport import TransportMap
from ntkbound.machine.parallel import Workers
from ntkbound.runs.record import Record
from tests.support import reference
from tests.support.problems import make_inputs, make_model, make_params, random_labels
from tests.support.tolerances import FINITE_DIFFERENCE, ROUNDING, assert_close

ONE = Workers(1)


def check_outputs(activation: str, kind: str, shape: Sequence[int]) -> None:
    """f and its directional derivative equal the head-by-head NumPy definition, natively or not."""
    n, T, d, m = shape
    native = make_model(activation, kind, d)
    inputs = make_inputs(n, T, d, kind, seed=1)
    params, delta = make_params(native, m, seed=2), make_params(native, m, seed=3)
    origin = {b: torch.zeros_like(v) for b, v in delta.items()}
    values = reference.outputs(activation, params, inputs)
    slopes = reference.directional(activation, params, delta, inputs)
    models: tuple[HeadModel, ...] = (native, AutogradView(native))
    for model in models:
        what = f"{type(model).__name__}, {activation}, query {kind}"
        tolerance = ROUNDING[torch.float64]
        lin = Linearized(model, params, inputs, ONE)
        assert_close(lin.outputs(params), values, tolerance, f"f, {what}")
        slope = lin.tangent(params, delta, origin)[1]
        assert_close(slope, slopes, tolerance, f"⟨∇f, Δ⟩, {what}")


def loss_and_gradient(
    name: str, model: ShallowTransformer, inputs: Inputs, y: Tensor, params: Params
) -> tuple[Tensor, Params]:
    """R̂ (R,) and ∇R̂ by one of the implementations."""
    grads = {b: torch.full_like(v, math.nan) for b, v in params.items()}
    if name == "fused":
        runs, m = params["c"].shape
        return FusedObjective(model, inputs, y, m, ONE, runs).evaluate(params, grads), grads
    if name == "blocked":
        objective = BlockedObjective(model, inputs, y, params["c"].shape[1], ONE)
        return objective.evaluate(params, grads), grads
    if name == "autograd":
        return AutogradObjective(model, inputs, y).evaluate(params, grads), grads
    losses, X, q = [], inputs.X.double().numpy(), inputs.q.double().numpy()
    activation, n = model.activation.name, len(y)
    for run in range(params["c"].shape[0]):
        heads = reference.heads_of({b: v[run] for b, v in params.items()})
        total = [{b: np.zeros_like(v) for b, v in head.items()} for head in heads]
        squares = 0.0
        for x, w, label in zip(X, q, y.double().numpy(), strict=True):
            f = sum(reference.head_output(activation, x, w, h) for h in heads)
            residual = f / math.sqrt(len(heads)) - label
            squares += residual**2
            for head, into in zip(heads, total, strict=True):
                gradient = reference.head_gradient(activation, x, w, head)
                for b in into:
                    into[b] += 2 / n * residual / math.sqrt(len(heads)) * gradient[b]
        losses.append(squares / n)
        for b in grads:
            grads[b][run] = torch.from_numpy(np.stack([g[b] for g in total]))
    return torch.tensor(losses, dtype=torch.float64), grads


def check_gradients(
    activation: str, kind: str, shape: Sequence[int], dtype: torch.dtype, *, differences: bool
) -> None:
    """All pairs of implementations of R̂ and ∇R̂, and finite differences of the definition."""
    n, T, d, m, runs = shape
    model = make_model(activation, kind, d)
    inputs = make_inputs(n, T, d, kind, seed=4).to(dtype)
    y = random_labels(n, seed=5).to(dtype)
    params = {b: v.to(dtype) for b, v in make_params(model, m, seed=6, runs=runs).items()}
    found = {
        name: loss_and_gradient(name, model, inputs, y, params)
        for name in ("fused", "blocked", "autograd", "definition")
    }
    for first, second in itertools.combinations(found, 2):
        what = f"{first} against {second}, {activation}, query {kind}"
        assert_close(found[first][0], found[second][0], ROUNDING[dtype], f"R̂, {what}")
        for block in params:
            pair = found[first][1][block], found[second][1][block]
            assert_close(*pair, ROUNDING[dtype], f"∂R̂/∂{block}, {what}")
    if differences:
        _check_differences(activation, kind, inputs, y, params, found["fused"][1])


def _check_differences(
    activation: str, kind: str, inputs: Inputs, y: Tensor, params: Params, grads: Params
) -> None:
    rng = np.random.default_rng(7)
    for block, run in itertools.product(params, range(params["c"].shape[0])):
        at = {b: v[run] for b, v in params.items()}
        direction = torch.from_numpy(np.array(rng.standard_normal(tuple(at[block].shape))))

        def moved(step: float, at: Params = at, block: str = block, v: Tensor = direction) -> float:
            there = {**at, block: at[block] + step * v}
            return reference.risk(activation, there, inputs, y.numpy())

        h = 1e-3
        slope = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
        expected = float((grads[block][run] * direction).sum())
        what = f"∂R̂/∂{block} against finite differences, {activation}, query {kind}"
        assert abs(slope - expected) <= FINITE_DIFFERENCE * max(1, abs(slope)), (
            f"{what}: {expected} and {slope}"
        )


def check_zero_at_start(model: ShallowTransformer, inputs: Inputs, m: int, seed: int) -> None:
    """f(·; φ_0) = 0 to rounding: the two heads of a pair cancel."""
    initial = symmetric_init(model, m, seed, torch.float64)
    largest = float(Linearized(model, initial, inputs, ONE).outputs(initial).abs().max())
    assert largest <= ROUNDING[torch.float64], f"f(·; φ_0) reaches {largest:.1e}"


def check_projection(centre: Params, params: Params, radii: dict[str, Tensor]) -> Params:
    """Π is feasible, idempotent, the nearest point, and leaves heads inside alone to the bit.

    Feasible without any tolerance; the balls are narrowed by as much as adding squares may differ.
    """
    moved = {b: v.clone() for b, v in params.items()}
    projection.project_(moved, centre, radii)
    for block, value in moved.items():
        slack = 3 * projection.margin(value[0, 0].numel())
        before, after, limit = (
            norms_of(params[block], centre[block]),
            norms_of(value, centre[block]),
            radii[block].double()[:, None],
        )
        assert bool((after <= limit).all()), f"{block}: outside its ball after Π"
        # Adding Δ to φ_0 rounds to the spacing of the numbers around both.
        rounding = slack * (norms_of(centre[block], 0 * centre[block]) + before)
        inside = before <= limit * (1 - slack)
        same = (
            (value == params[block]).flatten(2).all(2)
            if value.ndim > 2
            else (value == params[block])
        )
        assert bool(same[inside].all()), f"{block}: Π moved a head that was inside"
        pinned = (limit == 0).expand_as(after)
        assert bool((after[pinned] == 0).all()), f"{block}: radius 0 does not pin"
        delta, result = params[block].double() - centre[block], value.double() - centre[block]
        shrink = (limit / before.clamp(min=1e-300)).clamp(max=1)
        nearest = delta * shrink.reshape(*shrink.shape, *[1] * (delta.ndim - 2))
        gap = (
            (result - nearest).abs().flatten(2).amax(2)
            if delta.ndim > 2
            else ((result - nearest).abs())
        )
        assert bool((gap <= rounding).all()), f"{block}: Π is not the nearest point"
    again = {b: v.clone() for b, v in moved.items()}
    projection.project_(again, centre, radii)
    for block in moved:
        assert torch.equal(again[block], moved[block]), f"{block}: Π is not idempotent"
    return moved


def norms_of(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_i‖ per run and head, (R, m)."""
    delta = a.double() - b.double()
    return delta.abs() if delta.ndim == 2 else delta.flatten(2).norm(dim=2)


def check_descent(
    rho: float,
    dtype: torch.dtype,
    *,
    method_projects: bool = True,
    step: type[Step] = NativeStep,
) -> None:
    """φ_{s+1} = Π(φ_s − η∇R̂(φ_s)), step by step against NumPy, and never outside Ω_ρ."""
    model, m, tau, eta = make_model("tanh", "last", 2), 4, 12, 3.0
    inputs, y = make_inputs(6, 3, 2, "last", seed=8), 4 * random_labels(6, seed=9)
    initial = {b: v.unsqueeze(0) for b, v in symmetric_init(model, m, 3, torch.float64).items()}
    radius = rho / math.sqrt(m)
    seen: dict[int, Params] = {}
    rule = Rule(
        eta=torch.tensor([eta], dtype=torch.float64),
        radii={b: torch.tensor([radius], dtype=torch.float64) for b in initial}
        if method_projects
        else None,
    )
    with patch.object(descent, "make_step", step):
        descent.descend(
            BlockedObjective(model, inputs.to(dtype), y.to(dtype), m, ONE), initial, rule,
            descent.Schedule(tau, range(tau + 1)),
            descent.Watcher(
                lambda s, p, norms: seen.update({s: {b: v.clone() for b, v in p.items()}})
            ),
        )  # fmt: skip
    assert sorted(seen) == list(range(tau + 1))
    centre = initial
    for s in range(tau):
        now = seen[s]
        gradient = loss_and_gradient("definition", model, inputs, y, now)[1]
        for block, value in now.items():
            free = value - eta * gradient[block] - centre[block]
            norms = norms_of(free, 0 * free)
            shrink = (
                (radius / norms.clamp(min=1e-300)).clamp(max=1)
                if method_projects
                else (torch.ones_like(norms))
            )
            expected = centre[block] + free * shrink.reshape(*shrink.shape, *[1] * (free.ndim - 2))
            what = f"φ_{s + 1} of block {block}, ρ = {rho}"
            assert_close(seen[s + 1][block], expected, 10 * ROUNDING[dtype], what)
            if method_projects:
                away = norms_of(seen[s + 1][block], centre[block])
                assert bool((away <= radius).all()), f"{what} is outside Ω_ρ"


def check_small_steps(kind: type[Step], decay: float = 0.0) -> None:
    """A thousand steps of 1e-11 are one of 1e-8, which no float32 number of size 1 sees."""
    one = {"U": torch.ones(1, 2, 3, dtype=torch.float64)}
    place = Place.at(one, torch.float32)
    place.grads["U"][:] = 1.0
    step = kind(place, Rule(torch.tensor([1e-11], dtype=torch.float64), None, decay))
    for _ in range(1000):
        step.take()
    moved = place.params["U"] - 1
    assert_close(moved, torch.full((1, 2, 3), -1e-8), 1e-5, "1,000 small steps", floor=1e-300)
    assert place.rounded["U"].dtype == torch.float32


def check_identity(lin: Linearized, at: Params, transported: Params, y: Tensor) -> None:
    """⟨∇f(φ), φ − φ̃⟩ = r − lin − app + cof for every sample (theory §2)."""
    f, left = lin.tangent(at, at, transported)
    linear = linearization_errors(lin, at)
    app = approximation_errors(lin, transported, y)
    cof = change_of_feature_errors(lin, at, transported)
    # f(·; φ_0) vanishes only to the rounding of φ_0, so the floor is absolute.
    gap = float((left - (f - y - linear - app + cof)).abs().max())
    assert gap <= ROUNDING[torch.float64], f"the identity of theory §2 is off by {gap:.1e}"


def check_transport(mapping: TransportMap, theta: Params) -> None:
    """‖v_b(θ)‖ ≤ ν_b for every head and block, with no tolerance at all."""
    for block, value in mapping(theta).items():
        v = value.double()
        norms = v.abs() if v.ndim == 1 else v.flatten(1).norm(dim=1)
        largest = float(norms.max())
        limit = mapping.nu[block]
        assert largest <= limit, f"{mapping.name}, block {block}: {largest!r} > ν = {limit!r}"


def check_queries(n: int = 5, T: int = 3, d: int = 2) -> None:
    """Every sample is asked with its own query: last token, token mean, or the shared vector."""
    X = make_inputs(n, T, d, "last", seed=10).X
    shared = torch.from_numpy(np.random.default_rng(11).standard_normal(d))
    expected = {
        "last": torch.stack([X[j, T - 1] for j in range(n)]),
        "mean": torch.stack([sum(X[j, t] for t in range(T)) / T for j in range(n)]),
        "fixed": torch.stack([shared] * n),
    }
    for kind, q in expected.items():
        assert_close(query(kind, X, shared), q, ROUNDING[torch.float64], f"query {kind}")


def without_environment(record: Record) -> dict[str, object]:
    """run.json without the part that tells where and when."""
    return {name: value for name, value in record.as_json().items() if name != "environment"}


def assert_same(a: Record, b: Record) -> None:
    """Bit-identical records, ``environment`` apart."""
    assert without_environment(a) == without_environment(b)
    for one, two in ((a.trace, b.trace), (a.arrays, b.arrays)):
        assert one.keys() == two.keys()
        for name in one:
            assert one[name].dtype == two[name].dtype, name
            assert np.array_equal(one[name], two[name]), name
