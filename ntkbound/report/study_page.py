"""A study as a person reads it: on the terminal, and as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ntkbound.report.conclusions import conclude
from ntkbound.report.rates_table import TITLES, cells, markdown_table
from ntkbound.report.run_table import verdict

if TYPE_CHECKING:
    from ntkbound.studies.study import Outcome, Study, Table


def print_studies(console: Console, studies: Mapping[str, Study]) -> None:
    """One line per study: its name and its question."""
    table = _rich_table(("study", "question"), right=())
    table.columns[1].no_wrap = False
    for name, study in studies.items():
        table.add_row(name, study.question)
    console.print(table)


def print_outcome(console: Console, outcome: Outcome, page: str) -> None:
    """Tables, verdicts and conclusions; ``page`` says where the rest is."""
    console.print(f"{outcome.study.title}: {outcome.study.question}", style="bold")
    for table in outcome.tables:
        console.print(Text(table.title, style="dim"))
        console.print(_filled(table))
    judged = _rich_table(("statement", "verdict"), right=())
    judged.columns[0].no_wrap = False
    for finding in outcome.findings:
        judged.add_row(finding.statement, verdict(finding.verdict))
    console.print(judged)
    console.print(Text(conclude(outcome).headline))
    console.print(Text(page, style="dim"), highlight=False, soft_wrap=True)


def as_markdown(outcome: Outcome, command: str, figure: str) -> str:
    """The page. ``figure``: its file name, or why there is none."""
    study, said = outcome.study, conclude(outcome)
    drawn = f"![{study.title}]({figure})" if "." in figure and " " not in figure else figure
    parts = [f"# {study.title}\n", f"```sh\n{command}\n```\n"]
    parts += [f"**Question.** {study.question}\n", f"**Measured over** {outcome.scope}.\n"]
    parts += [f"{drawn}\n", f"**How to read it.** {study.reading}\n"]
    for table in outcome.tables:
        parts += [f"## {table.title}\n", markdown_table(table.columns, table.rows)]
    if outcome.fits:
        parts += ["## Rates\n", markdown_table(TITLES, [cells(fit) for fit in outcome.fits])]
    rows = [(f.statement, f.verdict, f.reason) for f in outcome.findings]
    parts += ["## Verdicts\n", markdown_table(("statement", "verdict", "reason"), rows)]
    parts += ["## What it shows\n", f"{said.headline}\n", _list(said.shows)]
    parts += ["## What it does not show\n", _list(said.leaves_open)]
    return "\n".join(part for part in parts if part)


def _list(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _rich_table(titles: Sequence[str], right: Sequence[str]) -> RichTable:
    table = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", no_wrap=True)
    return table


def _filled(table: Table) -> RichTable:
    numbers = [c for c in table.columns if c != "arm"]
    filled = _rich_table(table.columns, right=numbers)
    for column in filled.columns:
        column.no_wrap = False  # long titles on several lines
    for row in table.rows:
        filled.add_row(*row)
    return filled
