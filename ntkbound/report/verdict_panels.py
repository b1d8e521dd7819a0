"""Panels of what was judged: lines beside their claimed curve, cells beside a claimed number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.core.claim import Exponential
from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.report.figures import check_figure, check_matplotlib, save_figures
from ntkbound.report.panels import draw_panels
from ntkbound.report.style import Layout
from ntkbound.stats import UNSET, config_of
from ntkbound.stats.columns import in_arm
from ntkbound.stats.curves import median_interval, noted
from ntkbound.stats.observations import Series
from ntkbound.stats.samples import Pairs, Sample
from ntkbound.studies.measured import BOUND, CLAIMED, MEDIAN, curve_lines
from ntkbound.studies.study import Line, Panel, Scale

if TYPE_CHECKING:
    from ntkbound.core.theorem import Theorem
    from ntkbound.stats import Verdict

FIELD = "plot"
MOST_ARMS = 5  # in a panel
MEAN, SHARE, DIFFERENCE = "mean", "share of runs", "larger − smaller"


def plot_verdicts(
    path: Path, fits: Sequence[Verdict], records: Sequence[Record], layout: Layout | None = None
) -> list[Path]:
    """Draws and saves them; returns the files, several where the format has no pages.

    Raises InputError for another format, no matplotlib, or where there is nothing to draw.
    """
    layout = layout or Layout()
    check_figure(FIELD, path)
    return save_figures(FIELD, path, draw_verdicts(fits, records, layout), layout.dpi)


def draw_verdicts(
    fits: Sequence[Verdict], records: Sequence[Record], layout: Layout | None = None
) -> list[Any]:
    """matplotlib figures, one a sheet. Raises InputError where there is nothing to draw, or no
    matplotlib."""
    check_matplotlib(FIELD)
    panels = verdict_panels(fits, records)
    if not panels:
        raise InputError("no fit has a slope, there is nothing to draw", field=FIELD)
    return draw_panels(panels, layout)


def verdict_panels(fits: Sequence[Verdict], records: Sequence[Record]) -> list[Panel]:
    """One panel per claim along an axis, and per number along one of which nothing is claimed, a
    line for each arm; and one per claim without an axis, all of its cells."""
    declared = [found for name in {one.theorem: None for one in records} if (found := known(name))]
    lines: dict[tuple[str, Key, int], list[Verdict]] = {}
    cells: dict[int, list[Verdict]] = {}
    for fit in fits:
        if isinstance(fit.evidence, Series) and fit.estimate is not None:
            lines.setdefault((fit.axis, fit.key, id(fit.claim)), []).append(fit)
        if isinstance(fit.evidence, Sample | Pairs):
            cells.setdefault(id(fit.claim), []).append(fit)
    groups = [
        group[start : start + MOST_ARMS]
        for group in lines.values()
        for start in range(0, len(group), MOST_ARMS)
    ]
    apart = _differing([fit for group in groups for fit in group])
    panels = [_along(group, apart, records, declared) for group in groups]
    return panels + [_cells(group, declared) for group in cells.values()]


def title_of(key: Key, declared: Sequence[Theorem]) -> str:
    """The paper's name of a number, its own where no theorem declares one."""
    return next((told for one in declared if (told := one.quantity(key).label)), str(key))


def _along(
    group: Sequence[Verdict], apart: Sequence[str], records: Sequence[Record],
    declared: Sequence[Theorem],
) -> Panel:  # fmt: skip
    """The arms of one claim. ``apart``: the fields that tell arms apart in the whole figure; those
    that are equal in this panel stand in its title."""
    first, inside = group[0], _differing(group)
    lines = []
    for fit in group:
        label = _told(fit, inside, declared) if len(group) > 1 else MEDIAN
        lines += _line(fit, label, records)
    scales: tuple[Scale, Scale] = ("linear" if isinstance(first.claim, Exponential) else "log",
                                   "log")  # fmt: skip
    shared = _told(first, [name for name in apart if name not in inside], declared)
    title = ", ".join(filter(None, (first.label, shared)))
    x = _symbol(first.axis, declared)
    return Panel(title, x, title_of(first.key, declared), lines, noted(group), scales)


