"""Panels of what was judged: lines beside their claimed curve, cells beside a claimed number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.core.claim import STEP, Exponential, Rate, fields_told
from ntkbound.core.errors import InputError
from ntkbound.core.record import Record
from ntkbound.report import figures
from ntkbound.report.rates_table import estimated, two
from ntkbound.stats import arm_text, config_of
from ntkbound.stats.observations import Series
from ntkbound.stats.samples import Pairs, Sample

if TYPE_CHECKING:
    from ntkbound.stats import Verdict

MOST_LABELS = 12  # of cells named along the axis of a panel


def plot_verdicts(path: Path, fits: Sequence[Verdict], records: Sequence[Record]) -> None:
    """One panel per line that was fitted, and one per claim without an axis, all of its cells.

    Raises InputError for another format, or where there is nothing to draw or no matplotlib.
    """
    figures.check_figure("plot", path)
    lines = [fit for fit in fits if isinstance(fit.evidence, Series) and fit.estimate is not None]
    cells: dict[int, list[Verdict]] = {}
    for fit in fits:
        if isinstance(fit.evidence, Sample | Pairs):
            cells.setdefault(id(fit.claim), []).append(fit)
    count = len(lines) + len(cells)
    if not count:
        raise InputError("no fit has a slope, there is nothing to draw", field="plot")
    figure, axes = figures.new_panels("plot", path, count)
    for axis, fit in zip(axes, lines, strict=False):
        _line(axis, fit, records)
    for axis, group in zip(axes[len(lines) :], cells.values(), strict=True):
        _cells(axis, group)
    figures.save_figure("plot", path, figure)


def _line(axis: Any, fit: Verdict, records: Sequence[Record]) -> None:
    """Seeds, their median, the fitted and the claimed curve, and the bound where there is one."""
    series: Any = fit.evidence
    x, y = series.points, np.median(series.values, axis=0)
    for seed in series.values:
        axis.plot(x, seed, color="0.8", linewidth=0.7, zorder=1)
    axis.plot(x, y, "o", color="C0", markersize=4, label="median", zorder=3)
    for curve, style, label in _curves(fit, x):
        axis.plot(x, np.exp(np.log(y).mean() + curve - curve.mean()), label=label, **style)
    bound = _bounds(fit, set(x.tolist()), records)
    if bound:
        axis.plot(list(bound), list(bound.values()), ":", color="C3", label="bound")
    scale = "linear" if isinstance(fit.claim, Exponential) else "log"
    axis.set(xscale=scale, yscale="log", xlabel=fit.axis)
    if fit.axis != STEP:
        axis.set_xticks(x, labels=[f"{value:g}" for value in x])
        axis.minorticks_off()
    _finish(axis, fit.key, fit.verdict, fields_told(dict(fit.arm)))


def _curves(fit: Verdict, x: np.ndarray) -> Sequence[tuple[np.ndarray, Mapping[str, Any], str]]:
    """Logarithms of the fitted and of the claimed curve at x, up to a constant."""
    fitted, claimed = {"color": "C0"}, {"color": "C1", "linestyle": "--"}
    estimate = float(fit.estimate or 0.0)
    if isinstance(fit.claim, Exponential):
        found = [(-estimate * x, fitted, f"rate {estimated(fit, fit.estimate)}")]
        if fit.claimed is not None:
            told = f"claimed {estimated(fit, fit.claimed)}"
            found.append((-fit.claimed * x, claimed, told))
        return found
    found = [(estimate * np.log(x), fitted, two(estimate))]
    if isinstance(fit.claim, Rate) and fit.claimed is not None:
        curve = fit.claim.exponent * np.log(x)
        if fit.claim.log_power:
            curve = curve + fit.claim.log_power * np.log(np.log(x))
        found.append((curve, claimed, f"claimed {two(fit.claimed)}"))
    return found


def _cells(axis: Any, group: Sequence[Verdict]) -> None:
    """Estimates with their intervals, cell by cell, beside what is claimed; grey: single runs."""
    first = group[0]
    names = [name for name, _ in first.arm if len({dict(f.arm).get(name) for f in group}) > 1]
    for place, fit in enumerate(group):
        single: Any = fit.evidence
        values = single.differences if isinstance(single, Pairs) else single.values
        if first.form != "fraction":
            axis.plot(np.full(len(values), place), values, "o", color="0.75", markersize=2.5)
        estimate = float(fit.estimate or 0.0)
        ends = [estimate if end is None else end for end in (fit.low, fit.high)]
        bar = [[estimate - ends[0]], [ends[1] - estimate]]
        axis.errorbar([place], [estimate], yerr=bar, fmt="o", color="C0", capsize=3, markersize=4)
    claimed = [fit.claimed for fit in group if fit.claimed is not None]
    if claimed:
        told = "claimed " + (first.claim.sign if first.claim else "")
        told = told if first.form != "order" else "equal"
        axis.axhline(claimed[0], linestyle="--", color="C1", label=told)
    labels = [", ".join(dict(fit.arm).get(name, "") for name in names) for fit in group]
    every = -(-len(group) // MOST_LABELS)
    axis.set_xticks(range(0, len(group), every), labels=labels[::every])
    axis.set(xlim=(-0.5, len(group) - 0.5), xlabel=", ".join(names), ylabel=_measure(first))
    verdicts = dict.fromkeys(fit.verdict for fit in group)
    _finish(axis, first.key, ", ".join(verdicts))


def _measure(fit: Verdict) -> str:
    if fit.form == "order":
        return "larger − smaller"
    return "share of runs" if fit.form == "fraction" else "mean over seeds"


def _finish(axis: Any, key: object, verdict: str, arm: str = "") -> None:
    """Title and legend; the arm stands below the number that the panel is about."""
    term, _, rest = str(key).partition(" / ")
    lines = [term, ", ".join(filter(None, (rest, arm))), verdict]
    axis.set_title("\n".join(filter(None, lines)), fontsize=8)
    axis.tick_params(labelsize=7)
    if axis.get_legend_handles_labels()[0]:
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
