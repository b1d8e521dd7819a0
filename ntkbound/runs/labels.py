"""Teacher labels on disk, by content: computed once per (task, seed) and shared by all runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ntkbound.npz import arrays_of
from ntkbound.runs.files import write_whole

Arrays = dict[str, np.ndarray]


class LabelCache:
    """``folder/<key>.npz``; an unreadable or foreign file counts as absent and is written again."""

    names = ("y", "standard_error")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        path = self.folder / f"{key}.npz"
        try:
            found = arrays_of(path.read_bytes())
            if set(self.names) <= found.keys():
                return found
        except FileNotFoundError:
            pass
        except ValueError:
            path.unlink(missing_ok=True)
        arrays = compute()
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_whole(path, lambda sibling: sibling.write_bytes(buffer.getvalue()))
        return arrays
