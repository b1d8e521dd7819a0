"""A study as a person reads it: on the terminal, and as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rich.console import Console

from ntkbound.report.conclusions import conclude
from ntkbound.report.rates_table import cells, markdown_table, titles
from ntkbound.report.tables import Table, print_table, print_text, verdict

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
    table = Table(("study", "question"), folded=("question",), dense=True)
    for name, study in studies.items():
        table.add_row((name, study.question))
    print_table(console, table)


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Tables, verdicts and conclusions."""
    print_text(console, f"{evaluation.study.title}: {evaluation.study.question}", style="bold")
    for table in evaluation.tables:
        print_text(console, table.title, style="dim")
        numbers = [column for column in table.columns if column != "arm"]
        spare = [column for column in table.columns if column == "seeds"]
        spare += reversed([column for column in table.columns[2:] if column != "seeds"])
        shown = Table(table.columns, numbers, folded=("arm",), optional=spare, dense=True)
        arm = ""
        for row in table.rows:
            again = "arm" in table.columns and row[0] == arm
            arm = row[0]
            shown.add_row(["" if again else arm, *row[1:]])
        print_table(console, shown)
    judged = Table(("statement", "verdict"), folded=("statement",), dense=True)
    for finding in evaluation.findings:
        judged.add_row((finding.statement, verdict(finding.verdict)))
    print_table(console, judged)
    print_text(console, conclude(evaluation).headline)


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
