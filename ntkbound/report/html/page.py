"""The model of a report page: plain data, which the template lays out.

Every text is the text itself, escaped where the page is made; SVG is the one thing that is markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ntkbound.core.glossary import VERDICTS, Effect
from ntkbound.report.tables import number


@dataclass(frozen=True)
class Cell:
    """A cell of a table. order: what it is sorted by where that is not its text; effect: its colour
    where it is a verdict."""

    text: str
    order: float | None = None
    effect: Effect | None = None


@dataclass(frozen=True)
class Column:
    """A column; one of numbers stands to the right."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Grid:
    """A table that a reader sorts. note: what was left out of it."""

    kind: ClassVar[str] = "grid"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Lines:
    """Sentences: paragraphs, or with a title a list below it."""

    kind: ClassVar[str] = "lines"
    lines: Sequence[str]
    title: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture as SVG, or why there is none. data: the numbers that it shows, as JSON has them."""

    title: str
    svg: str
    data: dict[str, Any] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True)
class Gallery:
    """Figures beside each other, as many in a row as there is room for."""

    kind: ClassVar[str] = "gallery"
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Card:
    """One finding: its title, its verdicts, each with how often it was given, and what is shown."""

    kind: ClassVar[str] = "card"
    title: str
    verdicts: Sequence[Cell]
    lines: Sequence[str]
    figures: Sequence[Figure] = ()


@dataclass(frozen=True)
class Fold:
    """What is opened by who wants to see it; all of it is printed."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: Sequence[Grid | Lines]


Block = Grid | Lines | Gallery | Card | Fold


@dataclass(frozen=True)
class Section:
    """name: its anchor; lead: what it is about, in a sentence or two."""

    name: str
    title: str
    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """facts: title → text, at the head of the page."""

    title: str
    verdict: Cell
    headline: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]

    @property
    def figures(self) -> list[Figure]:
        """All that are drawn, in the order of the page."""
        blocks = [block for section in self.sections for block in section.blocks]
        every = [f for b in blocks if isinstance(b, Gallery | Card) for f in b.figures]
        return [figure for figure in every if figure.svg]


def without_empty(grid: Grid) -> Grid:
    """Without the columns in which no row has anything."""
    kept = [i for i in range(len(grid.columns)) if any(row[i].text != "–" for row in grid.rows)]
    rows = [[row[place] for place in kept] for row in grid.rows]
    return replace(grid, columns=[grid.columns[place] for place in kept], rows=rows)


def columns(*titles: str, numeric: Sequence[str] = ()) -> list[Column]:
    return [Column(title, title in numeric) for title in titles]


def word(verdict: str, effect: Effect | None = None) -> Cell:
    """A verdict in its colour; ``effect``: what it does here, where its claim's status decides."""
    return Cell(verdict, None, effect or VERDICTS[verdict].effect)


def numeral(value: float | None, told: str | None = None) -> Cell:
    """A number of three digits, or as it is told, that is sorted by its value."""
    return Cell(number(value) if told is None else told, value)


def sortable(text: str) -> Cell:
    """Text that is sorted as the number that it is, where it is one."""
    try:
        return Cell(text, float(text.replace("−", "-")))
    except ValueError:
        return Cell(text)


def texts(*values: str) -> list[Cell]:
    return [Cell(value) for value in values]
