"""What the page of a study has before everything else: its question, its answer, its figures."""

from __future__ import annotations

from ntkbound.report.conclusions import conclude
from ntkbound.report.html.page import (
    Block,
    Cell,
    Column,
    Gallery,
    Grid,
    Lines,
    Section,
    columns,
    sortable,
    word,
)
from ntkbound.report.html.pictures import Pictures
from ntkbound.studies.study import Evaluation


def of_study(evaluation: Evaluation, pictures: Pictures) -> list[Section]:
    """Question and answer; then its figures and tables."""
    study, said = evaluation.study, conclude(evaluation)
    rows = [
        [word(f.verdict, f.effect), Cell(f.statement), Cell(f.reason)] for f in evaluation.findings
    ]
    answer: list[Block] = [Lines([said.headline])]
    answer.append(Grid("Findings", columns("verdict", "statement", "reason"), rows))
    shows = [_plain(line) for line in said.shows]
    answer += [Lines(shows, "What it shows")] if shows else []
    answer.append(Lines([_plain(line) for line in said.leaves_open], "What it does not show"))
    drawn = pictures.of_panels(evaluation.panels)
    evidence: list[Block] = [Gallery(drawn)] if drawn else []
    for table in evaluation.tables:
        cells = [[sortable(text) for text in row] for row in table.rows]
        header = [Column(title, title != "arm") for title in table.columns]
        evidence.append(Grid(table.title, header, cells))
    return [
        Section("study", study.title, study.question, answer),
        Section("evidence", "Figures and tables", _plain(study.reading), evidence),
    ]


def _plain(markdown: str) -> str:
    """Without the marks of bold and of code, which the Markdown page of a study has."""
    return markdown.replace("**", "").replace("`", "")
