"""Cells of many rows become columns, chunk by chunk: numbers where they are, words where not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ntkbound.core.frame import LARGEST_INTEGER, Cells, Codes, Numbers, Rows, as_number

CHUNK = 1 << 11  # rows held as Python objects at a time: they stay in the cache

Chunk = tuple[Rows, Mapping[str, Sequence[Any]]]  # rows of the file, name → their cells
Chunks = Iterator[Chunk]


class Column:
    """One column as it grows."""

    def __init__(self) -> None:
        self._numbers: list[Numbers] = []
        self._codes: list[Codes | None] = []
        self._words: dict[str, int] = {}

    def add(self, cells: Sequence[Any]) -> None:
        """Further cells: text, or numbers; an array holds finite ones alone."""
        numbers = _numbers(cells)
        if numbers is not None:
            self._append(numbers, None)
            return
        texts = cells if set(map(type, cells)) == {str} else [_text(cell) for cell in cells]
        values: dict[str, float] = {}
        codes: dict[str, int] = {}
        for text in dict.fromkeys(texts):  # each different one once
            number = as_number(text)
            values[text] = np.nan if number is None else number
            codes[text] = -1 if number is not None else self._code(text.strip())
        self._append(
            np.fromiter(map(values.__getitem__, texts), np.float64, len(texts)),
            np.fromiter(map(codes.__getitem__, texts), np.int32, len(texts)),
        )

    def add_missing(self, count: int) -> None:
        """Rows that have no such column."""
        if count:
            code = self._code("")
            self._append(np.full(count, np.nan), np.full(count, code, dtype=np.int32))

    def cells(self) -> Cells:
        numbers = np.concatenate(self._numbers)
        if not self._words:
            return Cells(numbers)
        codes = [
            np.full(len(part), -1, dtype=np.int32) if own is None else own
            for part, own in zip(self._numbers, self._codes, strict=True)
        ]
        return Cells(numbers, np.concatenate(codes), tuple(self._words))

    def _append(self, numbers: Numbers, codes: Codes | None) -> None:
        self._numbers.append(numbers)
        self._codes.append(codes)

    def _code(self, word: str) -> int:
        return self._words.setdefault(word, len(self._words))


class Gathered:
    """The columns of one table, or of several that are one below the other."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self.rows: list[Rows] = []
        self.file: list[Codes] = []
        self.count = 0

    def add(self, chunk: Chunk, file: int) -> None:
        rows, cells = chunk
        for name in [name for name in cells if name not in self.columns]:
            self.columns[name] = Column()
            self.columns[name].add_missing(self.count)
        for name, column in self.columns.items():
            if name in cells:
                column.add(cells[name])
            else:
                column.add_missing(len(rows))
        self.rows.append(rows)
        self.file.append(np.full(len(rows), file, dtype=np.int32))
        self.count += len(rows)


def cells_of(texts: Sequence[str]) -> Cells:
    """One short column."""
    column = Column()
    column.add(texts)
    return column.cells()


def _numbers(cells: Sequence[Any]) -> Numbers | None:
    """(n,) where every cell is a finite number that float64 holds, without a loop in Python."""
    if isinstance(cells, np.ndarray):
        return cells
    text = isinstance(cells[0], str)
    if not text and not set(map(type, cells)) <= {int, float}:
        return None
    try:
        numbers = np.fromiter(map(float, cells), np.float64, len(cells))
    except (TypeError, ValueError, OverflowError):
        return None
    if not (np.abs(numbers) < LARGEST_INTEGER).all():  # nor NaN
        return None
    if text:
        try:
            joined = "".join(cells)
        except TypeError:  # text and numbers in one column
            return None
        if "_" in joined or not joined.isascii():
            return None
    return numbers


def _text(cell: object) -> str:
    """A cell that is no text as it would stand in one."""
    if cell is None:
        return ""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
