"""A study as a person reads it: on the terminal, and as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from ntkbound.report.conclusions import conclude
from ntkbound.report.rates_table import cells, markdown_table, titles
from ntkbound.report.tables import add_row, new_table, verdict

if TYPE_CHECKING:
    from ntkbound.studies.study import Evaluation, Study


@dataclass(frozen=True)
class Figure:
    """Where the sheets of a study's figure lie, beside its page, and the file for a paper where
    that is another; or none, and why."""

    sheets: Sequence[Path] = ()
    paper: Path | None = None
    reason: str = ""


def print_studies(console: Console, studies: Mapping[str, Study]) -> None:
    """One line per study: its name and its question."""
    table = new_table(("study", "question"), folded=("question",), dense=True)
    for name, study in studies.items():
        add_row(table, (name, study.question))
    console.print(table)


def print_evaluation(console: Console, evaluation: Evaluation, page: str) -> None:
    """Tables, verdicts and conclusions; ``page`` says where the rest is."""
    console.print(Text(f"{evaluation.study.title}: {evaluation.study.question}"), style="bold")
    for table in evaluation.tables:
        console.print(Text(table.title, style="dim"))
        numbers = [column for column in table.columns if column != "arm"]
        shown = new_table(table.columns, numbers, folded=table.columns, dense=True)
        for row in table.rows:
            add_row(shown, row)
        console.print(shown)
    judged = new_table(("statement", "verdict"), folded=("statement",), dense=True)
    for finding in evaluation.findings:
        add_row(judged, (finding.statement, verdict(finding.verdict)))
    console.print(judged)
    console.print(Text(conclude(evaluation).headline))
    console.print(Text(page, style="dim"), soft_wrap=True)


def as_markdown(evaluation: Evaluation, command: str, figure: Figure) -> str:
    """The page, for the folder in which the figure lies."""
    study, said = evaluation.study, conclude(evaluation)
    drawn = f"No figure: {figure.reason}."
    if figure.sheets:
        drawn = "\n\n".join(f"![{study.title}]({_link(sheet)})" for sheet in figure.sheets)
    if figure.paper is not None:
        drawn += f"\n\nFor a paper: [{figure.paper.name}]({_link(figure.paper)})"
    parts = [f"# {study.title}\n", f"```sh\n{command}\n```\n"]
    parts += [f"**Question.** {study.question}\n", f"**Measured over** {evaluation.scope}.\n"]
    parts += [f"{drawn}\n", f"**How to read it.** {study.reading}\n"]
    for table in evaluation.tables:
        parts += [f"## {table.title}\n", markdown_table(table.columns, table.rows)]
    if evaluation.fits:
        judged = [cells(fit) for fit in evaluation.fits]
        parts += ["## Rates\n", markdown_table(titles(evaluation.fits), judged)]
    rows = [(f.statement, f.verdict, f.reason) for f in evaluation.findings]
    parts += ["## Verdicts\n", markdown_table(("statement", "verdict", "reason"), rows)]
    parts += ["## What it shows\n", f"{said.headline}\n", _list(said.shows)]
    parts += ["## What it does not show\n", _list(said.leaves_open)]
    return "\n".join(part for part in parts if part)


def _link(path: Path) -> str:
    """As Markdown takes it, blanks and all."""
    return quote(path.name)


def _list(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
