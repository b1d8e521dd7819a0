"""A table that somebody else made, in memory: columns of numbers and words, and their places."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ntkbound.core.errors import InputError, nearest

Numbers = NDArray[np.float64]
Codes = NDArray[np.int32]
Rows = NDArray[np.intp]

SHOWN = 40  # characters of a cell, or columns, in a message
LARGEST_INTEGER = 2.0**53  # beyond it two integers can be one float64
DENSE = 4  # integers in a range of up to this many times the rows are counted, not sorted
FLAGS = {"false": False, "true": True}


@dataclass(frozen=True, eq=False)
class Cells:
    """One column of N cells.

    numbers (N,)
        NaN where a cell is no finite number.
    codes (N,)
        Which of the `words` such a cell is, −1 elsewhere; None where every cell is a number.
    words
        Every other content, as it stands; an empty one is a missing cell.
    """

    numbers: Numbers
    codes: Codes | None = None
    words: tuple[str, ...] = ()

    @cached_property
    def is_integer(self) -> bool:
        """Whether every cell is an integer."""
        return self.codes is None and bool((self.numbers == np.rint(self.numbers)).all())

    @cached_property
    def is_flag(self) -> bool:
        """Whether every cell is ``true`` or ``false``, in whatever case."""
        return self.share == 0 and {word.lower() for word in self.words} <= FLAGS.keys()

    @cached_property
    def share(self) -> float:
        """How much of what stands in the column is numbers, 0 … 1."""
        if self.codes is None:
            return 1.0
        empty = [code for code, word in enumerate(self.words) if not word]
        return float((self.codes < 0).sum() / max(1, (~np.isin(self.codes, empty)).sum()))

    def value(self, row: int) -> int | float | bool | str:
        """One cell: an integer where it is one."""
        if self.codes is not None and self.codes[row] >= 0:
            word = self.words[self.codes[row]]
            return FLAGS[word.lower()] if self.is_flag else word
        return plain(float(self.numbers[row]))

    def flags_as_numbers(self) -> Cells:
        """The same column with 1 for ``true`` and 0 for ``false``, where it holds nothing else."""
        if not self.is_flag or self.codes is None:
            return self
        return Cells(np.array([float(FLAGS[w.lower()]) for w in self.words])[self.codes])

    @cached_property
    def coded(self) -> tuple[Rows, tuple[int | float | bool | str, ...]]:
        """(N,) places among the distinct values, numbers before words and each in order."""
        numbers, place = _distinct(self.numbers, self.is_integer)
        found: list[int | float | bool | str] = [plain(x) for x in numbers if x == x]
        if self.codes is None:
            return place, tuple(found)
        order = np.argsort(np.array(self.words))
        rank = np.empty(len(order), dtype=np.intp)
        rank[order] = np.arange(len(order)) + len(found)
        found += [FLAGS[w.lower()] if self.is_flag else w for w in (self.words[i] for i in order)]
        return np.where(self.codes < 0, place, rank[self.codes]), tuple(found)

    def take(self, rows: Rows) -> Cells:
        codes = None if self.codes is None else self.codes[rows]
        return Cells(self.numbers[rows], codes, self.words)


@dataclass(frozen=True, eq=False)
class Frame:
    """N rows of named columns.

    rows (N,)
        Where each stood in its file: the line, the header being line 1.
    files, file (N,)
        The names of the files, and which of them each row is from.
    settings
        Columns that say what a run was given, such as the parts of its path: never measured.
    notes
        What was done to the files on the way here, a sentence each.
    """

    columns: Mapping[str, Cells]
    rows: Rows
    files: tuple[str, ...]
    file: Codes
    settings: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The file, or the first and how many more."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{self.files[0]}{more}"

    def place(self, row: int) -> str:
        """ "runs.csv: row 17"."""
        return f"{self.files[self.file[row]]}: row {self.rows[row]}"

    def column(self, name: str, field: str = "") -> Cells:
        """Raises InputError naming the nearest column, and the field that asked for it."""
        if name not in self.columns:
            told = nearest(name, self.columns) or f"; columns: {some(self.columns)}"
            raise InputError(f"{self.source} has no column {name!r}{told}", field=field)
        return self.columns[name]

    def numbers(self, name: str) -> Numbers:
        """(N,) a column of finite numbers. Raises InputError naming the first cell that is none."""
        cells = self.column(name).flags_as_numbers()
        if cells.codes is not None:
            row = int(np.argmax(cells.codes >= 0))
            told = _fault(cells.words[cells.codes[row]])
            raise InputError(f"{self.place(row)}, column {name}: {told}")
        return cells.numbers

    def labels(self, name: str) -> Cells:
        """A column in which no cell is missing. Raises InputError naming the first one."""
        cells = self.column(name)
        empty = [code for code, word in enumerate(cells.words) if not word]
        if cells.codes is not None and empty:
            missing = np.isin(cells.codes, empty)
            if missing.any():
                row = int(np.argmax(missing))
                raise InputError(f"{self.place(row)}, column {name}: the cell is empty")
        return cells

    def codes(self, names: Iterable[str]) -> Rows:
        """(N,) one integer per combination of these columns, 0 … k − 1."""
        code = np.zeros(len(self.rows), dtype=np.intp)
        for name in names:
            own, values = self.columns[name].coded
            code = dense(code * len(values) + own)[0]
        return code

    def where(self, name: str, wanted: str) -> Frame:
        """The rows whose cell is this number or this word. Raises InputError where none is."""
        cells = self.column(name, "where")
        try:
            kept = cells.numbers == float(wanted)
        except ValueError:
            kept = np.zeros(len(self.rows), dtype=bool)
        if cells.codes is not None and wanted in cells.words:
            kept = kept | (cells.codes == cells.words.index(wanted))
        if not kept.any():
            raise InputError("matches no row", field="where", value=f"{name}={wanted}")
        return self.take(np.flatnonzero(kept))

    def take(self, rows: Rows) -> Frame:
        columns = {name: cells.take(rows) for name, cells in self.columns.items()}
        return replace(self, columns=columns, rows=self.rows[rows], file=self.file[rows])


def dense(codes: Rows) -> tuple[Rows, Rows]:
    """Codes ≥ 0 as 0 … k − 1 in the same order, and the k that occur."""
    size = int(codes.max(initial=-1)) + 1
    if size > DENSE * len(codes):
        found, place = np.unique(codes, return_inverse=True)
        return place, found
    occurs = np.zeros(size, dtype=bool)
    occurs[codes] = True
    return (np.cumsum(occurs) - 1)[codes], np.flatnonzero(occurs)


def as_number(text: str) -> float | None:
    """The finite number that a cell holds; None for anything else, which includes ``1_000``, digits
    of another script, and an integer that float64 cannot hold."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number) or "_" in text or not text.isascii():
        return None
    exact = abs(number) < LARGEST_INTEGER or not text.strip().lstrip("+-").isdigit()
    return number if exact else None


