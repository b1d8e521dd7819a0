"""Log-log panels that can go into a paper: seeds, medians, fit, claimed slope and bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.record import Record
from ntkbound.report.rates_table import two
from ntkbound.stats import arm_text, config_of

if TYPE_CHECKING:
    from ntkbound.stats import Series, Verdict

FORMATS = (".pdf", ".svg", ".png")
COLUMNS = 3
PANEL = (3.3, 2.7)  # inches


@dataclass(frozen=True)
class _Sloped:
    """A fit that has a slope."""

    verdict: Verdict
    series: Series
    slope: float


def plot_rates(path: Path, fits: Sequence[Verdict], records: Sequence[Record]) -> None:
    """One panel per fit that has a slope. Raises InputError for another format or no matplotlib."""
    check_figure("plot", path)
    shown = [
        _Sloped(fit, fit.fit.series, fit.slope)
        for fit in fits
        if fit.slope is not None and fit.fit is not None
    ]
    if not shown:
        raise InputError("no fit has a slope, there is nothing to draw", field="plot")
    figure, axes = new_panels("plot", path, len(shown))
    for axis, sloped in zip(axes, shown, strict=True):
        _panel(axis, sloped, records)
    save_figure("plot", path, figure)


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


def _panel(axis: Any, sloped: _Sloped, records: Sequence[Record]) -> None:
    fit, series, slope = sloped.verdict, sloped.series, sloped.slope
    x, y = series.points, np.median(series.values, axis=0)
    for seed in series.values:
        axis.plot(x, seed, color="0.8", linewidth=0.7, zorder=1)
    axis.plot(x, y, "o", color="C0", markersize=4, label="median", zorder=3)
    centre_x, centre_y = np.exp(np.log(x).mean()), np.exp(np.log(y).mean())
    axis.plot(x, centre_y * (x / centre_x) ** slope, color="C0", label=two(slope))
    if fit.claimed is not None:
        claim = centre_y * (x / centre_x) ** fit.claimed
        axis.plot(x, claim, "--", color="C1", label=f"claimed {two(fit.claimed)}")
    bound = _bounds(fit, set(x.tolist()), records)
    if bound:
        axis.plot(list(bound), list(bound.values()), ":", color="C3", label="bound")
    axis.set(xscale="log", yscale="log", xlabel=fit.axis)
    axis.set_xticks(x, labels=[f"{value:g}" for value in x])
    axis.minorticks_off()
    axis.set_title(f"{fit.term}\n{fit.probe} / {fit.statistic}: {fit.verdict}", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6)


def _bounds(fit: Verdict, points: set[float], records: Sequence[Record]) -> dict[float, float]:
    """Median explicit bound at every one of ``points`` over the records in the fit's arm."""
    found: dict[float, list[float]] = {}
    for record in records:
        config = config_of(record)
        x = config.get(fit.axis)
        if not isinstance(x, int | float) or x not in points:
            continue
        if any(arm_text(config.get(name)) != value for name, value in fit.arm):
            continue
        for row in record.checks:
            if row.key == fit.key and row.bound is not None:
                found.setdefault(float(x), []).append(row.bound)
    return {x: float(np.median(found[x])) for x in sorted(found)}
