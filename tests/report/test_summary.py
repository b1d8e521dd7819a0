"""A check as JUnit XML and as a Markdown summary."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from ntkbound.core.errors import InputError
from ntkbound.report.summary import as_junit, as_markdown, write_summaries
from ntkbound.stats import check
from tests.report.made_up import absent, claim, planted

FAILED = {"ls-[red]": "out of <memory> | twice"}


@pytest.fixture(scope="module")
def records():
    return planted(-1.0)


@pytest.fixture
def result(records):
    return check(records, [claim(), claim(kind="tight", exponent=-2)])


def test_one_case_per_claim_bound_and_failed_run(result):
    suite = as_junit(result, FAILED)
    cases = {(c.get("classname"), c.get("name")): c for c in suite}
    assert set(cases) == {
        ("excess.test.max", "n: upper"),
        ("excess.test.max", "n: tight"),
        ("bound.excess.test.max", "explicit bound"),
        ("run", "ls-[red]"),
    }
    assert len(cases["excess.test.max", "n: upper"]) == 0
    (failure,) = cases["excess.test.max", "n: tight"]
    assert failure.tag == "failure"
    (error,) = cases["run", "ls-[red]"]
    assert (error.tag, error.get("message")) == ("error", f"inconclusive: {FAILED['ls-[red]']}")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")


def test_two_bounds_of_one_statistic_are_two_cases(records):
    rows = [replace(run, checks=(run.checks[0], run.checks[0])) for run in records]
    names = [case.get("name") for case in as_junit(check(rows, [claim()]), {})]
    assert names[1:] == ["explicit bound", "explicit bound 2"]


def test_what_could_not_be_judged_is_skipped(records, result):
    rows = [replace(run, checks=(absent("excess", "why"),)) for run in records]
    suite = as_junit(check(rows, []), {})
    assert [(c.get("classname"), c[0].tag) for c in suite] == [
        ("bound.excess.test.max", "skipped"),
        ("check", "skipped"),
    ]
    assert (suite.get("tests"), suite.get("skipped"), suite.get("errors")) == ("2", "2", "0")
    assert as_junit(result, {}).get("skipped") == "0"
    text = as_markdown(check(rows, []), {})
    told = "0 claims: 0 judged; 1 bound: 0 judged, 1 vacuous. No claim could be judged."
    assert text.startswith(f"## ntkbound: inconclusive\n\n{told}\n")


def test_an_unclaimed_fit_has_a_name_as_well(result):
    bare = replace(result, fits=(replace(result.fits[0], claim=None),))
    assert as_junit(bare, {})[0].get("name") == "n: no claim"


def test_everything_is_in_the_summary(result):
    text = as_markdown(result, FAILED)
    assert text.startswith("## ntkbound: violated\n")
    assert text.count("| n | excess / test / max |") == 2
    assert "- not judged: ls-[red] (out of <memory> | twice)\n" in text


def test_files_are_written_and_the_step_summary_is_appended_to(result, tmp_path, monkeypatch):
    step = tmp_path / "step.md"
    step.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    write_summaries(result, tmp_path / "a.xml", tmp_path / "a.md", FAILED)
    assert ET.parse(tmp_path / "a.xml").getroot().get("tests") == "4"
    text = (tmp_path / "a.md").read_text(encoding="utf-8")
    assert step.read_text(encoding="utf-8") == f"before\n{text}"


def test_a_file_that_cannot_be_written_is_told_by_its_field(result, tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    gone = tmp_path / "nowhere" / "file"
    for field, files in (("junit", (gone, None)), ("markdown", (None, gone))):
        with pytest.raises(InputError, match="cannot be written") as told:
            write_summaries(result, *files, {})
        assert (told.value.field, told.value.value) == (field, str(gone))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(gone))
    with pytest.raises(InputError, match=r"^GITHUB_STEP_SUMMARY .*: cannot be written") as told:
        write_summaries(result, None, None, {})
    assert told.value.field == ""
