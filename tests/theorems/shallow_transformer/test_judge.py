"""Which bounds a run has: by its model's very class, by its algorithm, and by its target."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from ntkbound.core.registry import configure
from ntkbound.core.steps import recorded_steps
from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.model import AutogradView, HeadModel
from ntkbound.heads.terms.trajectory import Trajectory
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems.shallow_transformer import judge as judging
from ntkbound.theorems.shallow_transformer import proved
from ntkbound.theorems.shallow_transformer import run as runs
from ntkbound.theorems.shallow_transformer.data import prepare
from ntkbound.theorems.shallow_transformer.proved import bounds_of, closed_form, in_theorem
from ntkbound.theorems.shallow_transformer.start import Joint, Trained, build_model, start
from ntkbound.theorems.shallow_transformer.statement import (
    APPROXIMATION,
    CERTIFIED,
    CLAIMS,
    FEATURE_NORM,
    MIN_MSE,
    MIN_RMSE,
    QUANTITIES,
    TRAJECTORY,
    WORST,
)
from ntkbound.theorems.shallow_transformer.train import train
from tests.support.problems import parts

SMALL = {
    "m": 8, "tau": 20, "n": 6, "T": 3, "d": 2, "teacher_heads": 64, "records": 4,
    "search_samples": 2, "search_restarts": 2, "search_steps": 2, "eta": 0.01, "dtype": "float64",
}  # fmt: skip
SERIES = {
    "task": "ar", "lag": 2, "positions": "none", "rescale": True, "n": 8, "m": 8, "tau": 20,
    "eta": 0.005, "dtype": "float64", "records": 4, "search_samples": 2, "search_restarts": 2,
    "search_steps": 2,
}  # fmt: skip
RECURRENT = {"model": "indrnn", "omega": 0.5}
COMPUTED = {"transport": "computed", "ridge": 1.0, "rho": 3.0}
LEAVES = {"method": "gd", "eta": 1.0, "rho": 0.1, "nu": 0.1, "tau": 50}


class Twisted(HeadModel):
    """Heads of somebody else's: neither c, U nor a third block, and no closed form."""

    def __init__(self, d):
        self.blocks = {"c": (), "V": (d,)}

    def h(self, params, inputs):
        return params["c"].unsqueeze(-2) * (inputs.X.mean(-2) @ params["V"].mT).sin()

    def context_numbers(self, T, m):
        return T


class Derived(ShallowTransformer):
    """A Transformer that somebody changed."""


def outcome(heads=None, /, **fields):
    """A run measured and judged; ``heads`` of it in place of the config's own."""
    config, _, make = parts(
        prepare(configure(SERIES | fields if "task" in fields else SMALL | fields))
    )
    own, tools = build_model(config), Tools(Workers(1))
    task = make(own, tools.workers, tools.cache)
    begun = start(config, own if heads is None else heads(own), task, tools.workers)
    joint = Joint((begun,))
    seen = Trajectory(joint.lin, begun.task.y, joint.transported, None)
    descent, _ = train(joint, seen.observe, recorded_steps(config.tau, config.records), tools)
    return runs.outcome_of(Trained(begun, descent.of(0), seen.of(0)))


def rows(found):
    return {row.key: row for row in found.checks}


def verdicts(found):
    return {row.key: row.verdict for row in found.checks}


def twisted(own):
    return Twisted(own.d)


def derived(own):
    return Derived(own.d, own.activation)


def foreign_heads_have_no_bound(**fields):
    """Neither the Transformer's bounds nor the recurrence's, and it is said why."""
    for model in (twisted, derived):
        # The radii of the config belong to the config's own blocks.
        config = configure(SERIES | fields)
        sized = config.with_data(8, 3, 1)
        begun = SimpleNamespace(config=sized, model=model(build_model(sized)))
        found = closed_form(begun)
        for bound in vars(found).values():
            assert bound.value is None, "a proof about other heads"
            assert (bound.absent, bound.reason) == ("not-defined", "not proved for this head")
        assert not in_theorem(begun.model)


def test_a_foreign_head_has_no_bound():
    foreign_heads_have_no_bound()
    foreign_heads_have_no_bound(**RECURRENT)


