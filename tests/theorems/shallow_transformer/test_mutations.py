"""Every check has been seen to fail: a wrong package must not pass the named checks.

Each case breaks one thing and calls the very helper that the real tests call (``checks.py`` and
``bound_checks.py``).
The helpers are also called unbroken, so that a case cannot pass because its helper always fails.
"""

from __future__ import annotations

import dataclasses
import math
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ntkbound.core import streams
from ntkbound.heads import activations, linearized, transport
from ntkbound.heads import model as heads
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.native import passes
from ntkbound.heads.tasks import task as tasks
from ntkbound.heads.training import blocked, projection, step
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import NoCache
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.start import build_model
from ntkbound.theorems.shallow_transformer.teacher import Teacher, teacher_task
from tests.support import bound_checks, checks, problems
from tests.support.problems import BoundCase, make_inputs, make_model

DOUBLE = torch.float64


# --- the checks, by name ------------------------------------------------------------------------


def outputs():
    checks.check_outputs("tanh", "last", (4, 3, 2, 5))


def gradients(activation="tanh", query="last"):
    checks.check_gradients(activation, query, (5, 4, 3, 4, 1), DOUBLE, differences=True)


def starts_at_zero():
    checks.check_zero_at_start(make_model("tanh", "last", 3), make_inputs(4, 3, 3, "last", 1), 6, 5)


def descends(rho=0.02, native_step=True):
    kind = step.NativeStep if native_step else step.TorchStep
    checks.check_descent(rho, DOUBLE, step=kind)


def projects(radius=0.1):
    model = make_model("tanh", "last", 2)
    centre = problems.make_params(model, 3, seed=1, runs=1)
    params = problems.make_params(model, 3, seed=2, runs=1)
    checks.check_projection(centre, params, {b: torch.tensor([radius]).double() for b in centre})


def identity():
    model, m = make_model("tanh", "last", 2), 6
    initial = heads.symmetric_init(model, m, 1, DOUBLE)
    radii = dict.fromkeys(initial, 0.5)
    at, goal = (problems.in_ball(initial, radii, s, boundary=False) for s in (2, 3))
    inputs = make_inputs(5, 3, 2, "last", seed=4)
    lin = Linearized(model, initial, inputs, Workers(1))
    checks.check_identity(lin, at, goal, problems.random_labels(5, seed=5))


def queries():
    checks.check_queries()


def transports():
    config = Config(n=2, T=2, d=3, m=2, teacher_heads=2, nu="0.5,0.5,0.5")
    model = build_model(config)
    task = teacher_task(Teacher.of(config), Workers(1), NoCache())
    checks.check_transport(task.transport, heads.fresh_heads(model, 1, 0, 20, DOUBLE))


def bounds(activation="sigmoid"):
    for seed in range(3):
        case = (2, 1, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1.0, "antipodal", seed)
        bound_checks.check_bounds(BoundCase(activation, "last", 3, *case))


def constants_are_exact():
    bound_checks.check_constants("sigmoid")


def seeds():
    model = make_model("tanh", "last", 2)
    first, second = (heads.symmetric_init(model, 8, seed, DOUBLE) for seed in (0, 1))
    assert not torch.equal(first["U"], second["U"]), "the seed is recorded but not used"


# --- the mutations ------------------------------------------------------------------------------


def no_root(patch, module):
    """1/m for 1/√m, or none at all: the square root does nothing."""
    fake = SimpleNamespace(sqrt=float, fsum=math.fsum, prod=math.prod)
    patch.setattr(module, "math", fake)


def slope(patch, name, wrong):
    true = activations.ACTIVATIONS[name]
    mutated = dataclasses.replace(true, slope=lambda z, s: wrong(true.slope(z, s), z, s))
    patch.setitem(activations.ACTIVATIONS, name, mutated)


def diagonal_scores(self, key, inputs):
    """An einsum with a repeated index, as in published code: only the diagonal of W counts."""
    Wq = torch.einsum("...mdd,...nd->...nmd", key, inputs.q)
    return torch.einsum("...ntd,...nmd->...ntm", inputs.X, Wq)


