"""Which files hold somebody's own numbers, and what stands in them? No statistics here."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import numpy as np

from ntkbound.core.config import cause
from ntkbound.core.errors import InputError
from ntkbound.core.frame import Frame, some
from ntkbound.runs.formats import delimited, json_lines, parquet
from ntkbound.runs.formats.gather import Chunks, Gathered, cells_of
from ntkbound.runs.path_parts import path_columns

DELIMITED = (".csv", ".tsv", ".txt")
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
SUFFIXES = (*DELIMITED, *JSON_LINES, *PARQUET)
GZIP = ".gz"
PEEK = 4096  # bytes in which a file that is no text gives itself away


def is_table(path: Path) -> bool:
    """Whether the name is that of a table: its suffix says which format."""
    return _suffix(path) in SUFFIXES


def find_tables(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder that match a glob pattern, in order.

    Raises InputError where none does, or one is no table by its name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder, in which a pattern could be looked for")
    try:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    except (ValueError, NotImplementedError) as error:
        raise InputError(str(error), field="pattern", value=pattern) from None
    if not paths:
        raise InputError(f"no file below {folder} matches", field="pattern", value=pattern)
    return paths


def read_tables(paths: Sequence[Path]) -> Frame:
    """All rows of these files, one below the other; of several, what tells their paths apart
    becomes columns (`path_columns`).

    Raises InputError of one line that names the file, and where it can the row and the column.
    """
    gathered, about = Gathered(), dict[str, list[Path]]()
    for number, path in enumerate(paths):
        before, said = gathered.count, list[str]()
        for chunk in _chunks(path, said):
            gathered.add(chunk, number)
        if gathered.count == before:
            raise InputError(f"{path} has no rows below its header")
        for sentence in said:
            about.setdefault(sentence, []).append(path)
    notes = [f"{_files(own)}: {sentence}" for sentence, own in about.items()]
    columns = {name: column.cells() for name, column in gathered.columns.items()}
    file = np.concatenate(gathered.file)
    settings = set()
    for name, texts in path_columns(paths).items():
        if name in columns:
            notes.append(f"column {name} is that of the files, not of their paths")
            continue
        columns[name] = cells_of(texts).take(file.astype(np.intp))
        settings.add(name)
    if settings:
        notes.append(f"from the paths of {len(paths)} files: {some(sorted(settings))}")
    rows = np.concatenate(gathered.rows)
    names = tuple(str(path) for path in paths)
    return Frame(columns, rows, names, file, frozenset(settings), tuple(notes))


def _files(paths: Sequence[Path]) -> str:
    return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])


def _chunks(path: Path, notes: list[str]) -> Chunks:
    suffix = _suffix(path)
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: not known as a table; accepted: {', '.join(SUFFIXES)}")
    if suffix in PARQUET:
        yield from parquet.read(path, notes)
        return
    with _text(path) as stream:
        if suffix in JSON_LINES:
            yield from json_lines.read(stream, str(path))
        else:
            yield from delimited.read(stream, str(path), notes)


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """The file as UTF-8, with or without a byte-order mark."""
    try:
        with _bytes(path) as raw:
            start = raw.read(PEEK)
            if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise InputError(f"{path} is UTF-16; save it as UTF-8")
            if b"\0" in start:
                raise InputError(f"{path} is no text: it holds a zero byte")
            raw.seek(0)
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        told = f"row {_row_not_utf8(path)}: byte 0x{byte:02x} is not UTF-8; save it as UTF-8"
        raise InputError(f"{path}: {told}") from None
    except (OSError, EOFError) as error:
        told = cause(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read ({told})") from None


def _bytes(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == GZIP else path.open("rb")


def _row_not_utf8(path: Path) -> int:
    with _bytes(path) as raw:
        lines = enumerate(raw, start=1)
        return next((n for n, line in lines if line.decode("utf-8", "ignore").encode() != line), 0)


def _suffix(path: Path) -> str:
    """In lower case, that of the file inside where it is compressed."""
    name = path.with_suffix("") if path.suffix == GZIP else path
    return name.suffix.lower()
