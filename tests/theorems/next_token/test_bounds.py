"""Bounds hold in every run, are not met or vacuous where they say so, and fail if made wrong."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems.next_token import THEOREM, bounds, kernel, statement
from ntkbound.theorems.next_token.audit import alpha, audit, first_step, telescoped, theorem1
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.measure import margin_certificate
from tests.theorems.next_token.support import trained

TASKS = st.sampled_from(["rollout", "cyclic", "free", "counterexample", "example1"])


def outcome(**fields):
    prepared = THEOREM.prepare(Config(**fields))
    return THEOREM.run(prepared.config, Tools(Workers(1), data=prepared.data))


def worst(run):
    return {link.key: link.worst for link in audit(run)}


def verdicts(found):
    return [row.verdict for row in found.checks]


@settings(max_examples=25)
@given(task=TASKS, seed=st.integers(0, 99), eta=st.floats(1e-3, 0.3), tau=st.integers(1, 300),
       weights=st.sampled_from(["uniform", "zipf"]), init=st.sampled_from([0.0, 0.5]),
       method=st.sampled_from(["ngd", "gd", "sgd", "adam"]))  # fmt: skip
def test_no_bound_is_exceeded(task, seed, eta, tau, weights, init, method):
    found = outcome(task=task, seed=seed, eta=eta, tau=tau, ov_weights=weights, ov_init=init,
                    method=method, T0=200)  # fmt: skip
    assert "bound-violated" not in verdicts(found)
    assert [row.delta for row in found.checks if row.bound is not None] == [0.0] * sum(
        row.bound is not None for row in found.checks
    )
    numbers = [value for probes in found.terms.values() for one in probes.values()
               for value in one.values()]  # fmt: skip
    assert np.isfinite(numbers).all()
    assert all(np.isfinite(series).all() for series in found.trace.values())
    declared = {quantity.key for quantity in THEOREM.quantities}
    measured = {(term, probe, statistic) for term, probes in found.terms.items()
                for probe, one in probes.items() for statistic in one}  # fmt: skip
    assert measured <= declared


@pytest.mark.parametrize("task", ["rollout", "free", "counterexample"])
def test_certificates_lie_above_the_gap_at_every_step(task):
    run = trained(task=task, tau=3000)
    gap = run.second.of(kernel.GAP)[1:]
    assert (margin_certificate(run) >= gap - 1e-14).all()
    ratio = telescoped(run) / gap
    assert ratio.min() >= 1 - 1e-12  # they are equal at the first step
    assert task == "counterexample" or ratio[899] < 1.6  # how tight the telescoped one is


def test_what_is_vacuous_and_what_is_not_met():
    found = outcome(task="rollout")
    assert verdicts(found) == ["condition-not-met", "holds", "holds", "vacuous", "holds", "vacuous",
                               "holds"]  # fmt: skip
    early, _, _, first, _, loss, _ = found.checks
    assert early.reason.startswith("Theorem 1: t ≥ t0 of Lemma 7 is not met (t0 = ")
    assert first.reason == "Proposition 1: 310 times 2, the largest gap there is"
    assert loss.reason.startswith("Theorem 2: ")
    assert found.conditions[statement.LATE] is False
    assert "lemma7" not in found.terms["audit"]
    t0 = {"example1": 2080, "cyclic": 21_825}
    late = outcome(task="example1", eta0=0.1, eta=0.025, tau=t0["example1"])
    assert verdicts(late)[0] == "vacuous" and late.conditions[statement.LATE] is True
    assert late.terms["audit"]["theorem1"]["worst"] < 1
    before = outcome(task="example1", eta0=0.1, eta=0.025, tau=t0["example1"] - 1)
    assert verdicts(before)[0] == "condition-not-met"
    told = outcome(task="cyclic", tau=10).checks[0].reason
    assert told.endswith(f"(t0 = {t0['cyclic']})")


def test_other_methods_and_starts_leave_the_papers_bounds():
    other = outcome(task="rollout", V=12, method="gd", tau=50)
    assert verdicts(other)[2] == "condition-not-met"
    assert other.checks[2].reason.endswith(f"{statement.NORMALISED} is not met")
    other = outcome(task="rollout", V=12, ov_init=0.3, tau=50)
    assert verdicts(other)[3] == verdicts(other)[5] == "condition-not-met"
    assert other.checks[3].reason == f"Proposition 1: {statement.ZERO_START} is not met"
    broken = outcome(task="counterexample", tau=50)
    assert broken.checks[0].reason == f"Theorem 1: {statement.CLOSED_FORM} is not met"


def test_a_bound_made_wrong_is_violated(monkeypatch):
    """Each certificate, a little smaller than the mathematics allows."""
    config = {"task": "rollout", "V": 12, "tau": 900}
    for name, factor in (("margin_certificate", 0.05), ("telescoped", 0.5)):
        whole = getattr(bounds, name)
        with monkeypatch.context() as patch:
            patch.setattr(bounds, name, lambda run, f=factor, w=whole: f * w(run))
            assert "bound-violated" in verdicts(outcome(**config))
    with monkeypatch.context() as patch:
        patch.setattr(bounds, "attention_certificate", lambda run: 0.0)
        assert verdicts(outcome(**config))[-1] == "bound-violated"


def test_the_attention_certificate_is_the_loss_where_attention_is_perfect():
    run = trained(task="example1", eta0=0.1, eta=0.025, tau=5000)
    assert bounds.attention_certificate(run) == pytest.approx(run.second.floor, rel=1e-6, abs=0)


def test_the_audit_sees_each_inequality_fail():
    run = trained(task="example1", eta0=0.1, eta=0.025, tau=2500)
    found = worst(run)
    assert set(found) == set(statement.AUDITED)
    assert all(0 < ratio <= 1 + 1e-12 for ratio in found.values())

    def broken(stage, column, factor):
        one = getattr(run, stage)
        series = one.series.copy()
        series[-1, column] *= factor
        return worst(dataclasses.replace(run, **{stage: dataclasses.replace(one, series=series)}))

    assert broken("first", 3, 100)["lemma4"] > 1
    assert broken("second", kernel.LEAST, 0.1)["lemma5"] > 1
    assert broken("second", kernel.DOWN_BEST, 0.1)["lemma6"] > 1
    assert broken("second", kernel.DOWN_SELF, 1e8)["lemma7"] > 1
    assert broken("second", kernel.GAP, 1e15)["theorem1"] > 1


def test_audit_of_a_rollout():
    """The prototype found lemma 6 to hold by 7.25 against attention/(2‖W*‖)."""
    found = worst(trained(task="rollout", tau=20_000))
    assert 6 < 1 / found["lemma6"] < 8.5
    # All tokens alike: ‖G‖/√2 over −⟨G, W_ov*⟩ is 1/√(2(V − 1)) at every step.
    assert found["lemma4"] == pytest.approx(1 / np.sqrt(38), rel=1e-10)


def test_conditions_of_claims():
    by_label = {claim.title: claim for claim in THEOREM.claims}
    assert THEOREM.needs(by_label["NGD beats GD"]) == ()
    assert THEOREM.needs(by_label["Theorem 1"]) == [statement.NORMALISED]
    monotone = THEOREM.needs(by_label["Lemma 5, monotone"])
    assert monotone == [statement.NORMALISED, statement.FREQUENT]
    assert THEOREM.needs(by_label["linear in T0 (D2)"]) == ()
    for claim in THEOREM.claims:
        THEOREM.understand(claim)
        assert set(THEOREM.needs(claim)) <= set(bounds.conditions(trained(tau=1)))


def test_the_papers_constants():
    """The prototype's rollout: N = 69, L = 7, ‖W_kq*‖ = 3.626, V = 20, 900 + 900 steps."""
    run = SimpleNamespace(
        sentences=SimpleNamespace(inputs=range(69), longest=7, V=20),
        best=SimpleNamespace(norm=3.626), eta=0.05 / 20**0.5, eta0=0.2 / 20**0.5,
        first_best=19**0.5, first=SimpleNamespace(steps=900), second=SimpleNamespace(steps=900),
    )  # fmt: skip
    assert theorem1(run, np.array([900.0]))[0] == pytest.approx(3.6e9, rel=0.02)
    assert bounds.theorem2(run) == pytest.approx(29.7, abs=0.05)
    assert first_step(run) == pytest.approx(65_855, abs=15)
    assert alpha(run, np.array([10.0]))[0] == pytest.approx(1.06e5, rel=0.02)