def plain(number: float) -> int | float:
    """An integer where the number is one."""
    return int(number) if number.is_integer() else number


def some(names: Iterable[str]) -> str:
    """Names in one line, of a long list the first."""
    every = list(names)
    return ", ".join(every[:SHOWN]) + (", …" if len(every) > SHOWN else "")


def quoted(text: str) -> str:
    """A cell as a message shows it."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def _distinct(numbers: Numbers, integer: bool) -> tuple[list[float], Rows]:
    """The distinct numbers in order, NaN last, and the place (N,) of each among them."""
    low, high = (numbers.min(), numbers.max()) if integer and len(numbers) else (0.0, np.inf)
    if high - low <= DENSE * len(numbers):
        place, found = dense((numbers - low).astype(np.intp))
        return (found + low).tolist(), place
    values, place = np.unique(numbers, return_inverse=True)
    return values.tolist(), place


def _fault(text: str) -> str:
    """Why a cell is no number that can be used."""
    if not text:
        return "the cell is empty"
    try:
        number = float(text)
    except ValueError:
        comma = as_number(text.replace(",", ".", 1)) is not None
        hint = "; the decimal sign is a point, not a comma" if comma else ""
        return f"{quoted(text)} is no number{hint}"
    if not math.isfinite(number):
        return f"{quoted(text)} is not finite"
    return f"{quoted(text)} is no plain number of at most 2^53"