def _differing(fits: Sequence[Verdict]) -> list[str]:
    """The fields in which the arms of these fits differ."""
    values: dict[str, set[str]] = {}
    for fit in fits:
        for name, value in fit.arm:
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]


def _told(fit: Verdict, names: Sequence[str], declared: Sequence[Theorem]) -> str:
    """ "n = 32, sgd": these fields of its arm, words without their names."""
    values = [(name, value) for name, value in fit.arm if name in names and value != UNSET]
    parts = [value if value[:1].isalpha() else f"{_symbol(name, declared)} = {value}"
             for name, value in values]  # fmt: skip
    return ", ".join(parts)


def _symbol(axis: str, declared: Sequence[Theorem]) -> str:
    return next((told for one in declared if (told := one.symbol(axis)) != axis), axis)


def _line(fit: Verdict, label: str, records: Sequence[Record]) -> list[Line]:
    """Seeds, their median and its interval, the fitted and the claimed curve, and the bound where
    there is one."""
    series: Any = fit.evidence
    x, seeds = series.points.tolist(), series.values.T
    low, high = zip(*map(median_interval, seeds), strict=True)
    middle = np.median(seeds, axis=1).tolist()
    lines = [Line(label, x, middle, low, high, seeds=seeds.tolist()), *curve_lines(fit, label)]
    bound = _bounds(fit, set(x), records)
    if bound:
        lines.append(Line(BOUND, list(bound), list(bound.values()), role="upper", arm=label))
    return lines


def _cells(group: Sequence[Verdict], declared: Sequence[Theorem]) -> Panel:
    """Estimates with their intervals, cell by cell, beside what is claimed; faint: single runs."""
    first = group[0]
    names = [name for name, _ in first.arm if len({dict(f.arm).get(name) for f in group}) > 1]
    estimates = [float(fit.estimate or 0.0) for fit in group]
    low, high = (
        [middle if end is None else end for middle, end in zip(estimates, side, strict=True)]
        for side in ([fit.low for fit in group], [fit.high for fit in group])
    )
    places = list(range(len(group)))
    seeds = [] if first.form == "fraction" else [_values(fit) for fit in group]
    measure = _measure(first)
    lines = [Line(measure, places, estimates, low, high, seeds=seeds)]
    claimed = [fit.claimed for fit in group if fit.claimed is not None]
    if claimed:
        told = "equal" if first.form == "order" else CLAIMED
        wide = [-0.5, len(group) - 0.5]
        lines.append(Line(told, wide, [claimed[0]] * 2, role="claimed"))
    verdicts = ", ".join(dict.fromkeys(fit.verdict for fit in group))
    sign = f"claimed {first.claim.sign}: " if first.claim else ""
    labels = [", ".join(dict(fit.arm).get(name, "") for name in names) for fit in group]
    y = title_of(first.key, declared)
    y = y if measure == MEAN else f"{y}: {measure}"
    x = ", ".join(_symbol(name, declared) for name in names)
    return Panel(first.label or "", x, y, lines, f"{sign}{verdicts}", categories=labels)


def _values(fit: Verdict) -> list[float]:
    """Of single runs, or differences of pairs of them."""
    single: Any = fit.evidence
    values = single.differences if isinstance(single, Pairs) else single.values
    return [float(value) for value in values]


def _measure(fit: Verdict) -> str:
    if fit.form == "order":
        return DIFFERENCE
    return SHARE if fit.form == "fraction" else MEAN


def _bounds(fit: Verdict, points: set[float], records: Sequence[Record]) -> dict[float, float]:
    """Median explicit bound at every one of ``points`` over the records in the fit's arm."""
    found: dict[float, list[float]] = {}
    for record in records:
        x = config_of(record).get(fit.axis)
        if not isinstance(x, int | float) or x not in points or not in_arm(record, fit.arm):
            continue
        for row in record.checks:
            if row.key == fit.key and row.bound is not None:
                found.setdefault(float(x), []).append(row.bound)
    return {x: float(np.median(found[x])) for x in sorted(found)}
