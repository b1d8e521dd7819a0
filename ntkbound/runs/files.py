"""Files that exist whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ntkbound.core.errors import InputError

STALE_SECONDS = 24 * 3600  # a temporary sibling this old belongs to a process that was killed


def write_whole(target: Path, fill: Callable[[Path], object]) -> None:
    """Creates the file or folder ``target`` through a temporary sibling, fsynced and renamed.

    ``fill`` writes the sibling (a path that does not exist yet). A crash at any moment leaves
    either nothing or all of it; an existing target is replaced. Of two writers of the same folder
    at the same moment one wins whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sibling = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        fill(sibling)
        for path in sorted(sibling.rglob("*")) if sibling.is_dir() else []:
            _sync(path)
        _sync(sibling)
        if sibling.is_dir():
            _replace_folder(sibling, target)
        else:
            sibling.replace(target)
        _sync(target.parent)
    finally:
        _discard(sibling)


def write_text(target: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    write_whole(target, lambda sibling: sibling.write_text(text, encoding="utf-8"))


def sweep_stale(folder: Path) -> None:
    """Removes temporary siblings left behind by killed processes, once they are a day old."""
    for path in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                _discard(path)


def _replace_folder(sibling: Path, target: Path) -> None:
    aside = sibling.with_suffix(".old.tmp")
    with suppress(FileNotFoundError):
        target.rename(aside)
    try:
        sibling.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    finally:
        _discard(aside)


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(folder: Path, field: str = "out") -> None:
    """Raises InputError unless files can be written to ``folder``; creates nothing.

    ``field``: the argument that named it.
    """
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise InputError(f"{nearest} is not a folder", field=field, value=folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        told = "cannot be written; choose a folder you may write to"
        raise InputError(told, field=field, value=folder)
