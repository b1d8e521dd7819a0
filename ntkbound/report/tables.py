"""What every table and paragraph on the terminal shares: both fit its width, no number is cut.

Text from files is shown as it is, never as markup; no line ends in a blank.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ntkbound.core.glossary import VERDICTS, Effect
from ntkbound.report.letters import in_ascii

STYLES: Mapping[Effect, str] = {
    "agrees": "green",
    "refutes": "bold red",
    "undecided": "yellow",
    "untested": "dim",
}
NAMED = 2  # columns without room that are named
BULLET = "  · "
NARROW = 10  # cells that a folded column keeps at least
WORD = re.compile(r"^\s+|\S+(?: /(?=\s))?\s*")  # with the " /" after it
PART = re.compile(r"(?:[^/_=-]|-(?![A-Za-z]))*(?:[/_=]+|-|$)\s*")  # of a word; "1e-09" is one


@dataclass
class Table:
    """A table without lines.

    right
        Titles of columns of numbers, which are never broken.
    folded
        Columns that go on in the next line where the terminal is too narrow.
    optional
        Columns that are left out where folding is not enough, the first of them first.
    dense
        One blank between columns instead of two, which a narrow terminal gets anyway.
    """

    titles: Sequence[str]
    right: Collection[str] = ()
    folded: Collection[str] = ()
    optional: Sequence[str] = ()
    dense: bool = False
    rows: list[tuple[list[Text], str]] = field(default_factory=list)

    def add_row(self, cells: Sequence[str | Text], style: str = "") -> None:
        """A row of plain text, or of text that is styled already."""
        self.rows.append(([Text(cell) if isinstance(cell, str) else cell for cell in cells], style))


def print_table(console: Console, table: Table) -> None:
    """The table as wide as the console, then the columns that it had no room for."""
    body = [([_shown(console, cell) for cell in cells], style) for cells, style in table.rows]
    titles = [_shown(console, Text(title)) for title in table.titles]
    columns = [
        _Column.of(index, table, [cells[index] for cells, _ in body], title)
        for index, title in enumerate(titles)
    ]
    columns, gap = _fitted(columns, table, console.width)
    for cells, style in [(titles, "bold"), *body]:
        for line in _lines(columns, cells, gap):
            line.stylize(style)
            console.print(line, soft_wrap=True)
    kept = {column.index for column in columns}
    left_out = [title for index, title in enumerate(table.titles) if index not in kept]
    if left_out:
        more = f" and {len(left_out) - NAMED} more columns" if len(left_out) > NAMED else ""
        told = ", ".join(left_out[:NAMED]) + more
        print_text(console, f"left out for want of room: {told}", "  ", "dim")


def print_text(console: Console, text: str | Text, lead: str = "", style: str = "") -> None:
    """A paragraph that opens with ``lead``; its other lines stand under the first one's text."""
    opening = _shown(console, Text(lead))
    indent = Text(" " * cell_len(opening.plain))
    shown = _shown(console, Text(text) if isinstance(text, str) else text)
    for place, line in enumerate(fold(shown, console.width - len(indent))):
        whole = (indent if place else opening) + line
        whole.rstrip()
        whole.stylize(style)
        console.print(whole, soft_wrap=True)


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """One bullet per line."""
    for line in lines:
        print_text(console, line, BULLET)


def fold(text: Text, width: int) -> list[Text]:
    """Lines of at most ``width`` cells: broken at blanks, a longer word after ``/``, ``_``,
    ``=`` or ``-``, and what is longer still anywhere."""
    folded: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        cuts, start, end = [], 0, 0
        for piece in _pieces(line.plain, max(1, width)):
            after = end + len(piece)
            if end > start and cell_len(line.plain[start:after].rstrip()) > width:
                cuts.append(end)
                start = end
            end = after
        folded += line.divide(cuts)
    for line in folded:
        line.rstrip()
    return folded


def number(value: float | None) -> str:
    """Three significant digits; a dash where there is no number."""
    return "–" if value is None else f"{value:.3g}"


def percent(share: float, digits: int = 1) -> str:
    """ "17.2%", and never "-0.0%"."""
    return f"{round(100 * share, digits) + 0.0:.{digits}f}%"


def verdict(name: str) -> Text:
    """The word in its colour."""
    return Text(name, style=STYLES[VERDICTS[name].effect])


@dataclass(frozen=True)
class _Column:
    """One column: how wide it is, and how narrow it can get."""

    index: int
    width: int
    least: int
    right: bool

    @classmethod
    def of(cls, index: int, table: Table, cells: Sequence[Text], title: Text) -> _Column:
        name = table.titles[index]
        whole = max((cell_len(cell.plain) for cell in cells), default=0)
        least, words = whole, max(map(cell_len, title.plain.split()), default=0)
        if name in table.folded:
            least = min(whole, max(NARROW, *(_longest(cell.plain) for cell in cells), 0))
        natural = max(whole, cell_len(title.plain))
        return cls(index, natural, max(least, words), name in table.right)


def _fitted(columns: list[_Column], table: Table, room: int) -> tuple[list[_Column], int]:
    """The columns there is room for, each with the width that it gets, and the blanks between."""
    optional = [table.titles.index(title) for title in table.optional]
    while optional and sum(one.least + 1 for one in columns) - 1 > room:
        gone = optional.pop(0)
        columns = [one for one in columns if one.index != gone]
    gap = 1 if table.dense else 2
    widths = [one.width for one in columns]
    if sum(widths) + gap * (len(widths) - 1) > room:
        gap = 1
    excess = sum(widths) + gap * (len(widths) - 1) - room
    while excess > 0:
        spare = [width - one.least for width, one in zip(widths, columns, strict=True)]
        if max(spare, default=0) <= 0:
            break
        widest = max((i for i in range(len(widths)) if spare[i] > 0), key=widths.__getitem__)
        widths[widest] -= 1
        excess -= 1
    return [replace(one, width=w) for one, w in zip(columns, widths, strict=True)], gap


def _lines(columns: Sequence[_Column], cells: Sequence[Text], gap: int) -> list[Text]:
    """The lines of one row."""
    folded = [fold(cells[column.index], column.width) for column in columns]
    lines = []
    for height in range(max(map(len, folded), default=0)):
        line = Text()
        for place, (column, parts) in enumerate(zip(columns, folded, strict=True)):
            part = parts[height].copy() if height < len(parts) else Text()
            blanks = max(0, column.width - cell_len(part.plain))
            part.pad_left(blanks if column.right else 0)
            part.pad_right(0 if column.right else blanks)
            line = line + Text(" " * gap if place else "") + part
        line.rstrip()
        lines.append(line)
    return lines


def _pieces(plain: str, width: int) -> Iterable[str]:
    """What is not broken: words, parts of a word that is too long, or what fits of a part."""
    for word in WORD.findall(plain):
        if cell_len(word.rstrip()) <= width:
            yield word
            continue
        for part in filter(None, PART.findall(word)):
            yield from (part[at : at + width] for at in range(0, len(part), width))


def _longest(plain: str) -> int:
    """Cells of the longest part of a word."""
    parts = (part for word in WORD.findall(plain) for part in PART.findall(word))
    return max((cell_len(part.rstrip()) for part in parts), default=0)


def _shown(console: Console, text: Text) -> Text:
    """The text in letters that the console has."""
    if not console.options.ascii_only or text.plain.isascii():
        return text
    shown = Text()
    for segment in text.render(console):
        shown.append(in_ascii(segment.text), segment.style)
    return shown