def test_one_step_of_each_stage(command):
    """Proposition 1 is about t ≥ 2: its bound says nothing at 1, and a record is written."""
    code, out, _ = command("train", "--theorem=next-token", "--V=5", "--T0=1", "--tau=1", "--json")
    assert code == 0
    first = next(row for row in json.loads(out)["checks"] if row["probe"] == "ov")
    assert (first["verdict"], first["bound"]) == ("vacuous", None)
    assert first["reason"] == "Proposition 1: is about steps t ≥ 2"


@pytest.mark.parametrize(
    "fields",
    [
        {"eta": 1000.0},
        {"eta0": 1e5, "T0": 50},
        {"eta0": 1e4, "task": "example1"},
        {"method": "gd", "eta": 1e4},
        {"ov_init": 30.0},
        {"ov_init": 100.0, "T0": 1},
        {"ov_init": 200.0, "T0": 1, "V": 4},
        {"eta": 1e150},
        {"records": 2},
        {"method": "adam", "eta": 100.0},
    ],
    ids=str,
)
def test_steps_far_from_the_papers_still_make_records(fields):
    found = outcome(**{"task": "rollout", "tau": 300, **fields})
    json.dumps([found.terms, [row.as_dict() for row in found.checks], found.bounds,
                [row.as_dict() for row in found.certificates]], allow_nan=False)  # fmt: skip
    assert all(np.isfinite(series).all() for series in found.trace.values())
    assert "bound-violated" not in verdicts(found)
