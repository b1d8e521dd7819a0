"""The proof audit: the chain holds, adds up, and a wrong step is named."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ntkbound.core.outcome import Bound
from ntkbound.core.registry import configure
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView
from ntkbound.heads.terms import change_of_feature, linearization
from ntkbound.heads.training import projection, step
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import NoCache, Tools
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer import recurrent
from ntkbound.theorems.shallow_transformer import run as running
from ntkbound.theorems.shallow_transformer.audit import links, replay
from ntkbound.theorems.shallow_transformer.audit import observer as measuring
from ntkbound.theorems.shallow_transformer.audit.columns import weights
from ntkbound.theorems.shallow_transformer.audit.replay import audited_steps
from ntkbound.theorems.shallow_transformer.data import prepare
from ntkbound.theorems.shallow_transformer.start import build_model, start
from tests.support.problems import SMALL_RUN, TRAIN, parts, tamper

FIELDS = {"m": 8, "tau": 400, "n": 6, "T": 3, "d": 2, "teacher_heads": 512, "eta": 0.05}


SERIES = {
    "task": "ar", "lag": 2, "positions": "none", "rescale": True, "n": 8, "m": 8, "tau": 60,
    "eta": 0.005, "dtype": "float64",
}  # fmt: skip
COMPUTED = SERIES | {"transport": "computed", "ridge": 1.0, "rho": 3.0}
RECURRENT = {"model": "indrnn", "omega": 0.5}


def audited(count=1000, level="closed-form", view=lambda model: model, **changed):
    fields = changed if "task" in changed else {**FIELDS, **changed}
    begun = begin(configure(fields), view)
    return replay.replay(begun, count, QUIET, level)


def begin(config, view=lambda model: model):
    """A run before its first step; ``view`` of its model trains."""
    config, _, make = parts(prepare(config))
    model, workers = build_model(config), Workers(1)
    return start(config, view(model), make(model, workers, NoCache()), workers)


QUIET = Tools(Workers(1))


def rows_of(found):
    return {link.name: link for link in found.links}


def check_product(found):
    """The factors multiply to bound/measured, and only the signed ones may be below 1."""
    assert found.bound is not None
    product = math.prod(share.factor for share in found.shares)
    assert product == pytest.approx(found.bound / math.sqrt(found.min_mse), rel=1e-12)
    signed = {"rounding", "quadrature"}
    assert all(s.factor >= 1 - 1e-9 for s in found.shares if s.name not in signed)


def verdicts(found):
    return {link.name: link.verdict for link in found.links}


def violated(found):
    return {link.name for link in found.links if link.verdict == "violated"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rho", [1.0, 1.5])
def test_the_chain_holds_and_adds_up(dtype, rho):
    found = audited(dtype=dtype, tau=60, rho=rho)
    assert set(verdicts(found).values()) == {"holds"}
    check_product(found)
    assert sum(share.share for share in found.shares) == pytest.approx(1, rel=1e-12)
    assert found.shares[-1].reached == pytest.approx(found.bound, rel=1e-12)
    factors = {share.name: share.factor for share in found.shares}
    assert factors["quadrature"] == pytest.approx(1, rel=1e-9), "every step is audited"
    assert factors["root"] == pytest.approx(1, rel=1e-7), "the identity behind the chain"
    if dtype == "float64":
        assert factors["rounding"] == pytest.approx(1, rel=1e-9)


def test_fewer_steps_tell_what_they_miss():
    found = audited(count=30, tau=200)
    assert found.steps < 40
    factors = {share.name: share.factor for share in found.shares}
    assert factors["quadrature"] == pytest.approx(1, abs=0.02)
    assert factors["quadrature"] != 1


def test_weights_integrate_straight_lines():
    steps = np.array([0, 1, 5, 9])
    found = weights(steps, 10)
    assert found.sum() == pytest.approx(10)
    assert found @ (3 + 2 * steps) == pytest.approx(sum(3 + 2 * s for s in range(10)))
    assert np.array_equal(weights(np.arange(4), 4), np.ones(4))


def expansive(patch):
    true = projection.project_

    def outwards(params, centre, radii):
        before = {b: v.clone() for b, v in params.items()}
        true(params, centre, radii)
        for block, value in params.items():
            value += 2 * (before[block] - value)

    patch.setattr(projection, "project_", outwards)


def double_gradient(patch):
    true = measuring.AutogradObjective.evaluate

    def evaluate(self, params, grads):
        loss = true(self, params, grads)
        for value in grads.values():
            value *= 2
        return loss

    patch.setattr(measuring.AutogradObjective, "evaluate", evaluate)


def double_step(patch):
    true = step.NativeStep.take

    def take(self):
        for gradient in self._gradients:
            gradient *= 2
        true(self)

    patch.setattr(step.NativeStep, "take", take)


def drop_linearization(patch):
    patch.setattr(linearization, "linearization_errors", lambda lin, at:
                  torch.zeros(lin.inputs.n, dtype=torch.float64))  # fmt: skip


def drop_change(patch):
    patch.setattr(change_of_feature, "change_of_feature_errors", lambda lin, at, to:
                  torch.zeros(lin.inputs.n, dtype=torch.float64))  # fmt: skip


def halve_features(patch):
    true = Linearized.tangent_and_norm

    def tangent_and_norm(*arguments):
        f, derivative, squared = true(*arguments)
        return f, derivative, squared / 2

    patch.setattr(Linearized, "tangent_and_norm", tangent_and_norm)


def shrink(patch, name, factor, module=theorem):
    true = getattr(module, name)
    patch.setattr(module, name, lambda *given: true(*given) * factor)


def shrink_suprema(patch, name):
    module = importlib.import_module("ntkbound.theorems.shallow_transformer.certificates.certify")
    true = module.target_suprema

    def suprema(*given):
        found = true(*given)
        return replace(found, **{name: 1e-4 * getattr(found, name)})

    patch.setattr(module, "target_suprema", suprema)


MUTATIONS = {
    "expansive projection": (
        expansive,
        {"projection", "step"},
        {"eta": 2.0, "rho": 0.5, "nu": 0.5, "bounds": False},
    ),
    "wrong gradient scale": (double_gradient, {"identity", "step"}, {}),
    "wrong step": (double_step, {"step"}, {}),
    "e without lin": (drop_linearization, {"identity"}, {"tau": 40}),
    "e without cof": (drop_change, {"identity"}, {"tau": 40}),
    "L² halved": (halve_features, {"gradient"}, {"n": 1, "tau": 20}),
    "L² too small": (lambda p: shrink(p, "squared_feature_norm", 0.01), {"feature-norm"}, {}),
    "ε_lin too small": (lambda p: shrink(p, "linearization", 1e-4), {"linearization"}, {}),
    "ε_cof too small": (lambda p: shrink(p, "change_of_feature", 1e-4), {"change-of-feature"}, {}),
    "recurrent L² too small": (
        lambda p: shrink(p, "squared_feature_norm", 0.01, recurrent),
        {"feature-norm"},
        SERIES | RECURRENT,
    ),
    "computed: ε_cof too small": (
        lambda p: shrink(p, "change_of_feature", 1e-6), {"change-of-feature"}, COMPUTED
    ),
    "computed: e without cof": (drop_change, {"identity"}, COMPUTED),
    **{
        f"a-posteriori {name} too small": (
            lambda p, name=name: shrink_suprema(p, name), {link}, {"level": "a-posteriori"}
        )
        for name, link in (
            ("linearization", "linearization"),
            ("change_of_feature", "change-of-feature"),
            ("squared_feature_norm", "feature-norm"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_step_is_named(name, monkeypatch):
    mutate, expected, changed = MUTATIONS[name]
    teacher = {"tau": 60, "dtype": "float64", "rho": 0.5, "nu": 0.5}
    settings = changed if "task" in changed else teacher | changed
    assert not violated(audited(**settings))
    mutate(monkeypatch)
    assert expected <= violated(audited(**settings))


@pytest.mark.parametrize("level", ["closed-form", "a-posteriori"])
def test_an_exceeded_approximation_bound_is_inconclusive(level, monkeypatch):
    if level == "closed-form":
        shrink(monkeypatch, "approximation", 1e-4)
    else:
        module = importlib.import_module(
            "ntkbound.theorems.shallow_transformer.certificates.certify"
        )
        true = module.approximation_bound
        monkeypatch.setattr(
            module, "approximation_bound", lambda *a, **b: [1e-4 * x for x in true(*a, **b)]
        )
    found = verdicts(audited(tau=60, level=level))
    assert found["approximation"] == "inconclusive"
    assert "violated" not in found.values()


def test_measured_constants_stand_in_and_say_so():
    found = audited(activation="relu", bounds=False, tau=30)
    rows = rows_of(found)
    for name in ("linearization", "approximation", "change-of-feature", "feature-norm"):
        assert rows[name].reason == (
            "bounds were switched off: the largest measured value stands in"
        )
        assert rows[name].factor_low == 1
    assert not violated(found)
    assert any("nothing that rests on them is proved" in note for note in found.notes)


def test_a_recurrent_run_uses_the_constant_that_is_proved_for_it():
    found = audited(**SERIES, **RECURRENT)
    rows = rows_of(found)
    r = 0.5 + 1 / math.sqrt(8)
    C = 1 + 1 / math.sqrt(8)
    L2 = 1 + C**2 * ((1 + r) ** 2 + (1 + r + r**2) ** 2)  # tanh, T = 3, unit tokens
    assert rows["feature-norm"].right == pytest.approx(L2, rel=1e-12)
    assert rows["feature-norm"].reason == ""
    assert "not for recurrent ones: the largest measured" in rows["linearization"].reason
    assert rows["linearization"].factor_low == 1
    assert [row.verdict for row in rows.values()].count("condition-not-met") == 8
    assert found.shares == ()
    assert found.bound is None
    assert any("stand in for linearization:" in note for note in found.notes)


def test_a_recurrent_chain_holds_with_stand_ins_and_claims_nothing():
    found = audited(**COMPUTED, **RECURRENT)
    rows = rows_of(found)
    assert set(verdicts(found).values()) == {"holds"}
    check_product(found)
    for name in ("linearization", "approximation", "change-of-feature"):
        assert "stands in" in rows[name].reason
    assert rows["feature-norm"].reason == ""
    assert rows["bound"].reason == "with measured constants: not a proof"
    (note,) = [note for note in found.notes if "stand in for" in note]
    assert "for linearization, approximation, change of feature:" in note
    assert any("ν realised" in note for note in found.notes)


def test_any_head_model_goes_the_same_way():
    """A model of which only h is known, its gradient by autograd, gives the same chain."""
    fields = COMPUTED | RECURRENT | {"tau": 8}
    found, generic = audited(**fields), audited(**fields, view=AutogradView)
    for a, b in zip(found.links, generic.links, strict=True):
        assert (a.name, a.verdict, a.reason) == (b.name, b.verdict, b.reason)
        assert b.left == pytest.approx(a.left, rel=1e-9, abs=1e-12)
        assert b.right == pytest.approx(a.right, rel=1e-5, abs=1e-12)
    assert generic.bound == pytest.approx(found.bound, rel=1e-9)


@pytest.mark.parametrize("level", ["closed-form", "a-posteriori"])
def test_a_computed_transport_needs_only_the_approximation_realised(level):
    found = audited(**COMPUTED, level=level)
    rows = rows_of(found)
    assert set(verdicts(found).values()) == {"holds"}
    check_product(found)
    assert [name for name, row in rows.items() if "stands in" in row.reason] == ["approximation"]
    assert rows["approximation"].right == rows["approximation"].left
    assert "about this φ_0 only" in rows["bound"].reason


def test_the_level_chooses_the_constants():
    begun = begin(configure({**FIELDS, "tau": 60}))
    tools = replace(QUIET, data=prepare(begun.config).data)
    outcome = running.run(begun.config, tools)
    values = {(c.level, c.term): c.value for c in outcome.certificates}
    for level in replay.LEVELS:
        found = replay.replay(begun, 1000, QUIET, level)
        rows = rows_of(found)
        assert found.level == level
        assert set(verdicts(found).values()) == {"holds"}
        check_product(found)
        for name in ("linearization", "approximation", "change-of-feature"):
            assert rows[name].right == values[level, name.replace("-", "_")], name
        norm = values[level, "feature_norm"]
        assert rows["feature-norm"].right == pytest.approx(norm**2, rel=1e-12)
        if level == "closed-form":
            # The audit is of the theorem, the record's bound carries the rounding of its run.
            assert 1 < values[level, "training_rmse"] / found.bound < 1.001
    assert values["a-posteriori", "training_rmse"] < found.bound
    assert found.bound < audited(tau=60).bound


def test_a_bound_of_stand_ins_that_miss_steps_is_not_refuted(monkeypatch):
    """Measured constants are maxima over audited steps: between them they may be larger."""
    monkeypatch.setattr(links, "final_bound", lambda run, known: Bound(1e-9))
    few = rows_of(audited(count=10, **COMPUTED, **RECURRENT))["bound"]
    assert few.verdict == "inconclusive"
    assert "larger between audited steps" in few.reason
    assert rows_of(audited(**COMPUTED, **RECURRENT))["bound"].verdict == "violated"
    assert rows_of(audited(count=10, **COMPUTED))["bound"].verdict == "violated"


def test_a_target_outside_the_ball_is_not_judged():
    found = audited(nu=1.0, rho=0.5, tau=30)
    assert verdicts(found)["projection"] == "condition-not-met"
    assert found.shares == () and found.bound is None


def test_the_command(command, folder):
    assert command(*TRAIN, "--quiet", "--eta=0.02")[0] == 0
    (path,) = (folder / "results").glob("*/run.json")
    code, out, err = command("audit", path.parent, "--figure", "slack.svg", "--steps=50")
    assert (code, err) == (0, "")
    for word in ("record", "cauchy-schwarz", "where bound/measured goes", "100.0%", "20 of 20"):
        assert word in out, word
    assert (folder / "slack.svg").stat().st_size > 1000
    code, out, _ = command("audit", path.parent, "--json", "--level=a-posteriori")
    told = json.loads(out)
    assert told["level"] == "a-posteriori"
    assert told["links"][0]["name"] == "record" and told["links"][0]["verdict"] == "holds"
    terms = json.loads(path.read_text())["terms"]
    terms["optimization"]["training"]["min_mse"] *= 2
    tamper(path.parent, terms=terms)
    code, _, err = command("audit", path.parent, "--quiet")
    assert code == 1
    assert err.startswith("violated: (0) record: ")


def test_without_a_transport_map_the_rest_is_not_defined(command, folder):
    code, out, _ = command("audit", "--task=digits", "--n=20", "--m=4", "--tau=5", "--json")
    found = {link["name"]: link["verdict"] for link in json.loads(out)["links"]}
    assert code == 0
    assert found["gradient"] == found["linearization"] == found["step"] == "holds"
    assert found["projection"] == found["bound"] == "condition-not-met"


def test_bad_input(refused, copied):
    options = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL_RUN.items()]
    assert "cannot be audited; accepted: projgd" in refused("audit", *options, "--method=gd")
    Path("run.toml").write_text("m = 8\n")
    for option in ("--m=16", "--m=256", "--out=elsewhere", "--config=run.toml"):
        message = refused("audit", copied, option)
        assert message.startswith(f"{option.partition('=')[0]}: a record fixes the run"), option
    assert refused("audit", "nowhere").startswith("nowhere/run.json: no such record")
    assert "unknown format" in refused("audit", copied, "--figure=x.gif")
    assert refused("audit", copied, "--level=a-priori") == (
        "--level: 'a-priori' is unknown; accepted: closed-form, a-posteriori"
    )
    assert "--steps" in refused("audit", copied, "--steps=1")


@pytest.mark.parametrize("tau", [2, 3, 24, 100, 4000])
@pytest.mark.parametrize("count", [2, 3, 24, 64])
def test_as_many_steps_are_audited_as_were_asked_for(tau, count):
    steps = audited_steps(tau, count)
    assert len(steps) == len({*steps}) == min(tau, count)
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, tau - 1)
    far = [b / a for a, b in pairwise(steps) if a > 50]
    assert not far or max(far) < 1.2 * min(far), "geometric where it can be"