def test_a_foreign_head_is_measured_and_judged():
    """A Transformer that somebody changed: measured like any other, and nothing is claimed."""
    found = outcome(derived, task="ar")
    assert set(found.bounds.values()) == {None}
    assert set(verdicts(found).values()) == {"not-defined"}
    assert {row.reason for row in found.checks if row.measured} == {"not proved for this head"}
    assert found.certificates == ()
    assert found.conditions["step small enough"] is None
    assert found.conditions["trajectory in the ball"] is True


def test_bounds_are_those_of_the_very_class():
    assert bounds_of(ShallowTransformer) is proved.of_transformer
    assert bounds_of(IndRNN) is proved.of_recurrence
    assert bounds_of(Twisted) is bounds_of(Derived) is bounds_of(HeadModel) is proved.of_any_head


def test_hidden_closed_forms_change_no_bound():
    found, hidden = outcome(), outcome(AutogradView)
    assert hidden.bounds["linearization"] is not None
    assert "known for the Transformer only" in " ".join(hidden.notes)
    assert verdicts(hidden) == verdicts(found)


@pytest.mark.parametrize("name", ["inherited proofs", "the first class for all"])
def test_a_proof_for_the_wrong_heads_is_seen(name, monkeypatch):
    def inherited(kind):
        for known, found in proved.PROVED.items():
            if issubclass(kind, known) or name == "the first class for all":
                return found
        return proved.of_any_head

    monkeypatch.setattr(proved, "bounds_of", inherited)
    with pytest.raises((AssertionError, AttributeError)):
        foreign_heads_have_no_bound()


CONDITIONS = [
    ({}, set(), set()),
    ({"nu": 2.0}, {"target inside the ball"}, set()),
    ({"eta": 3.0}, {"step small enough"}, set()),
    ({"method": "projsgd", "batch": 4}, {"full-batch projected descent"}, set()),
    ({"input_norm": 2.0}, {"tokens in the unit ball"}, set()),
    (LEAVES, {"step small enough", "full-batch projected descent", "trajectory in the ball"},
     set()),
    ({"bounds": False}, set(), {"step small enough"}),
    ({"task": "ar"}, {"transport known"},
     {"transport independent of the initialisation", "target inside the ball"}),
    ({"task": "ar", **COMPUTED}, {"transport independent of the initialisation"}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "unmet", "unknown"), CONDITIONS)
def test_conditions_are_fields(fields, unmet, unknown):
    found = outcome(**fields).conditions
    assert {name for name, met in found.items() if met is None} == unknown
    assert {name for name, met in found.items() if met is False} == unmet


def check_absences():
    """The kind of every absence, case by case."""
    training, lin = MIN_MSE.key, WORST.key
    found = verdicts(outcome())
    assert found.pop(training) == found.pop(MIN_RMSE.key) == "vacuous"
    assert set(found.values()) == {"holds"}
    absent = rows(outcome(eta=3.0))[training]
    assert (absent.verdict, absent.bound) == ("vacuous", None)
    assert verdicts(outcome(nu=2.0))[training] == "condition-not-met"
    for method in ({"method": "gd"}, {"method": "decay"}, {"method": "projsgd", "batch": 4}):
        assert verdicts(outcome(**method))[training] == "condition-not-met"
    unknown = verdicts(outcome(task="ar"))
    assert unknown[training] == unknown[APPROXIMATION.key] == "condition-not-met"
    assert unknown[lin] == "holds"
    computed = verdicts(outcome(task="ar", **COMPUTED))
    assert computed[APPROXIMATION.key] == "condition-not-met"
    off = verdicts(outcome(bounds=False))
    assert set(off.values()) == {"not-defined"}
    left = verdicts(outcome(**LEAVES))
    assert left[TRAJECTORY.key] == left[FEATURE_NORM.key] == "condition-not-met"
    assert left[lin] == "holds", "elsewhere in Ω_ρ the bound is what it was"
    recurrent = verdicts(outcome(task="ar", **RECURRENT))
    assert recurrent.pop(FEATURE_NORM.key) == "holds"
    assert set(recurrent.values()) == {"not-defined"}


