"""A study of any theorem: on the terminal, as a page, and its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from ntkbound.report import study_files
from ntkbound.report.study_page import Figure, as_markdown, print_evaluation, print_studies
from ntkbound.stats import check
from ntkbound.studies.study import Evaluation, Finding, Line, Panel, Study, TextTable
from tests.report.made_up import NAME, claim, planted, printed

MARKUP = "[red] [/] :smile:"
SVG = study_files.Drawing("svg")
STUDY = Study(
    title="Samples", question=f"How does it grow {MARKUP}?", reading="From left to right.",
    theorem=NAME, axis="n", measured=(),
)  # fmt: skip


@pytest.fixture(scope="module")
def evaluation():
    return Evaluation(
        name="my study v1.2", study=STUDY, size="smoke", verdict="holds", scope="n = 16 … 256",
        fits=check(planted(-1.0), [claim()]).fits,
        findings=[Finding(f"it falls {MARKUP}", "holds", "a | b"), Finding("more", "vacuous", "c")],
        tables=[
            TextTable(f"Medians {MARKUP}", ("arm", f"n {MARKUP}"), [(MARKUP, "–"), ("", "1e-9")]),
        ],
        panels=[Panel("excess", "n", "", [Line("", [1.0, 2.0], [1.0, 0.5])])],
        records=(), lost={"ls-1": "diverged"},
    )  # fmt: skip


def test_text_from_a_study_is_no_markup(evaluation):
    lines = printed(print_evaluation, evaluation, width=160)
    assert lines[0] == f"Samples: How does it grow {MARKUP}?"
    assert sum(line.count(MARKUP) for line in lines) == 5
    assert any(line.endswith("holds") for line in lines)
    assert printed(print_studies, {"samples": STUDY})[1].split(None, 1) == [
        "samples",
        STUDY.question,
    ]


def test_nothing_is_cut_on_a_narrow_terminal(evaluation):
    for width in (60, 80):
        lines = printed(print_evaluation, evaluation, width=width)
        assert "…" not in "".join(lines).replace(evaluation.scope, "")
        assert max(map(len, lines)) <= width


@pytest.mark.parametrize("name", ["my study v1.2.pdf", "plain.svg", "no-suffix"])
def test_a_figure_is_shown_whatever_its_name(evaluation, name):
    page = as_markdown(evaluation, "ntkbound study", Figure([Path("somewhere") / name]))
    assert f"![Samples]({quote(name)})\n" in page


def test_a_missing_figure_has_a_reason_whatever_it_says(evaluation):
    page = as_markdown(evaluation, "ntkbound study", Figure(reason="a.pdf"))
    assert "No figure: a.pdf.\n" in page
    assert "![" not in page


def test_the_page_says_everything(evaluation):
    page = as_markdown(evaluation, "ntkbound study mine", Figure(reason="none"))
    for part in ("# Samples", "ntkbound study mine", "## Rates", "## Verdicts", "## What it shows"):
        assert part in page
    assert r"| a \| b |" in page
    assert "| n | excess / test / max |" in page
    assert "diverged" in page


def test_files_of_a_study(evaluation, tmp_path, monkeypatch):
    page = study_files.write_study(evaluation, tmp_path, SVG, "ntkbound study")
    assert page == tmp_path / "my study v1.2.md"
    assert "(my%20study%20v1.2.svg)" in page.read_text(encoding="utf-8")
    assert (tmp_path / "my study v1.2.svg").exists()
    monkeypatch.setattr(study_files, "find_spec", lambda name: None)
    page = study_files.write_study(evaluation, tmp_path, SVG, "ntkbound study")
    assert "No figure: it needs matplotlib" in page.read_text(encoding="utf-8")


def test_a_page_shows_every_sheet_of_a_pdf(evaluation, tmp_path):
    many = replace(evaluation, panels=list(evaluation.panels) * 10)
    page = study_files.write_study(many, tmp_path, study_files.Drawing(), "ntkbound study")
    told = page.read_text(encoding="utf-8")
    for name in ("my study v1.2.png", "my study v1.2-2.png", "my study v1.2.pdf"):
        assert (tmp_path / name).exists() and f"({quote(name)})" in told
    assert told.count("![Samples]") == 2, "a page cannot show a PDF"


def test_a_study_without_complete_runs_has_no_figure(evaluation, tmp_path):
    page = study_files.write_study(
        replace(evaluation, panels=[]), tmp_path, study_files.Drawing(), "ntkbound study"
    )
    assert study_files.NO_PANELS.reason in page.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["my study v1.2.md"]
