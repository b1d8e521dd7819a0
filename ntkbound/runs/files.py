"""Files that exist whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path


def write_whole(target: Path, fill: Callable[[Path], None]) -> None:
    """Creates the file or folder ``target`` through a temporary sibling, fsynced and renamed.

    ``fill`` writes the sibling (a path that does not exist yet). A crash at any moment leaves
    either nothing or all of it; an existing target is replaced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sibling = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        fill(sibling)
        for path in sorted(sibling.rglob("*")) if sibling.is_dir() else []:
            _sync(path)
        _sync(sibling)
        if sibling.is_dir() and target.exists():
            aside = sibling.with_suffix(".old")
            target.rename(aside)
            sibling.rename(target)
            shutil.rmtree(aside)
        else:
            sibling.replace(target)
        _sync(target.parent)
    except BaseException:
        if sibling.is_dir():
            shutil.rmtree(sibling, ignore_errors=True)
        else:
            sibling.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
