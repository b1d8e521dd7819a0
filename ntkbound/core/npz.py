"""Reading .npz content without pickle, every way it can be damaged told as one ValueError."""

from __future__ import annotations

import io
import zipfile
import zlib

import numpy as np


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    """Name → array. Raises ValueError with a one-line cause for anything but plain arrays."""
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("a single .npy array, not an archive")
        with found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(_line(error)) from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name!r} is not an array")
    return arrays


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
