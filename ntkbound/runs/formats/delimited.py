"""CSV: UTF-8 with a header; comma, semicolon or tab, whichever the header has most of."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.frame import as_number, quoted
from ntkbound.runs.formats.gather import CHUNK, Chunks

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
QUOTED = re.compile(r'"[^"]*"')

Row = list[str]


def read(stream: TextIO, name: str, notes: list[str]) -> Chunks:
    """The rows in chunks; lines of ``#`` above the header, and empty lines, are passed over.

    ``notes`` takes what is to be said of the file. Raises InputError naming the row at fault.
    """
    number, line = _first(stream, name)
    separator = max(SEPARATORS, key=QUOTED.sub("", line).count)
    if separator != "," and separator in line:
        notes.append(f"{name}: separated by {SEPARATORS[separator]}")
    reader = csv.reader(
        itertools.chain([line], stream), delimiter=separator, skipinitialspace=True, strict=True
    )
    header = _header(next(reader), f"{name}: row {number}", notes, name)
    before = number - 1  # lines above the header
    while True:
        read_so_far = before + reader.line_num
        rows = _next(reader, name, before)
        if not rows:
            return
        places = np.arange(read_so_far + 1, read_so_far + len(rows) + 1)
        if before + reader.line_num != places[-1]:  # a line break inside a cell
            spans = [1 + sum(cell.count("\n") for cell in row) for row in rows]
            places = read_so_far + 1 + np.concatenate([[0], np.cumsum(spans)[:-1]])
        # A row that may be empty, or of another length, costs its chunk a closer look.
        if set(map(len, rows)) != {len(header)} or "" in (row[0] for row in rows):
            kept = [i for i, row in enumerate(rows) if any(map(str.strip, row))]
            rows, places = [rows[i] for i in kept], places[kept]
            _same_length(rows, places.tolist(), header, name)
        if rows:
            columns = zip(*rows, strict=True)
            yield places, {key: cells for key, cells in zip(header, columns, strict=True) if key}


def _first(stream: TextIO, name: str) -> tuple[int, str]:
    """The header's line number and text."""
    for number, line in enumerate(iter(stream.readline, ""), start=1):
        if line.strip() and not line.startswith("#"):
            return number, line
    raise InputError(f"{name} is empty; a header and rows are needed")


def _header(cells: Row, place: str, notes: list[str], name: str) -> Row:
    """Names of the columns, empty where one has none."""
    header = [cell.strip() for cell in cells]
    if all(as_number(cell) is not None for cell in header):
        raise InputError(f"{place} is all numbers; a header that names the columns is needed")
    twice = [cell for i, cell in enumerate(header) if cell and cell in header[:i]]
    if twice:
        raise InputError(f"{place} names column {quoted(twice[0])} twice")
    nameless = [str(i + 1) for i, cell in enumerate(header) if not cell]
    if nameless:
        notes.append(f"{name}: passed over column {', '.join(nameless)}, which has no name")
    return header


def _next(reader: Any, name: str, before: int) -> list[Row]:
    try:
        return list(itertools.islice(reader, CHUNK))
    except csv.Error as error:
        place = f"{name}: row {before + reader.line_num}"
        raise InputError(f"{place}: not a readable CSV ({error})") from None


def _same_length(rows: Sequence[Row], places: Sequence[int], header: Row, name: str) -> None:
    for place, row in zip(places, rows, strict=True):
        if len(row) != len(header):
            has = f"has {len(row)} cells, the header {len(header)}"
            raise InputError(f"{name}: row {place} {has}")
