"""All panels of a study on as many sheets as they need, for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntkbound.report.figures import FORMATS as SUFFIXES
from ntkbound.report.figures import check_figure, save_figures
from ntkbound.report.panels import draw_panels
from ntkbound.report.style import Layout

if TYPE_CHECKING:
    from ntkbound.studies.study import Panel

FIELD = "figure_format"
FORMATS = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)


def draw_study(panels: Sequence[Panel], layout: Layout | None = None) -> list[Any]:
    """Its matplotlib figures, one a sheet; needs matplotlib."""
    return draw_panels(panels, layout)


def plot_study(path: Path, panels: Sequence[Panel], layout: Layout | None = None) -> list[Path]:
    """Draws and saves them; returns the files, several where the format has no pages.

    Raises InputError for another format, no matplotlib, or a file that cannot be written.
    """
    layout = layout or Layout()
    check_figure(FIELD, path)
    return save_figures(FIELD, path, draw_study(panels, layout), layout.dpi)
