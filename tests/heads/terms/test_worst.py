"""The searched worst case over Ω_ρ: feasible, above every probe, near brute force."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from ntkbound.heads import native
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, symmetric_init
from ntkbound.heads.terms import worst
from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.worst import (
    Search,
    candidates,
    seen_heads,
    signed_suprema,
    worst_change_of_feature,
    worst_linearization,
)
from ntkbound.machine.parallel import Workers
from tests.support.problems import (
    BOUNDED,
    QUERIES,
    in_ball,
    make_case,
    make_inputs,
    make_model,
)
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)
DEFAULT = Search(8, 20, 0)


@pytest.mark.parametrize("rho", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", ["tanh", "bump"])
def test_the_worst_case_is_never_below_another_probe(activation, query, rho):
    lin, _, radii, transported = make_case(query, activation, rho=rho, n=3)
    search = Search(restarts=4, steps=40, seed=0)
    probes = {f"random {s}": random_probe(lin, radii, s) for s in range(20)}
    probes |= {f"sphere {s}": in_ball(lin.initial, radii, s, boundary=True) for s in range(20)}
    probes["aligned"] = aligned_probe(lin, radii)
    linear = worst_linearization(lin, radii, search).error
    cof = worst_change_of_feature(lin, transported, radii, search).error
    for name, at in probes.items():
        found = linearization_errors(lin, at).abs()
        assert bool((found <= linear).all()), f"linearization at {name}"
        found = change_of_feature_errors(lin, at, transported).abs()
        assert bool((found <= cof).all()), f"change of feature at {name}"


@pytest.mark.parametrize("activation", BOUNDED)
def test_the_default_search_meets_brute_force(activation):
    """d = 1: three numbers per head, so the supremum is found on a dense grid; scores up to 20."""
    for rho, tokens, scale in itertools.product((0.3, 1.0, 6.0), (1, 2, 3), (1.0, 20.0)):
        for name, share in _shares(activation, rho, tokens, scale).items():
            case = f"{name}, ρ = {rho}, T = {tokens}, scores × {scale}"
            assert share.min() >= 0.98, f"{case}: only {share.min():.3f} of the supremum"
            # Above the grid only by its spacing: anything more would be infeasible.
            assert share.max() <= 1.02, f"{case}: {share.max():.3f} of the supremum, so infeasible"


def _shares(activation, rho, tokens, scale):
    """Searched over true supremum at three samples, where that is not rounding."""
    model, inputs = make_model(activation, "last", 1), make_inputs(3, tokens, 1, "last", seed=5)
    initial = symmetric_init(model, 2, 7, torch.float64)
    initial["W"] *= scale
    radii = dict.fromkeys(model.blocks, rho / math.sqrt(2))
    transported = in_ball(initial, radii, 3, boundary=True)
    lin = Linearized(model, initial, inputs, ONE)
    found = {
        "linearization": worst_linearization(lin, radii, DEFAULT).error,
        "change_of_feature": worst_change_of_feature(lin, transported, radii, DEFAULT).error,
    }
    tops = _brute_force(model, initial, transported, radii, inputs)
    return {n: found[n] / top for n, top in zip(found, tops, strict=True)}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", BOUNDED)
def test_native_and_autograd_search_agree(activation, query, monkeypatch):
    """The same rule and starts: closed-form gradients against torch, to rounding."""
    check_native_search(activation, query, monkeypatch)


def check_native_search(activation, query, monkeypatch):
    lin, _, radii, transported = make_case(query, activation, rho=1.5, n=2, T=5)
    search = Search(5, 6, 0)

    def both(lin):
        linear = worst_linearization(lin, radii, search).error
        cof = worst_change_of_feature(lin, transported, radii, search).error
        return torch.stack([linear, cof])

    found = both(lin)
    with monkeypatch.context() as patch:
        patch.setattr(native, "available", lambda: False)
        assert_close(found, both(lin), 1e-10, "native and torch")
        hidden = replace(lin, model=AutogradView(lin.model))
        assert_close(found, both(hidden), 1e-10, "native and torch.func")


@pytest.mark.parametrize("wrong", ["armijo", "span"])
def test_another_rule_gives_another_search(wrong, monkeypatch):
    """The comparison of the two searches sees a changed rule in one of them."""
    monkeypatch.setattr(worst, wrong.upper(), 1.0)
    with pytest.raises(AssertionError, match="native and torch"):
        check_native_search("tanh", "last", monkeypatch)


def test_a_wrong_sign_is_seen(monkeypatch):
    """⟨∇h(θ_0), Δ⟩ added instead of subtracted, in the torch search alone."""
    true = worst._inner
    monkeypatch.setattr(worst, "_inner", lambda *arguments: -true(*arguments))
    with pytest.raises(AssertionError, match="native and torch"):
        check_native_search("tanh", "last", monkeypatch)


@pytest.mark.parametrize("change", [False, True])
def test_a_head_does_not_see_its_neighbours(change):
    """Split anywhere, and on any number of threads, every head keeps its bits."""
    lin, task, radii, transported = make_case(m=70, n=2)
    model, initial = lin.model, lin.initial
    target = transported if change else None
    whole = seen_heads(model, initial, target, radii, task.inputs)
    points = candidates(whole.model, Search(2, 4, 0), [slice(0, 70)])
    found = signed_suprema(whole, task.inputs, points, 4, ONE)
    assert torch.equal(found, signed_suprema(whole, task.inputs, points, 4, Workers(2)))
    for part in (slice(0, 3), slice(3, 70)):
        base = {b: v[part] for b, v in initial.items()}
        goal = None if target is None else {b: v[part] for b, v in target.items()}
        heads = seen_heads(model, base, goal, radii, task.inputs)
        own = candidates(heads.model, Search(2, 4, 0), [part])
        assert torch.equal(found[..., part], signed_suprema(heads, task.inputs, own, 4, ONE))


@pytest.mark.parametrize("query", QUERIES)
def test_one_sample_sees_only_its_key(query):
    """h and its tangents are those of the smaller problem, and δk fills the stretched ball."""
    lin, task, radii, transported = make_case(query)
    model, initial = lin.model, lin.initial
    seen, base, stretch = model.seen_by_samples(initial, task.inputs)
    delta = {b: transported[b] - v for b, v in initial.items()}
    moved = model.seen_by_samples(delta, task.inputs)[1]
    whole = model.jvp(initial, delta, task.inputs)
    for j in range(task.inputs.n):
        rows = slice(j, j + 1)
        part = [{b: v[j] for b, v in p.items()} for p in (base, moved)]
        for a, b in zip(seen.jvp(*part, task.inputs.rows(rows)), whole, strict=True):
            assert_close(a[0], b[j], EXACT, "seen by one sample")
        for (block, v), r in zip(moved.items(), radii.values(), strict=True):
            size = v[j].abs() if v[j].ndim == 1 else v[j].norm(dim=1)
            assert bool((size <= r * stretch[block][j] * (1 + EXACT)).all())


def _brute_force(model, initial, transported, radii, inputs, points=41):
    axis = torch.linspace(-1, 1, points, dtype=torch.float64)
    ends = torch.tensor([-1.0, 1.0], dtype=torch.float64)  # both errors are affine in δc
    steps = torch.stack(torch.meshgrid(ends, axis, axis, indexing="ij")).reshape(3, -1)
    m = 2
    generic = AutogradView(model)
    signs = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    best_lin, best_cof = torch.zeros(2, inputs.n).double(), torch.zeros(2, inputs.n).double()
    for i in range(m):
        shapes = {b: (-1, *s) for b, s in model.blocks.items()}
        base = {b: v[i : i + 1] for b, v in initial.items()}
        goal = {b: v[i : i + 1] for b, v in transported.items()}
        delta = {
            b: radii[b] * step.reshape(shapes[b])
            for b, step in zip(model.blocks, steps, strict=True)
        }
        count = steps.shape[1]
        at = {b: base[b] + delta[b] for b in base}
        spread = {b: v.expand(count, *v.shape[1:]).contiguous() for b, v in base.items()}
        h0, linear = generic.jvp(spread, delta, inputs)
        lin = model.h(at, inputs) - h0 - linear
        far = {b: at[b] - goal[b] for b in at}
        cof = generic.jvp(at, far, inputs)[1] - generic.jvp(spread, far, inputs)[1]
        best_lin += (signs[:, :, None] * lin).amax(2)
        best_cof += (signs[:, :, None] * cof).amax(2)
    return best_lin.amax(0) / math.sqrt(m), best_cof.amax(0) / math.sqrt(m)


def test_a_search_with_radius_zero_finds_nothing():
    lin, _, _, transported = make_case()
    radii, search = dict.fromkeys(lin.initial, 0.0), Search(4, 10, 0)
    linear = worst_linearization(lin, radii, search).error
    cof = worst_change_of_feature(lin, transported, radii, search).error
    assert float(linear.abs().max()) <= EXACT
    assert float(cof.abs().max()) <= EXACT


@pytest.mark.parametrize("restarts", [1, 2, 5])
def test_any_number_of_restarts_and_steps_is_feasible(restarts):
    lin, _, radii, _ = make_case(n=2)
    values = [
        worst_linearization(lin, radii, Search(restarts, steps, 0)).error for steps in (1, 10, 40)
    ]
    top = worst_linearization(lin, radii, Search(12, 150, 1)).error
    assert all(bool((v <= 1.02 * top).all()) for v in values)
    assert bool((values[2] >= 0.9 * top).all())


@pytest.mark.parametrize("change", [False, True])
def test_the_gap_is_what_no_first_order_step_exceeds(change, monkeypatch):
    """max ⟨g, ξ' − ξ⟩ at the ends of short ascents, by both searches; nothing is left at last."""
    lin, task, radii, transported = make_case("last", "tanh", rho=1.0, n=2)
    model, initial = lin.model, lin.initial
    heads = seen_heads(model, initial, transported if change else None, radii, task.inputs)
    points = candidates(heads.model, Search(2, 4, 0), [slice(0, len(initial["c"]))])
    sizes = {}
    for steps in (1, 4, 200):
        native_found = signed_suprema(heads, task.inputs, points, steps, ONE)
        with monkeypatch.context() as patch:
            patch.setattr(native, "available", lambda: False)
            found = signed_suprema(heads, task.inputs, points, steps, ONE)
        if steps < 200:  # later both are at rounding
            assert_close(native_found, found, 1e-9, f"{steps} steps")
        value, gap = native_found
        assert bool((gap >= 0).all())
        sizes[steps] = float(gap.sum() / value.sum())
    assert sizes[1] > max(sizes[4], 1e-5)
    assert sizes[200] < 1e-9
