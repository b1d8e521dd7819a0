"""The engine of studies with a theorem of its own: found, evaluated, concluded from verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ntkbound import studies
from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.core.registry import find
from ntkbound.report.conclusions import conclude
from ntkbound.stats import claims_of
from ntkbound.studies.evaluate import evaluate, with_terms
from ntkbound.studies.growth import unclaimed
from ntkbound.studies.measured import axis_value, cells
from ntkbound.studies.study import Evidence, Finding, Judgement
from tests.support import planted_squares
from tests.support.planted_squares import ERROR, NORM, record, records
from tests.support.synthetic import registered


@pytest.fixture(autouse=True)
def theorem(tmp_path_factory):
    with planted_squares.planted(tmp_path_factory.mktemp("theorem")):
        yield


@pytest.fixture
def descent(theorem):
    """The study ``descent`` at smoke."""
    return studies.load("descent", "smoke")


def steeper(edition, exponent=-1.0):
    """The same study with a preset that claims more than its theorem does."""
    claim = Claim(
        term="error", probe="training", statistic="rmse", axis="steps", kind="upper",
        exponent=exponent,
    )  # fmt: skip
    return replace(edition, preset=replace(edition.preset, claims=(claim,)))


# Discovery.


def test_every_theorem_brings_its_studies():
    found = studies.studies()
    assert "descent" in found and "width" in found
    assert list(found) == sorted(found)
    assert found["descent"].theorem == "planted-squares"


def test_a_theorem_without_studies_costs_nothing(monkeypatch):
    bare = replace(find("planted-squares"), studies="")
    monkeypatch.setattr(studies, "theorems", lambda: {"planted-squares": bare})
    assert studies.studies() == {}


def test_two_studies_of_one_name_are_refused(monkeypatch):
    twice = {"a": find("planted-squares"), "b": find("planted-squares")}
    monkeypatch.setattr(studies, "theorems", lambda: twice)
    with pytest.raises(ValueError, match="descent: declared by"):
        studies.studies()


def test_a_study_at_a_size_is_a_preset(descent):
    assert (descent.name, descent.size) == ("descent", "smoke")
    assert descent.preset.name == "planted-squares/smoke/descent"
    assert len(descent.preset.configs()) == 5 * 4


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("decent", "smoke", "study 'decent' is unknown; accepted: "),
        ("decent", "smoke", "; did you mean 'descent'?"),
        ("descent", "smok", "size: 'smok' is unknown; accepted: smoke, small, paper; did you mean"),
        ("descent", "paper", "preset 'paper/descent' is unknown; did you mean"),
    ],
)
def test_mistakes_are_one_line(name, size, message):
    with pytest.raises(InputError) as caught:
        studies.load(name, size)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# Claims, bounds and what is shown.


def test_without_claims_of_its_own_a_preset_has_the_theorems_along_the_axis(descent):
    assert [claim.axis for claim in descent.claims(records())] == ["steps"]
    assert [claim.exponent for claim in steeper(descent).claims(records())] == [-1.0]
    assert descent.claims(records()) == claims_of(records()), "as any check of these records"
    elsewhere = replace(descent, study=replace(descent.study, axis="d"))
    assert elsewhere.claims(records()) == []


def test_claims_along_the_steps_of_a_run_belong_to_every_study(descent, monkeypatch):
    made = [Claim(column="error", axis=axis, kind="upper", exponent=-1.0)
            for axis in ("step", "n", "steps")]  # fmt: skip
    made.append(Claim(column="error", form="level", kind="upper", level=1.0))
    monkeypatch.setattr("ntkbound.studies.study.claims_of", lambda records: made)
    assert descent.claims(records()) == [made[0], made[2], made[3]]


def test_findings_are_claims_then_bounds(descent):
    evaluation = evaluate(descent, records(), {})
    assert evaluation.verdict == "holds"
    assert [(f.statement, f.verdict) for f in evaluation.findings] == [
        ("error / training / rmse: exactly steps^−0.5", "tight"),
        ("every proved bound that is defined here", "holds"),
    ]
    assert (
        evaluation.scope
        == "steps = 10 … 160 (5 values), 4 seeds; theorem planted-squares, n 16, d 2"
    )


def test_a_violated_claim_changes_what_is_concluded(descent):
    true, false = (evaluate(edition, records(), {}) for edition in (descent, steeper(descent)))
    assert (true.verdict, false.verdict) == ("holds", "violated")
    assert "0 are contradicted" in conclude(true).headline
    assert "1 is contradicted" in conclude(false).headline
    assert any("at most steps^−1" in line for line in conclude(false).shows)


def test_an_exceeded_bound_is_a_finding(descent):
    evaluation = evaluate(descent, records(bound=0.3), {})
    assert evaluation.verdict == "violated"
    (finding,) = [f for f in evaluation.findings if f.verdict == "bound-violated"]
    assert finding.statement == "error / training / rmse is below its proved bound"


def test_a_study_in_which_no_claim_could_be_judged_is_inconclusive(descent):
    """As a check is, even where bounds hold."""
    limited = replace(find("planted-squares"), needs=lambda claim: ("tame",))
    evaluation = evaluate(descent, records(), {})
    assert evaluation.verdict == "holds"
    with registered(limited):
        for bound in (100.0, None):
            evaluation = evaluate(descent, records(bound=bound), {})
            assert evaluation.findings[0].verdict == "condition-not-met"
            assert evaluation.verdict == "inconclusive"
        # What the study itself finds was judged.
        own = Judgement([Finding("S", "holds", "R")])
        found = replace(descent, study=replace(descent.study, judge=lambda evidence: own))
        assert evaluate(found, records(), {}).verdict == "holds"


@pytest.mark.parametrize(
    ("own", "bound", "expected"),
    [
        ([], None, "not-defined"),
        ([], 100.0, "holds"),
        (["not-defined"], 100.0, "holds"),
        (["condition-not-met"], None, "inconclusive"),
        (["condition-not-met", "not-defined"], 100.0, "inconclusive"),
        (["condition-not-met", "holds"], None, "holds"),
        (["inconclusive", "holds"], 100.0, "inconclusive"),
    ],
    ids=str,
)
def test_what_a_study_without_claims_comes_to(descent, own, bound, expected):
    found = Judgement([Finding("S", verdict, "R") for verdict in own])
    study = replace(descent.study, judge=lambda evidence: found, axis="d")
    evaluation = evaluate(replace(descent, study=study), records(bound=bound), {})
    assert evaluation.fits == []
    assert evaluation.verdict == expected


@pytest.mark.parametrize(
    ("exponent", "log_power", "said"),
    [
        (0.0, 1.0, "at most like the claimed logarithm of steps"),
        (-1.0, 2.0, "at most steps^−1 (log steps)^2"),
        (-0.5, 0.0, "at most steps^−0.5"),
    ],
)
def test_a_claim_is_told_in_words(descent, exponent, log_power, said):
    edition = steeper(descent, exponent)
    (claim,) = edition.preset.claims
    logged = claim.model_copy(update={"log_power": log_power})
    evaluation = evaluate(
        replace(edition, preset=replace(edition.preset, claims=(logged,))), records(), {}
    )
    assert evaluation.findings[0].statement == f"error / training / rmse: {said}"


def test_a_slope_of_which_nothing_is_claimed_is_shown_and_never_judged(descent):
    def judge(evidence):
        return Judgement(fits=unclaimed(evidence.complete, "steps", NORM))

    study = replace(descent.study, judge=judge)
    own = [
        with_terms(row, {"weights": {"final": {"norm": row.config["steps"] ** 0.25}}})
        for row in records()
    ]
    evaluation = evaluate(replace(descent, study=study), own, {})
    fit = evaluation.fits[-1]
    assert (fit.claim, fit.verdict) == (None, "not-defined")
    assert fit.slope == pytest.approx(0.25, abs=0.01)
    assert evaluation.findings[1].statement == "weights / final / norm: no rate claimed in steps"
    assert evaluation.verdict == "holds"


def test_the_table_has_medians_and_the_figure_bounds_where_there_are_any(descent):
    evaluation = evaluate(
        descent, [*records(), record({"steps": 10, "seed": 9}, 1.0, 1.0, "diverged")], {}
    )
    (table,) = evaluation.tables
    assert table.columns == ["arm", "steps", "seeds", "diverged", "RMSE", "‖w‖"]
    assert [row[1:4] for row in table.rows[:2]] == [["10", "4", "1"], ["20", "4", "0"]]
    assert {row[5] for row in table.rows} == {"–"}
    (panel,) = evaluation.panels
    roles = {line.role: line for line in panel.lines}
    assert list(roles) == ["measured", "fitted", "claimed", "upper"]
    assert {line.arm or line.label for line in panel.lines} == {"d 2"}
    measured = roles["measured"]
    assert {len(seeds) for seeds in measured.seeds} == {4}
    assert [(min(s), max(s)) for s in measured.seeds] == [
        *zip(measured.low, measured.high, strict=True)
    ]
    assert set(roles["upper"].y) == {100.0}
    assert panel.note.startswith("slope ") and ", claimed " in panel.note
    (bare,) = evaluate(descent, records(bound=None), {}).panels
    assert "upper" not in [line.role for line in bare.lines]
    assert evaluation.lost == {"steps10-seed9": "diverged"}


def test_derived_terms_are_numbers_like_the_others(descent):
    def derive(record):
        return {"weights": {"final": {"norm": 2.0 * record.config["d"]}}}

    study = replace(descent.study, derive=derive)
    evaluation = evaluate(replace(descent, study=study), records(), {})
    assert {row[-1] for row in evaluation.tables[0].rows} == {"4"}
    assert evaluation.records[0].number(NORM.key) == 4.0
    assert evaluation.records[0].number(ERROR.key) is not None


# Places.


def test_a_ratio_is_the_smallest_of_a_block():
    row = record({"seed": 0}, 1.0)
    split = replace(
        row, config={**row.config, "a": {"x": 1.0, "y": 3.0}, "b": {"x": 2.0, "y": 2.0}}
    )
    assert axis_value(split, "a/b") == 0.5
    assert axis_value(row, "n/d") == 8.0
    with pytest.raises(InputError, match="blocks that differ"):
        axis_value(split, "a/n")


def test_arms_are_ordered_as_numbers():
    own = [record({"d": d, "seed": 0, "steps": 10}, 1.0) for d in (10, 9, 2)]
    assert [cell.arm for cell in cells(Evidence(own, []), "steps", ("d",))] == [
        "d 2",
        "d 9",
        "d 10",
    ]


# Conclusions.


@pytest.mark.parametrize(
    ("verdict", "shown", "left_open"),
    [
        ("tight", "Agrees, within the margin on both sides: S.", "Which rate within the margin"),
        ("holds", "Agrees: S.", "That the claim is sharp: S."),
        (
            "faster",
            "Agrees, with a steeper decay than claimed: S.",
            "That the claimed rate is attained",
        ),
        ("violated", "**Contradicted**: S. R.", None),
        ("bound-violated", "**The proved bound is exceeded**: S. R.", None),
        ("not-defined", "Measured, and judged by no claim: S. R.", None),
        ("inconclusive", None, "Undecided: S. R."),
        ("condition-not-met", None, "Not covered, its conditions are not met: S. R."),
        ("vacuous", None, "Not constrained, the bound says nothing here: S. R."),
    ],
)
def test_every_verdict_has_its_own_conclusion(descent, verdict, shown, left_open):
    evaluation = replace(evaluate(descent, records(), {}), findings=[Finding("S", verdict, "R")])
    said = conclude(evaluation)
    assert [line for line in said.shows if "S" in line] == ([shown] if shown else [])
    about = [line for line in said.leaves_open if ": S." in line]
    assert len(about) == (left_open is not None)
    assert all(line.startswith(left_open) for line in about)
    assert said.leaves_open[-1].startswith("Anything outside the range measured: steps = 10 … 160")


def test_what_was_not_put_to_the_test_is_not_counted_as_judged(descent):
    verdicts = ("holds", "inconclusive", "vacuous", "condition-not-met", "not-defined")
    findings = [Finding(verdict, verdict, "R") for verdict in verdicts]
    told = conclude(replace(evaluate(descent, records(), {}), findings=findings)).headline
    assert told.startswith("Of 2 statements judged, 1 agree with the measurement")
    assert "and 1 undecided. 2 more not covered" in told
    told = conclude(replace(evaluate(descent, records(), {}), findings=findings[2:])).headline
    assert told.startswith("Nothing was judged") and "2 more not covered" in told


def test_lost_runs_are_told_and_leave_nothing_certain(descent):
    evaluation = evaluate(descent, records(), {"x": "out of memory"})
    assert evaluation.verdict == "inconclusive"
    said = conclude(evaluation).leaves_open[-1]
    assert said == "What 1 run would have said that did not finish: out of memory."


def test_a_study_whose_runs_all_failed_says_so(descent):
    evaluation = evaluate(descent, [], {"x": "out of memory"})
    assert (evaluation.verdict, evaluation.scope) == ("inconclusive", "no run has a record")
