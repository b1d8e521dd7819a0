"""JSON lines: one object a line, its keys the columns."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, TextIO

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.runs.formats.gather import CHUNK, Chunks


def read(stream: TextIO, name: str) -> Chunks:
    """The rows in chunks; a key that a row lacks is a missing cell, and empty lines are none.

    Raises InputError naming the first row that holds no JSON object.
    """
    numbered = ((n, line) for n, line in enumerate(stream, start=1) if line.strip())
    while chunk := list(itertools.islice(numbered, CHUNK)):
        places, lines = zip(*chunk, strict=True)
        rows = _objects(lines, places, name)
        names = list(rows[0])
        if any(row.keys() != rows[0].keys() for row in rows):
            names = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
        yield np.array(places, dtype=np.intp), {name: _column(rows, name) for name in names}


def _objects(lines: Sequence[str], places: Sequence[int], name: str) -> list[dict[str, Any]]:
    """Every line as an object. Raises InputError naming the first that is none."""
    text = ",".join(lines)
    try:
        rows: list[dict[str, Any]] = json.loads(f"[{text}]")  # half the time of one by one
    except ValueError:
        rows = []
    if len(rows) == len(lines) and set(map(type, rows)) == {dict}:
        return rows
    rows = []
    for place, line in zip(places, lines, strict=True):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{name}: row {place} is no JSON ({error})") from None
        if not isinstance(row, dict):
            raise InputError(f"{name}: row {place} is no JSON object of column: value")
        rows.append(row)
    return rows


def _column(rows: Sequence[dict[str, Any]], key: str) -> Sequence[Any]:
    try:
        return tuple(map(itemgetter(key), rows))
    except KeyError:
        return [row.get(key) for row in rows]
