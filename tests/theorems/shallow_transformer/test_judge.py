"""Which bounds a run has: by its model's very class, by its algorithm, and by its target."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ntkbound.core.theorem import configure
from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.model import AutogradView, HeadModel
from ntkbound.heads.terms.trajectory import Trajectory
from ntkbound.heads.training.descent import recorded_steps
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
    assert "no bound on any term: not proved for this head" in found.notes
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
    assert set(found.values()) == {"holds"}
    assert verdicts(outcome(eta=3.0))[training] == "vacuous"
    assert verdicts(outcome(nu=2.0))[training] == "condition-not-met"
    for method in ({"method": "gd"}, {"method": "decay"}, {"method": "projsgd", "batch": 4}):
        assert verdicts(outcome(**method))[training] == "condition-not-met"
    unknown = verdicts(outcome(task="ar"))
    assert unknown[training] == unknown[APPROXIMATION.key] == "not-defined"
    assert unknown[lin] == "holds"
    computed = verdicts(outcome(task="ar", **COMPUTED))
    assert computed[APPROXIMATION.key] == "not-defined"
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


def test_the_statement_is_about_declared_quantities():
    keys = [quantity.key for quantity in QUANTITIES]
    assert len(set(keys)) == len(keys)
    assert {claim.key for claim in CLAIMS} <= set(keys)
    assert {q.key for row in CERTIFIED.values() for q in row} <= set(keys)
    assert all(claim.where == {"model": "transformer"} for claim in CLAIMS)
    squares = {q.statistic for q in QUANTITIES if q.noise == "square"}
    assert squares == {"min_mse", "mean_mse", "final_mse", "min_validation_mse"}
    assert {q.term for q in QUANTITIES if q.trained} == {"optimization"}
