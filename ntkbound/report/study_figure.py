"""All panels of a study on one sheet, for a paper."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntkbound.report.figures import FORMATS as SUFFIXES
from ntkbound.report.figures import new_panels, save_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ntkbound.studies.study import Line, Panel

FIELD = "figure_format"
TICKS = 7
FORMATS = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)


def plot_study(path: Path, panels: Sequence[Panel]) -> None:
    """Raises InputError for another format, no matplotlib, or a file that cannot be written."""
    figure, axes = new_panels(FIELD, path, len(panels))
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, panel)
    save_figure(FIELD, path, figure)


def _draw(axis: Any, panel: Panel) -> None:
    from matplotlib.ticker import NullLocator

    solid = beside = 0
    for line in panel.lines:
        colour = f"C{max(solid - line.dashed, 0) % 10}"  # a bound has its line's colour
        style = ("--", ":")[min(beside, 1)] if line.dashed else "o-"
        axis.plot(
            line.x, line.y, style, color=colour, markersize=3, linewidth=1, label=line.label or None
        )
        if line.low is not None and line.high is not None:
            axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.2, linewidth=0)
        solid += not line.dashed
        beside = beside + 1 if line.dashed else 0  # a second one beside the same line is dotted
    values = np.array([v for line in panel.lines for v in _all(line)])
    x = np.array([v for line in panel.lines if not line.dashed for v in line.x])
    axis.set_xlabel(panel.x, fontsize=8)
    if panel.y != panel.title:
        axis.set_ylabel(panel.y, fontsize=8)
    if (x > 0).all():
        axis.set_xscale("log")
        ticks = spread_ticks(np.unique(x))
        axis.set_xticks(ticks, labels=[f"{v:.0f}" if v >= 1000 else f"{v:.3g}" for v in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
    if (values[np.isfinite(values)] > 0).all():
        axis.set_yscale("log")
    axis.set_title(panel.title, fontsize=8)
    axis.tick_params(which="both", labelsize=7)
    if axis.get_legend_handles_labels()[1]:
        axis.legend(fontsize=6)


def spread_ticks(values: NDArray[np.float64]) -> list[float]:
    """Those of sorted positive values that lie apart on a logarithmic axis: labels of nearer ones
    would cover each other."""
    apart = math.log(values[-1] / values[0]) / TICKS
    kept: list[float] = []
    for value in values:
        if not kept or math.log(value / kept[-1]) >= apart:
            kept.append(float(value))
    return kept


def _all(line: Line) -> list[float]:
    return [*line.y, *(line.low or ()), *(line.high or ())]
