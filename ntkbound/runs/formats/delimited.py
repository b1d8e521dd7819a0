"""CSV: UTF-8 with a header; comma, semicolon or tab, whichever the header has most of.

A file as programs write it is read by NumPy's tokenizer, two to three times as fast as `csv`. It is
given lines that are rows for certain; from the first chunk on that it does not read as such (a line
break inside a cell, an empty row, a cell that is no number among numbers) `csv` reads the rest, and
tells what is wrong where.
"""

from __future__ import annotations

import csv
import itertools
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.frame import LARGEST_INTEGER, as_number, quoted
from ntkbound.runs.formats.gather import CHUNK, Chunks

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
QUOTE = '"'
PASSED_OVER = ("#", "sep=")  # above the header: comments, and a word to spreadsheets
QUOTED = re.compile(r'"[^"]*"')

Row = list[str]


@dataclass(frozen=True)
class Layout:
    """The file's name in messages, its separator, and the names of its columns, empty where one has
    none."""

    name: str
    separator: str
    header: Row

    def named(self, columns: Iterable[Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
        return {name: cells for name, cells in zip(self.header, columns, strict=True) if name}

    def reader(self, lines: Iterable[str]) -> Any:
        return csv.reader(lines, delimiter=self.separator, skipinitialspace=True, strict=True)


def read(stream: TextIO, name: str, notes: list[str]) -> Chunks:
    """The rows in chunks; `PASSED_OVER` above the header, and empty lines, are passed over.

    ``notes`` takes what is to be said of the file. Raises InputError naming the row at fault.
    """
    number, line = _first(stream, name)
    separator = max(SEPARATORS, key=QUOTED.sub("", line).count)
    if separator != "," and separator in line:
        notes.append(f"separated by {SEPARATORS[separator]}")
    reader = Layout(name, separator, []).reader(itertools.chain([line], stream))
    header = _header(_next(reader, 1, name, number - 1)[0], f"{name}: row {number}")
    nameless = [str(i + 1) for i, cell in enumerate(header) if not cell]
    if nameless:
        notes.append(f"passed over column {', '.join(nameless)}, which has no name")
    layout = Layout(name, separator, header)
    before = number - 1 + reader.line_num
    lines = list(itertools.islice(stream, CHUNK))
    kinds = _kinds(lines, layout)
    while lines:
        columns = _tokenized(lines, kinds, layout)
        if columns is None:
            yield from _rows(itertools.chain(lines, stream), layout, before)
            return
        yield np.arange(before + 1, before + len(lines) + 1), layout.named(columns)
        before += len(lines)
        lines = list(itertools.islice(stream, CHUNK))


def _first(stream: TextIO, name: str) -> tuple[int, str]:
    """The header's line number and text."""
    for number, line in enumerate(iter(stream.readline, ""), start=1):
        if line.strip() and not line.startswith(PASSED_OVER):
            return number, line
    raise InputError(f"{name} is empty; a header and rows are needed")


def _header(cells: Row, place: str) -> Row:
    header = [cell.strip() for cell in cells]
    if all(as_number(cell) is not None for cell in header):
        raise InputError(f"{place} is all numbers; a header that names the columns is needed")
    twice = [cell for i, cell in enumerate(header) if cell and cell in header[:i]]
    if twice:
        raise InputError(f"{place} names column {quoted(twice[0])} twice")
    return header


def _kinds(lines: Sequence[str], layout: Layout) -> list[tuple[str, type]]:
    """A type of every column, by the first row: numbers, or anything."""
    first = lines[0].split(layout.separator) if lines else []
    numeric = [as_number(cell) is not None for cell in first] + [False] * len(layout.header)
    places = range(len(layout.header))
    return [(str(i), np.float64 if numeric[i] else object) for i in places]


def _tokenized(
    lines: Sequence[str], kinds: list[tuple[str, type]], layout: Layout
) -> list[Sequence[Any]] | None:
    """The columns of rows of one line each; None where these are not, or not all cells are of the
    kind of their column, so that a closer look is needed."""
    try:
        with warnings.catch_warnings(action="error"):
            table = np.loadtxt(
                lines, dtype=kinds, delimiter=layout.separator, quotechar=QUOTE, comments=None,
                ndmin=1,
            )  # fmt: skip
    except (ValueError, UserWarning):
        return None
    # A quote that is left open swallows the next row, and at the end of the lines nothing.
    if len(table) != len(lines) or lines[-1].count(QUOTE) % 2:
        return None
    columns: list[Any] = []
    for name, kind in kinds:
        column = table[name]
        if kind is np.float64:
            plain = bool((np.abs(column) < LARGEST_INTEGER).all())  # nor NaN
        else:
            column = column.tolist()
            plain = not any(QUOTE in cell for cell in dict.fromkeys(column))
        if not plain:
            return None
        columns.append(column)
    return columns


def _rows(lines: Iterable[str], layout: Layout, before: int) -> Chunks:
    """Any rows; ``before`` lines of the file stand above them."""
    reader, width = layout.reader(lines), len(layout.header)
    while True:
        start = before + reader.line_num
        rows = _next(reader, CHUNK, layout.name, before)
        if not rows:
            return
        places = np.arange(start + 1, start + len(rows) + 1)
        if before + reader.line_num != places[-1]:  # a line break inside a cell
            spans = [1 + sum(cell.count("\n") for cell in row) for row in rows]
            places = start + 1 + np.concatenate([[0], np.cumsum(spans)[:-1]])
        kept = [i for i, row in enumerate(rows) if any(map(str.strip, row))]
        rows, places = [rows[i] for i in kept], places[kept]
        for place, row in zip(places.tolist(), rows, strict=True):
            if len(row) != width:
                told = f"row {place} has {len(row)} cells, the header {width}"
                raise InputError(f"{layout.name}: {told}")
        if rows:
            yield places, layout.named(zip(*rows, strict=True))


def _next(reader: Any, count: int, name: str, before: int) -> list[Row]:
    try:
        return list(itertools.islice(reader, count))
    except csv.Error as error:
        place = f"{name}: row {before + reader.line_num}"
        raise InputError(f"{place}: not a readable CSV ({error})") from None
