"""Figures as files: their format, their panels, and how they are saved."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ntkbound.core.errors import InputError

FORMATS = (".pdf", ".svg", ".png")
COLUMNS = 3
PANEL = (3.3, 2.7)  # inches


def check_figure(field: str, path: Path) -> None:
    """Raises InputError for a format that is not offered, or where matplotlib is not installed.

    ``field``: the argument that named the file.
    """
    if path.suffix not in FORMATS:
        told = f"unknown format; accepted: {', '.join(FORMATS)}"
        raise InputError(told, field=field, value=path)
    if find_spec("matplotlib") is None:
        raise InputError("needs matplotlib; pip install 'ntkbound[plot]'", field=field)


def new_figure(field: str, path: Path, size: tuple[float, float]) -> Any:
    """An empty matplotlib figure; raises InputError as ``check_figure`` does."""
    check_figure(field, path)
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def new_panels(field: str, path: Path, count: int) -> tuple[Any, list[Any]]:
    """A figure and its ``count`` axes, a few in a row; raises InputError as ``check_figure``."""
    rows, columns = -(-count // COLUMNS), min(COLUMNS, count)
    figure = new_figure(field, path, (PANEL[0] * columns, PANEL[1] * rows))
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel().tolist()
    for unused in axes[count:]:
        unused.set_visible(False)
    return figure, axes[:count]


def save_figure(field: str, path: Path, figure: Any) -> None:
    """Raises InputError if the file cannot be written."""
    try:
        figure.savefig(path)
    except OSError as error:
        told = f"cannot be written ({error.strerror})"
        raise InputError(told, field=field, value=path) from None
