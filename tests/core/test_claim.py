"""Claims of every form: what they accept, and how they are told."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from ntkbound.core.claim import FORMS, Claim, Level, Order, Rate
from ntkbound.core.errors import InputError
from ntkbound.core.preset import read_claim
from ntkbound.core.quantity import Key

ABOUT = {"term": "error", "probe": "training", "statistic": "rmse"}
EVERY = {
    "rate": {"axis": "step", "kind": "upper", "exponent": -1, "log_power": 2, "start": 1000},
    "exponential": {"axis": "step", "kind": "upper", "rate": 0.05},
    "level": {"kind": "equal", "level": 1, "tolerance": 0.02},
    "fraction": {"kind": "lower", "share": 0.9, "above": 0.5},
    "order": {"smaller": {"kernel": "gaussian"}, "larger": {"kernel": "softmax"}},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_and_python_make_the_same_claim(form):
    keys = {"column": "loss", "form": form, **EVERY[form]}
    found = read_claim(keys, "p.toml")
    assert found == Claim(**keys) and type(found) is FORMS[form]
    assert found.key == Key.of_column("loss") and str(found.key) == found.key.column == "loss"
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_claim_without_a_form_is_a_rate():
    found = Claim(**ABOUT, axis="n/d", kind="upper", exponent=-0.5)
    assert isinstance(found, Rate) and found.along == ("n", "d") and not found.inside
    assert found.key == Key("error", "training", "rmse")


@pytest.mark.parametrize(
    ("form", "sign", "said"),
    [
        ("rate", "≤ −1 log^2", "at most step^−1 (log step)^2"),
        ("exponential", "≤ e^−0.05·step", "at most e^−0.05·step"),
        ("level", "= 1 ± 0.02", "equal to 1 ± 0.02"),
        ("fraction", "≥ 0.9 of runs", "at least 0.9 of runs above 0.5"),
        ("order", "gaussian < softmax", "kernel=gaussian below kernel=softmax"),
    ],
)
def test_how_each_form_is_told(form, sign, said):
    claim = Claim(**ABOUT, form=form, **EVERY[form])
    assert (claim.sign, claim.said) == (sign, said)


def test_growth_and_recorded_numbers_are_told_as_well():
    grows = Claim(column="y", form="exponential", axis="n", kind="lower", rate=-0.5)
    assert grows.sign == "≥ e^0.5·n"
    level = Claim(column="y", form="level", kind="upper", level={"column": "bound"})
    assert isinstance(level, Level) and level.sign == "≤ bound"
    assert level.others == (Key.of_column("bound"),)
    recorded = Claim(column="y", form="exponential", axis="step", kind="upper", rate=ABOUT)
    assert recorded.sign == "≤ e^−rmse·step"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"form": "levle"}, "form: 'levle' is unknown; did you mean 'level'?"),
        ({"form": "level", "exponent": 1}, "exponent: no such key of form 'level'; accepted:"),
        ({"form": "level", "kind": "equal", "level": 1}, "tolerance: goes with kind = 'equal'"),
        ({"form": "level", "kind": "upper", "level": 1, "tolerance": 1}, "tolerance: goes with"),
        ({"form": "level", "kind": "upper", "level": "x"}, "level"),
        ({"form": "level", "kind": "upper", "level": {"term": "x"}}, "probe: is missing"),
        ({"form": "fraction", "share": 1.5}, "share: input should be less than or equal to 1"),
        ({"form": "fraction", "share": 0.0}, "share: 0 of kind 'lower' says nothing"),
        ({"form": "fraction", "share": 0.5, "above": 1, "below": 2}, "below: a success is above"),
        ({"form": "order", "smaller": {"a": 1}, "larger": {"b": 1}}, "same fields"),
        ({"form": "order", "smaller": {"a": 1}, "larger": {"a": 1}}, "larger: is the same"),
        ({"form": "exponential", "axis": "n", "kind": "upper", "rate": 0}, "rate: 0 is no decay"),
        ({"form": "exponential", "axis": "n", "kind": "upper", "rate": ABOUT}, "axis = 'step'"),
        ({**EVERY["rate"], "log_power": 0, "floor": True}, "floor: not along step"),
        ({**EVERY["rate"], "stop": 10}, "stop: 10 is not above start = 1000"),
        ({**EVERY["rate"], "status": "refuted"}, "reason: a refuted claim says why"),
        ({**EVERY["rate"], "term": "error"}, "column: give it, or term"),
        ({**EVERY["rate"], "column": ""}, "term: is missing; give term, probe and statistic"),
    ],
)
def test_every_mistake_is_one_line(keys, message):
    with pytest.raises(InputError) as caught:
        read_claim({"column": "loss", **keys}, "p.toml")
    told = str(caught.value)
    assert told.startswith("p.toml: [[claim]] ") and message in told and "\n" not in told


def test_a_claim_does_not_change():
    claim = Order(column="y", **EVERY["order"])
    with pytest.raises(ValidationError):
        claim.smaller = {}
