"""What every table on the terminal shares; text from files is shown as it is, never as markup."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntkbound.core.glossary import VERDICTS, Effect

STYLES: Mapping[Effect, str] = {
    "agrees": "green",
    "refutes": "bold red",
    "undecided": "yellow",
    "untested": "dim",
}


def new_table(
    titles: Iterable[str],
    right: Collection[str] = (),
    *,
    folded: Collection[str] = (),
    dense: bool = False,
) -> Table:
    """A table without lines. ``right``: columns of numbers; ``folded``: columns that go on in the
    next line where the terminal is too narrow, so that no number is cut; ``dense``: one blank
    between columns instead of two."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    if dense:
        table.padding = (0, 1, 0, 0)
    for title in titles:
        table.add_column(
            Text(title), justify="right" if title in right else "left",
            no_wrap=title not in folded, overflow="fold" if title in folded else "ellipsis",
        )  # fmt: skip
    return table


def add_row(table: Table, cells: Sequence[str | Text], style: str | None = None) -> None:
    """A row of plain text."""
    plain = (cell if isinstance(cell, Text) else Text(cell) for cell in cells)
    table.add_row(*plain, style=style)


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """One bullet per line."""
    for line in lines:
        console.print(Text(f"  · {line}"))


def number(value: float | None) -> str:
    """Three significant digits; a dash where there is no number."""
    return "–" if value is None else f"{value:.3g}"


def verdict(name: str) -> Text:
    """The word in its colour."""
    return Text(name, style=STYLES[VERDICTS[name].effect])
