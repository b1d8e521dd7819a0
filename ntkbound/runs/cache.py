"""Arrays that several runs share, on disk by content: computed once, read by all others."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ntkbound.core.npz import arrays_of
from ntkbound.core.tools import Arrays
from ntkbound.machine.ranks import ALONE, Ranks
from ntkbound.runs.files import write_whole


class ArrayCache:
    """``folder/<key>.npz``; an unreadable or foreign file counts as absent and is written again."""

    def __init__(self, folder: Path, ranks: Ranks = ALONE) -> None:
        self.folder, self.ranks = folder, ranks

    def fetch(self, key: str, names: Sequence[str], compute: Callable[[], Arrays]) -> Arrays:
        """The arrays ``names``, float64 of one length; rank 0 reads or computes them and the others
        are told."""
        found = self._fetch(key, names, compute) if self.ranks.index == 0 else None
        size = torch.tensor([0 if found is None else len(found[names[0]])])
        n = int(self.ranks.share_(size))
        shared = {}
        for name in names:
            values = torch.zeros(n, dtype=torch.float64)
            if found is not None:
                values = torch.from_numpy(found[name])
            shared[name] = self.ranks.share_(values).numpy()
        return shared

    def _fetch(self, key: str, names: Sequence[str], compute: Callable[[], Arrays]) -> Arrays:
        path = self.folder / f"{key}.npz"
        try:
            found = arrays_of(path.read_bytes())
            if set(names) <= found.keys():
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