def test_the_kind_of_an_absence():
    check_absences()


@pytest.mark.parametrize("name", ["the trajectory is not looked at", "any descent is covered"])
def test_a_wrong_absence_is_seen(name, monkeypatch):
    if name == "any descent is covered":
        monkeypatch.setattr(proved.bounds.Bounds, "after", lambda self, covered: self)
    else:
        monkeypatch.setattr(judging, "_left", lambda run: [])
    with pytest.raises(AssertionError):
        check_absences()


def test_checks_carry_the_probability_with_which_they_may_fail():
    found = {row.key: row.delta for row in outcome(delta=0.2).checks}
    assert found[APPROXIMATION.key] == 0.2
    assert found[WORST.key] == 0
    assert found[MIN_MSE.key] == 0, "a posteriori: nothing is left to chance"


# Wide enough, and long, for a training bound that says something.
SURE = {"m": 256, "tau": 400, "eta": 0.05, "rho": 0.5, "nu": 0.5}


def test_a_training_bound_above_the_first_loss_says_nothing():
    """φ_0 is one of the iterates: R̂(φ_0) bounds the minimum without any theorem."""
    found = outcome()
    initial = float(found.trace["optimization/training/mse"][0])
    for quantity, power in ((MIN_MSE, 1), (MIN_RMSE, 2)):
        row = rows(found)[quantity.key]
        assert row.bound**power > initial
        assert row.verdict == "vacuous"
        ratio = row.bound**power / initial
        assert row.reason == f"R̂(φ_0) = {initial:.3g} is smaller by {ratio:.3g}×"
        assert row.slack == pytest.approx(row.bound / row.measured), "the number stays visible"
    told = outcome(**SURE)
    initial = float(told.trace["optimization/training/mse"][0])
    assert rows(told)[MIN_MSE.key].bound < initial
    assert rows(told)[MIN_MSE.key].verdict == rows(told)[MIN_RMSE.key].verdict == "holds"


def test_no_reason_of_a_row_is_told_again_in_a_note():
    for fields in ({}, {"nu": 2.0}, {"eta": 3.0}, {"method": "gd"}, {"task": "ar"}, LEAVES,
                   {"task": "ar"} | RECURRENT, {"task": "ar"} | COMPUTED):  # fmt: skip
        found = outcome(**fields)
        for row in found.checks:
            assert not any(row.reason and row.reason in note for note in found.notes)
        assert not any("no bound" in note or "not met" in note for note in found.notes)


def test_whether_the_trajectory_left_the_ball_is_asked_once(monkeypatch):
    asked, left = [], judging._left
    monkeypatch.setattr(judging, "_left", lambda run: asked.append(run) or left(run))
    outcome(**LEAVES)
    assert len(asked) == 1


def test_no_level_is_shown_above_the_closed_form():
    """A priori knows less than the realised norms: where it says less it is left out."""
    narrow, wide = (levels(outcome(m=m, delta=0.001, d=4)) for m in (2, 256))
    for found in (narrow, wide):
        for term, known in found.items():
            closed = known.get("closed-form", math.inf)
            assert known.get("a-priori", 0) <= closed, term
            assert known.get("a-posteriori", 0) <= closed * (1 + 1e-12), term
    assert "a-priori" not in narrow["feature_norm"], "nothing was left out: the test shows nothing"
    assert "a-priori" in wide["linearization"]


def levels(found):
    known = {}
    for row in found.certificates:
        known.setdefault(row.term, {})[row.level] = row.value
    return known


def test_the_statement_is_about_declared_quantities():
    keys = [quantity.key for quantity in QUANTITIES]
    assert len(set(keys)) == len(keys)
    assert {claim.key for claim in CLAIMS} <= set(keys)
    assert {q.key for row in CERTIFIED.values() for q in row} <= set(keys)
    assert all(claim.where == {"model": "transformer"} for claim in CLAIMS)
    squares = {q.statistic for q in QUANTITIES if q.noise == "square"}
    assert squares == {"min_mse", "mean_mse", "final_mse", "min_validation_mse"}
    assert {q.term for q in QUANTITIES if q.trained} == {"optimization"}