def transposed_scores(self, key, inputs):
    return torch.einsum("...nta,...mba,...nb->...ntm", inputs.X, key, inputs.q)


def shuffled(inputs):
    return heads.Inputs(inputs.X, inputs.q.roll(1, dims=-2))


def load_shuffled(self, inputs, y):
    other = shuffled(inputs)
    self.X, self.q, self.y = other.X.contiguous(), other.q.contiguous(), y


def query_of_the_next_sample(kind, X, fixed, true=tasks.query):
    return true(kind, X, fixed).roll(1, dims=0)


def first_token(kind, X, fixed, true=tasks.query):
    return X[:, 0] if kind == "last" else true(kind, X, fixed)


def no_projection(params, centre, radii):
    pass


def skips_radius_zero(params, centre, radii, true=projection.project_):
    true(params, centre, {b: torch.where(r == 0, torch.inf, r) for b, r in radii.items()})


def projects_all_heads_together(params, centre, radii):
    for block, value in params.items():
        delta = value - centre[block]
        size = delta.flatten(1).norm(dim=1)
        factor = (radii[block] / size).clamp(max=1).reshape(-1, *[1] * (delta.ndim - 1))
        value.copy_(centre[block] + delta * factor)


def projects_onto_the_origin(params, centre, radii, true=projection.project_):
    true(params, {b: 0 * v for b, v in centre.items()}, radii)


def sums_instead_of_norms(delta, lead):
    return delta.abs() if delta.ndim == lead + 1 else delta.flatten(lead + 1).abs().amax(-1)


def unpaired(model, m, seed, dtype):
    return heads.fresh_heads(model, seed, 0, m, dtype)


def seed_ignored(seed, purpose, chunk=0, true=streams.generator):
    return true(0, purpose, chunk)


def ascending_step(values, gradient, *others, true=passes.project):
    true(values, -gradient, *others)


def adding_in_float32(values, *others, true=passes.project):
    true(values, *others)
    values[:] = values.astype(np.float32)


def native_no_projection(values, gradient, start, rule, *others, true=passes.project):
    eta, radius, margin = rule
    true(values, gradient, start, (eta, np.full_like(radius, np.inf), margin), *others)


def native_skips_radius_zero(values, gradient, start, rule, *others, true=passes.project):
    eta, radius, margin = rule
    widened = np.where(radius == 0, np.inf, radius)
    true(values, gradient, start, (eta, widened, margin), *others)


def ball_of_another_norm(v, radius):
    return 1.01 * transport_into_ball(v, radius)


transport_into_ball = transport._into_ball


def wrong_origin(self, params):
    return self.tangent(params, params, self.initial)[1]


def forgets_the_start(lin, params, transported):
    return lin.tangent(params, params, transported)[1]


