"""Bounds hold in every run, are not met or vacuous where they say so, and fail if made wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ntkbound.core.errors import InputError
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems.encoder_only import THEOREM, bounds, conditions, statement
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.tangent import Tangent
from tests.theorems.encoder_only.support import drawn, leaves, outputs

NAMES = ("loss_ratio/paper", "loss_ratio/proof", "gradient/lemma 12", "alpha_squared/lambda_min",
         "alpha_squared/trace")  # fmt: skip


def outcome(**fields):
    prepared = THEOREM.prepare(Config(**fields))
    return THEOREM.run(prepared.config, Tools(Workers(1), data=prepared.data))


def verdicts(found):
    return dict(zip(NAMES, (row.verdict for row in found.checks), strict=True))


@settings(max_examples=60, deadline=None)
@given(init=st.sampled_from(["lecun", "he", "ntk"]), scaling=st.sampled_from(["half", "one"]),
       sizes=st.tuples(st.integers(1, 24), st.integers(1, 7), st.integers(1, 4),
                       st.integers(1, 5)),
       pooling=st.sampled_from(["mean", "sum"]), loss=st.sampled_from(["mean", "sum"]),
       tokens=st.sampled_from(["unit", "raw", "centred"]), seed=st.integers(0, 99),
       step=st.sampled_from(["fixed", "kernel", "adaptive"]), gamma=st.floats(1e-3, 3.0),
       tau=st.integers(1, 60))  # fmt: skip
def test_no_bound_is_exceeded(sizes, **fields):
    dm, N, ds, d = sizes
    try:
        found = outcome(dm=dm, N=N, ds=ds, d=d, records=8, **fields)
    except InputError as error:  # all tokens vanish, or no neuron is alive: no step of the kernel
        assume(error.field != "step")
        raise
    assert "bound-violated" not in verdicts(found).values()
    assert all(row.delta == 0.0 for row in found.checks if row.bound is not None)
    json.dumps([found.terms, found.bounds, [row.as_dict() for row in found.checks],
                [row.as_dict() for row in found.certificates]], allow_nan=False)  # fmt: skip
    declared = {quantity.key for quantity in THEOREM.quantities}
    assert {(term, probe, statistic) for term, probes in found.terms.items()
            for probe, one in probes.items() for statistic in one} <= declared  # fmt: skip


@pytest.fixture
def near(tmp_path):
    """Fields of a run that meets (2), (3) and the step: its targets are almost its outputs."""
    problem, weights = drawn(4, N=2, ds=1, d=3, dm=40, tau0=1 / 40)
    f = outputs(problem, *leaves(weights)).detach()
    y = f + 1e-7 * problem.y
    np.savez(tmp_path / "near.npz", X=problem.X.numpy(), y=y.numpy())
    arrays = {f"{'w' if name == 'O' else 'W'}_{name}": getattr(weights, name).numpy().copy()
              for name in "QKVO"}  # fmt: skip
    save_file(arrays, tmp_path / "near.safetensors")
    files = {"task": tmp_path / "near.npz", "initial": tmp_path / "near.safetensors"}
    fields = {"tokens": "raw", "loss": "sum", "step": "fixed", "scaling": "one", "tau": 1000}
    return {name: str(path) for name, path in files.items()} | fields


def short(near):
    """A step of half the limit for C = 1."""
    found = outcome(**near, gamma=1.0)
    return 0.5 / found.terms["condition"]["prop1_one"]["step_over_limit"]


def test_proposition_1_where_its_conditions_are_met(near, monkeypatch):
    gamma = short(near)
    found = outcome(**near, gamma=gamma)
    assert found.conditions[statement.PROP_1] is True
    assert set(verdicts(found).values()) == {"holds"}
    ratio, row = found.terms["optimization"]["training"]["loss_ratio"], found.checks[1]
    fall = gamma * found.terms["kernel"]["initial"]["alpha_squared"] / 4
    assert row.bound == pytest.approx((1 - fall) ** 1000, rel=1e-6)
    assert ratio < row.bound < 1 - 1e-3
    assert found.checks[0].bound < row.bound  # γα²/2 asks for more
    assert [one.level for one in found.certificates if one.term == "loss"] == ["paper", "proof"]
    whole = bounds.loss_ratio
    monkeypatch.setattr(bounds, "loss_ratio", lambda facts, steps, _: whole(facts, steps, 0.04))
    broken = outcome(**near, gamma=gamma)
    assert verdicts(broken)["loss_ratio/proof"] == "bound-violated"
    assert broken.checks[1].reason == "Proposition 1 as proved: above the bound"


def test_what_proposition_1_misses(near):
    gamma = short(near)

    def told(**fields):
        row = outcome(**{**near, "gamma": gamma, **fields}).checks[1]
        assert (row.verdict, row.bound) == ("condition-not-met", None)
        return row.reason

    long = told(gamma=1e4 * gamma, tau=5)
    assert "γ ≤ 1/C is not met: γwc1c2 = " in long and "; measured/bound " in long
    assert "is about one step size" in told(step="adaptive", gamma=1e-6, tau=5)
    usual = outcome(dm=64, N=8, ds=3, d=5, tau=20).checks[1]
    assert "(2) or (3) is not met: α² and α³ are " in usual.reason
    assert "; measured/bound " in usual.reason
    narrow = outcome(dm=4, N=8, ds=3, d=5, tau=20)
    assert narrow.checks[0].reason.startswith(
        f"Proposition 1 as stated: {statement.WIDE} is not met"
    )
    assert list(verdicts(narrow).values()) == [
        *["condition-not-met"] * 2,
        "holds",
        *["vacuous"] * 2,
    ]
    assert narrow.checks[3].reason == "α² ≤ λ_min(K): says nothing, as α = 0"


def test_a_step_that_does_not_descend_enough(near, monkeypatch):
    monkeypatch.setattr(conditions, "LEAST_DESCENT", 2.0)
    row = outcome(**near, gamma=short(near)).checks[1]
    assert row.verdict == "condition-not-met"
    assert "a step descends by less than γ‖∇ℓ‖²/2" in row.reason


def test_kernel_bounds_made_wrong_are_violated(monkeypatch):
    fields = {"dm": 64, "N": 8, "ds": 3, "d": 5, "tau": 5}
    whole = outcome(**fields)
    initial = whole.terms["kernel"]["initial"]
    assert whole.bounds["alpha_squared/lambda_min"] == pytest.approx(initial["lambda_min"])
    assert whole.bounds["alpha_squared/trace"] == pytest.approx(initial["trace_O"] / 8)
    assert 0 < initial["alpha_squared"] < initial["lambda_min"]
    true = Tangent.alpha_squared
    with monkeypatch.context() as patch:
        patch.setattr(Tangent, "alpha_squared", property(lambda K: 1.01 * K.smallest))
        assert verdicts(outcome(**fields))["alpha_squared/lambda_min"] == "bound-violated"
        assert verdicts(outcome(**fields))["alpha_squared/trace"] == "holds"
        patch.setattr(Tangent, "alpha_squared", property(lambda K: float(K.O.trace()) / 7))
        assert verdicts(outcome(**fields))["alpha_squared/trace"] == "bound-violated"
    assert Tangent.alpha_squared is true


def test_lemma_12_made_wrong_is_violated(monkeypatch):
    from ntkbound.theorems.encoder_only import measure

    whole = measure.lemma12
    monkeypatch.setattr(measure, "lemma12", lambda run: 40 * whole(run))
    found = outcome(dm=64, N=8, ds=3, d=5, tau=5)
    assert verdicts(found)["gradient/lemma 12"] == "bound-violated"


def test_equal_samples_leave_rounding_out_of_the_comparison(tmp_path):
    """Two equal rows: α and λ_min are 0, and neither bound is about rounding."""
    X = np.random.default_rng(0).standard_normal((4, 3, 5))
    X[1] = X[0]
    np.savez(tmp_path / "twice.npz", X=1e3 * X, y=np.arange(4.0))
    found = outcome(task=str(tmp_path / "twice.npz"), tokens="raw", dm=64, tau=3, gamma=0.1)
    assert found.terms["kernel"]["initial"]["alpha_squared"] == 0.0
    assert "bound-violated" not in verdicts(found).values()
