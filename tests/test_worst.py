"""The searched worst case over Ω_ρ: feasible, above every probe, near brute force."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ntkbound.models.heads import AutogradView, symmetric_init
from ntkbound.parallel import Workers
from ntkbound.terms.change_of_feature import change_of_feature_errors
from ntkbound.terms.linearization import linearization_errors
from ntkbound.terms.probes import aligned_probe, random_probe
from ntkbound.terms.worst import Search, worst_change_of_feature, worst_linearization
from tests.problems import (
    BOUNDED,
    QUERIES,
    in_ball,
    make_case,
    make_inputs,
    make_model,
)
from tests.tolerances import ROUNDING

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)


@pytest.mark.parametrize("rho", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", ["tanh", "bump"])
def test_the_worst_case_is_never_below_another_probe(activation, query, rho):
    model, task, initial, radii, transported = make_case(query, activation, rho=rho, n=3)
    inputs, search = task.inputs, Search(restarts=4, steps=40, seed=0)
    probes = {f"random {s}": random_probe(model, initial, radii, s) for s in range(20)}
    probes |= {f"sphere {s}": in_ball(initial, radii, s, boundary=True) for s in range(20)}
    probes["aligned"] = aligned_probe(model, initial, radii, inputs, ONE)
    lin = worst_linearization(model, initial, radii, inputs, search, ONE)
    cof = worst_change_of_feature(model, initial, transported, radii, inputs, search, ONE)
    for name, at in probes.items():
        found = linearization_errors(model, initial, at, inputs, ONE).abs()
        assert bool((found <= lin).all()), f"linearization at {name}"
        found = change_of_feature_errors(model, initial, at, transported, inputs, ONE).abs()
        assert bool((found <= cof).all()), f"change of feature at {name}"


@pytest.mark.parametrize("rho", [0.3, 1.0])
@pytest.mark.parametrize("activation", BOUNDED)
def test_the_worst_case_meets_brute_force(activation, rho):
    """d = 1, T = 2, m = 2: three numbers per head, so the supremum is found on a dense grid."""
    for seed in range(2):
        for name, share in _shares(activation, rho, seed, Search(8, 80, 0)).items():
            assert share[0] >= 0.95, f"{name}: only {share[0]:.3f} of the supremum"
            # Above the grid only by its spacing: anything more would be infeasible.
            assert share[1] <= 1.01, f"{name}: {share[1]:.3f} of the supremum, so infeasible"


def test_the_default_search_is_near_brute_force_on_average():
    """A head is easily missed when starts are few; the error of a run averages over its heads."""
    default = Search(4, 20, 0)
    cases = itertools.product(BOUNDED, (0.3, 1.0, 3.0), range(2))
    found = [_shares(*case, default) for case in cases]
    for name in ("linearization", "change_of_feature"):
        mean = sum(share[name][0] for share in found) / len(found)
        assert mean >= 0.95, f"{name}: {mean:.3f} of the supremum on average"


def _shares(activation, rho, seed, search):
    """Searched over true supremum: the smallest and the largest share among three samples."""
    model, inputs = make_model(activation, "last", 1), make_inputs(3, 2, 1, "last", seed=seed)
    initial = symmetric_init(model, 2, seed + 2, torch.float64)
    radii = dict.fromkeys(model.blocks, rho / math.sqrt(2))
    transported = in_ball(initial, radii, 3, boundary=True)
    found = {
        "linearization": worst_linearization(model, initial, radii, inputs, search, ONE),
        "change_of_feature": worst_change_of_feature(
            model, initial, transported, radii, inputs, search, ONE
        ),
    }
    key = (activation, rho, seed)
    if key not in SUPREMA:
        SUPREMA[key] = _brute_force(model, initial, transported, radii, inputs)
    ratios = [found[name] / top for name, top in zip(found, SUPREMA[key], strict=True)]
    return {n: (float(r.min()), float(r.max())) for n, r in zip(found, ratios, strict=True)}


SUPREMA: dict = {}


def _brute_force(model, initial, transported, radii, inputs, points=41):
    axis = torch.linspace(-1, 1, points, dtype=torch.float64)
    steps = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, -1)
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
    model, task, initial, _, transported = make_case()
    radii, search = dict.fromkeys(initial, 0.0), Search(4, 10, 0)
    lin = worst_linearization(model, initial, radii, task.inputs, search, ONE)
    cof = worst_change_of_feature(model, initial, transported, radii, task.inputs, search, ONE)
    assert float(lin.abs().max()) <= EXACT
    assert float(cof.abs().max()) <= EXACT


@pytest.mark.parametrize("restarts", [1, 2, 5])
def test_any_number_of_restarts_and_steps_is_feasible(restarts):
    model, task, initial, radii, _ = make_case(n=2)
    values = [
        worst_linearization(model, initial, radii, task.inputs, Search(restarts, steps, 0), ONE)
        for steps in (1, 10, 40)
    ]
    top = worst_linearization(model, initial, radii, task.inputs, Search(12, 150, 1), ONE)
    assert all(bool((v <= 1.02 * top).all()) for v in values)
    assert bool((values[2] >= 0.9 * top).all())