MUTATIONS: dict[str, tuple[Any, Any]] = {
    "sqrt(m) missing in the measured output": (lambda p: no_root(p, linearized), outputs),
    "sqrt(m) missing in the trained gradient": (lambda p: no_root(p, blocked), gradients),
    "tanh' without the square": (
        lambda p: slope(p, "tanh", lambda d, z, s: 1 - s), gradients),
    "erf' of erf(x/√2)": (
        lambda p: slope(p, "erf", lambda d, z, s: d / math.sqrt(2)), lambda: gradients("erf")),
    "sigmoid' of the uncentred sigmoid": (
        lambda p: slope(p, "sigmoid", lambda d, z, s: d / 2), lambda: gradients("sigmoid")),
    "bump' with the wrong sign": (
        lambda p: slope(p, "bump", lambda d, z, s: -d), lambda: gradients("bump")),
    "only the diagonal of W": (
        lambda p: p.setattr(ShallowTransformer, "scores", diagonal_scores), outputs),
    "only the diagonal of W, against the trained gradient": (
        lambda p: p.setattr(ShallowTransformer, "scores", diagonal_scores), gradients),
    "W transposed": (
        lambda p: p.setattr(ShallowTransformer, "scores", transposed_scores), outputs),
    "queries shuffled in training": (
        lambda p: p.setattr(blocked.BlockedObjective, "load", load_shuffled), gradients),
    "queries shuffled when sliced": (
        lambda p: p.setattr(heads.Inputs, "rows", lambda self, rows, true=heads.Inputs.rows:
                            shuffled(true(self, rows))), outputs),
    "query of the next sample": (
        lambda p: p.setattr(checks, "query", query_of_the_next_sample), queries),
    "first token for last": (lambda p: p.setattr(checks, "query", first_token), queries),
    "projection dropped from the loop": (
        lambda p: p.setattr(passes, "project", native_no_projection), descends),
    "projection dropped from the loop in torch": (
        lambda p: p.setattr(step, "project_", no_projection), lambda: descends(native_step=False)),
    "projection skipped when the radius is 0": (
        lambda p: p.setattr(passes, "project", native_skips_radius_zero), lambda: descends(0.0)),
    "projection skipped in torch when the radius is 0": (
        lambda p: p.setattr(step, "project_", skips_radius_zero),
        lambda: descends(0.0, native_step=False)),
    "projection does nothing": (
        lambda p: p.setattr(projection, "project_", no_projection), projects),
    "projection skips radius 0": (
        lambda p: p.setattr(projection, "project_", skips_radius_zero), lambda: projects(0.0)),
    "projection over all heads at once": (
        lambda p: p.setattr(projection, "project_", projects_all_heads_together), projects),
    "projection onto a ball around 0": (
        lambda p: p.setattr(projection, "project_", projects_onto_the_origin), projects),
    "projection by the largest entry": (
        lambda p: p.setattr(projection, "_norms", sums_instead_of_norms), projects),
    "iterates that add up in float32": (
        lambda p: p.setattr(passes, "project", adding_in_float32),
        lambda: checks.check_small_steps(step.NativeStep)),
    "iterates that are rounded to float32, outside of their balls": (
        lambda p: p.setattr(passes, "project", adding_in_float32),
        lambda: checks.check_descent(0.02, torch.float32)),
    "ascent": (lambda p: p.setattr(passes, "project", ascending_step), descends),
    "no symmetric pairs": (lambda p: p.setattr(checks, "symmetric_init", unpaired), starts_at_zero),
    "seed not used": (lambda p: p.setattr(streams, "generator", seed_ignored), seeds),
    "teacher larger than recorded": (
        lambda p: p.setattr(transport, "_into_ball", ball_of_another_norm), transports),
    "tangent taken at phi instead of phi_0": (
        lambda p: p.setattr(Linearized, "linear_outputs", wrong_origin), identity),
    "change of feature without its value at phi_0": (
        lambda p: p.setattr(checks, "change_of_feature_errors", forgets_the_start), identity),
    "eps_lin a quarter of itself": (
        lambda p: scaled(p, "linearization", 0.25), bounds),
    "eps_cof a quarter of itself": (lambda p: scaled(p, "change_of_feature", 0.25), bounds),
    "L^2 a quarter of itself": (lambda p: scaled(p, "squared_feature_norm", 0.25), bounds),
    "sigma_1 too small": (
        lambda p: constants(p, "sigmoid", (1.0, 0.45, 0.1925)), constants_are_exact),
}  # fmt: skip


def scaled(patch, name, factor):
    true = getattr(theorem, name)
    patch.setattr(theorem, name, lambda *a: factor * true(*a))


def constants(patch, name, wrong):
    mutated = dataclasses.replace(activations.ACTIVATIONS[name], constants=wrong)
    patch.setitem(activations.ACTIVATIONS, name, mutated)


@contextmanager
def quietly():
    """Mutants may divide by zero on their way to failing."""
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_makes_its_check_fail(name, monkeypatch):
    mutate, check = MUTATIONS[name]
    check()  # passes unbroken: otherwise the failure below would mean nothing
    mutate(monkeypatch)
    with quietly(), pytest.raises(AssertionError):
        check()


def test_every_check_is_used_by_a_mutation():
    """A helper that nothing can break is no check."""
    used = {check.__name__ for _, check in MUTATIONS.values() if check.__name__ != "<lambda>"}
    assert used == {
        "outputs", "gradients", "starts_at_zero", "descends", "projects", "identity", "queries",
        "transports", "bounds", "seeds", "constants_are_exact",
    }  # fmt: skip
