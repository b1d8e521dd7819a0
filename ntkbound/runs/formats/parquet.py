"""Parquet, read by pyarrow; its rows count from 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.runs.formats.gather import CHUNK, Chunks


def read(path: Path, notes: list[str]) -> Chunks:
    """The rows in chunks; ``notes`` takes what is to be said of the file.

    Raises InputError where pyarrow is not installed, or cannot read the file.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(f"{path} needs pyarrow; pip install 'ntkbound[frame]'") from None
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable Parquet file ({told[:80]})") from None
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    nested = [name for name in names if pyarrow.types.is_nested(table.schema.field(name).type)]
    if nested:
        notes.append(f"passed over nested columns {', '.join(nested)}")
    for start in range(0, table.num_rows, CHUNK):
        chunk = table.slice(start, CHUNK)
        yield (
            np.arange(start + 1, start + chunk.num_rows + 1),
            {name: _cells(chunk.column(name)) for name in names if name not in nested},
        )


def _cells(column: Any) -> list[Any]:
    """Numbers, flags and None as Python has them, anything else as text."""
    return [
        cell if cell is None or isinstance(cell, int | float | str) else str(cell)
        for cell in column.to_pylist()
    ]
