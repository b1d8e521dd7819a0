"""Figures as files: their format, their sheets of panels, and how they are saved."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ntkbound.core.errors import InputError
from ntkbound.report.notation import wrapped
from ntkbound.report.style import SMALL, Layout, style

FORMATS = (".pdf", ".svg", ".png")
LEGEND_LETTERS = 0.45  # of a sheet: the widest entry of a legend


def check_figure(field: str, path: Path) -> None:
    """Raises InputError for a format that is not offered, or where matplotlib is not installed.

    ``field``: the argument that named the file.
    """
    if path.suffix not in FORMATS:
        told = f"unknown format; accepted: {', '.join(FORMATS)}"
        raise InputError(told, field=field, value=path)
    check_matplotlib(field)


def check_matplotlib(field: str) -> None:
    """Raises InputError where it is not installed."""
    if find_spec("matplotlib") is None:
        raise InputError("needs matplotlib; pip install 'ntkbound[plot]'", field=field)


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches, to be drawn on and saved in `style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04, wspace=0.02, hspace=0.03)
    figure = Figure(figsize=(width, height), layout=engine)
    FigureCanvasAgg(figure)  # measures text
    return figure


def new_sheets(count: int, layout: Layout) -> list[tuple[Any, list[Any]]]:
    """Figures with their axes, ``count`` together: no more on a sheet than read well."""
    inches, columns, rows = layout.shape
    columns = min(columns, count)
    # As even as can be: ten panels are two sheets of five, not nine and a lonely one.
    sheets = -(-count // (columns * rows))
    found = []
    for sheet in range(sheets):
        here = count // sheets + (sheet < count % sheets)
        own_rows = -(-here // columns)
        figure = new_figure(inches, panel_height(inches / columns) * own_rows)
        grid = figure.subplots(own_rows, columns, squeeze=False).ravel().tolist()
        for unused in grid[here:]:
            unused.remove()
        found.append((figure, grid[:here]))
    return found


def panel_height(width: float) -> float:
    """Of a panel of this width, both in inches."""
    return min(max(0.68 * width, 1.6), 2.6)


def add_legend(figure: Any, entries: Sequence[tuple[Any, str]]) -> None:
    """One legend below all panels, in as many columns as fit; the sheet grows by its height."""
    if not entries:
        return
    width, height = figure.get_size_inches()
    handles = [handle for handle, _ in entries]
    labels = [wrapped(label, LEGEND_LETTERS * width, SMALL) for _, label in entries]
    for columns in range(len(entries), 0, -1):
        legend = figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, handlelength=2.6,
            columnspacing=1.2, borderaxespad=0.2,
        )  # fmt: skip
        box = legend.get_window_extent(figure.canvas.get_renderer())
        if box.width <= figure.bbox.width * 0.98 or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(width, height + box.height / figure.dpi)


def save_figures(field: str, path: Path, figures: Sequence[Any], dpi: int) -> list[Path]:
    """Writes all sheets and returns the files: pages of one PDF, else ``NAME.png``,
    ``NAME-2.png``, … Raises InputError if a file cannot be written."""
    if path.suffix != ".pdf":
        paths = [path, *(path.with_name(f"{path.stem}-{k}{path.suffix}")
                         for k in range(2, len(figures) + 1))]  # fmt: skip
        for one, figure in zip(paths, figures, strict=True):
            save_figure(field, one, figure, dpi)
        return paths
    from matplotlib.backends.backend_pdf import PdfPages

    try:
        with style(), PdfPages(path, metadata={"CreationDate": None}) as pages:
            for figure in figures:
                pages.savefig(figure)
    except OSError as error:
        raise _unwritten(field, path, error) from None
    return [path]


def save_figure(field: str, path: Path, figure: Any, dpi: int) -> None:
    """Raises InputError if the file cannot be written."""
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    try:
        with style():
            figure.savefig(path, dpi=dpi, metadata=undated.get(path.suffix))
    except OSError as error:
        raise _unwritten(field, path, error) from None


def _unwritten(field: str, path: Path, error: OSError) -> InputError:
    return InputError(f"cannot be written ({error.strerror})", field=field, value=path)
