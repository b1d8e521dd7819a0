"""Panels as matplotlib figures: every line chart of the package is drawn here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.report.figures import add_legend, new_sheets, panel_height
from ntkbound.report.notation import as_math, wrapped
from ntkbound.report.style import (
    BOUNDS,
    CLAIMED,
    NEUTRAL,
    REFERENCES,
    SMALL,
    TEXT,
    Layout,
    Look,
    look,
    style,
)
from ntkbound.report.ticks import is_short, set_log_ticks, spread, told
from ntkbound.studies.measured import MEDIAN

if TYPE_CHECKING:
    from ntkbound.studies.study import Line, Panel, Surface

MANY = 20  # points of a line from which on it is a curve with a band, not markers with bars
MARKS = 8  # markers along such a curve
CATEGORIES = 8  # named along an axis
WIDE = 1e4  # a range by this factor has powers of ten at its ticks, not its points
LEVELS = 8  # level lines of a surface
FLAT = 3.0  # a range by less than this factor is linear, unless a slope is drawn
FAR = 1e6  # a bound further away than this would press everything else into a line
OUTSIDE = 0.6  # inches of a panel beside its axes
BESIDE = 0.72  # of a panel's height: a line of the label of y
DODGE, APART = 0.012, 0.05  # of the axis: from arm to arm at one x, and all of them together
PLAIN = Look("#000000", "o", "-")  # of the median of a panel without arms beside others that have


@style()
def draw_panels(panels: Sequence[Panel], layout: Layout | None = None) -> list[Any]:
    """matplotlib figures, one a sheet, with one legend each."""
    layout = layout or Layout()
    arms = list(dict.fromkeys(_arm(line) for panel in panels for line in panel.lines
                              if line.role != "reference"))  # fmt: skip
    named = [arm for arm in arms if arm and (arm != MEDIAN or len(arms) == 1)]
    looks = {MEDIAN: PLAIN, **{arm: look(place) for place, arm in enumerate(named)}}
    figures, rest = [], iter(panels)
    for figure, axes in new_sheets(len(panels), layout):
        own = [next(rest) for _ in axes]
        inches = layout.shape.inches / min(layout.shape.columns, len(panels))
        lines = 0
        for axis, panel in zip(axes, own, strict=True):
            lines = max(lines, _draw(axis, panel, looks, inches))
        rows = len({axis.get_subplotspec().rowspan.start for axis in axes})
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + rows * lines * 1.2 * TEXT / 72)
        add_legend(figure, _entries(own, looks))
        figures.append(figure)
    return figures


def _arm(line: Line) -> str:
    """Of what it belongs to; a measured line without a name is a median."""
    return line.arm or (line.label or MEDIAN if line.role == "measured" else "")


def _draw(axis: Any, panel: Panel, looks: dict[str, Look], inches: float) -> int:
    """One panel; returns the number of lines above it."""
    far = ""
    if panel.surface is not None:
        _surface(axis, panel.surface)
    else:
        far = _scale(axis, panel)
        _lines(axis, panel, looks)
        _ticks(axis, panel, inches - OUTSIDE)
    axis.set_xlabel(as_math(panel.x))
    axis.set_ylabel(wrapped(panel.y, BESIDE * panel_height(inches), TEXT))
    title = panel.title if panel.title != panel.y else ""
    above = "\n".join(filter(None, (title, panel.note, far)))
    shown = wrapped(above, inches - OUTSIDE, SMALL)
    axis.set_title(shown, fontsize=SMALL, loc="left")
    return shown.count("\n") + bool(shown)


def _surface(axis: Any, surface: Surface) -> None:
    """A map of colours that is legible in grey, with its scale and a few level lines."""
    grid = np.array(surface.values, dtype=float)
    # An image inside a PDF: thousands of cells would be as many paths.
    mesh = axis.pcolormesh(
        surface.x, surface.y, grid, cmap="cividis", shading="nearest", rasterized=True
    )
    if np.ptp(grid) > 0:
        axis.contour(surface.x, surface.y, grid, LEVELS, colors="white", linewidths=0.4)
    bar = axis.figure.colorbar(mesh, ax=axis)
    bar.set_label(as_math(surface.label), fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def _lines(axis: Any, panel: Panel, looks: dict[str, Look]) -> None:
    """Measured points and the curves beside them."""
    fitted = {line.arm for line in panel.lines if line.role == "fitted"}
    arms = [_arm(line) for line in panel.lines if line.role == "measured"]
    references = 0
    for line in panel.lines:
        own = looks.get(_arm(line), Look(NEUTRAL, "", "-"))
        if line.role == "measured":
            joined = _arm(line) not in fitted and not panel.categories
            aside = arms.index(_arm(line)) - (len(arms) - 1) / 2
            aside *= min(DODGE, APART / len(arms))
            _points(axis, _moved(line, aside, axis), own, joined)
            continue
        colour, dash = _ink(line, own, references)
        references += line.role == "reference"
        marked = own.marker if line.role in BOUNDS and len(line.x) <= MANY else ""
        axis.plot(
            line.x, line.y, color=colour, linestyle=dash, marker=marked, markersize=3.2,
            markerfacecolor="white", markeredgewidth=0.7, linewidth=1.0, zorder=2,
        )  # fmt: skip
    for x in panel.marks.values():
        axis.axvline(x, color="0.6", linewidth=0.8, linestyle="-", zorder=0)


def _ink(line: Line, own: Look, references: int) -> tuple[str, Any]:
    """Colour and dash of a curve."""
    if line.role == "fitted":
        return own.colour, own.dash
    if line.role == "claimed":
        return NEUTRAL, CLAIMED
    if line.role == "reference":
        return "0.5", REFERENCES[references % len(REFERENCES)]
    return own.colour, BOUNDS[line.role]


def _moved(line: Line, aside: float, axis: Any) -> Line:
    """Aside by a share of the range of x, so that arms at one x do not hide each other."""
    spread_out = line.seeds or line.low is not None
    if not (spread_out and aside and 2 <= len(line.x) <= MANY):
        return line
    x = np.array(line.x, dtype=float)
    if axis.get_xscale() == "log":
        return replace(line, x=(x * (x.max() / x.min()) ** aside).tolist())
    return replace(line, x=(x + aside * np.ptp(x)).tolist())


def _points(axis: Any, line: Line, own: Look, joined: bool) -> None:
    """Seeds faint, the middle of them marked, and the interval around it."""
    x, y = np.array(line.x, dtype=float), np.array(line.y, dtype=float)
    many = len(x) > MANY
    if line.seeds and not many:
        every = [(at, value) for at, one in zip(x, line.seeds, strict=True) for value in one]
        axis.plot(
            *zip(*every, strict=True), linestyle="none", marker=own.marker, markersize=2.4,
            color=own.colour, alpha=0.4, markeredgewidth=0, zorder=1,
        )  # fmt: skip
    if line.low is not None and line.high is not None:
        if many:
            axis.fill_between(x, line.low, line.high, color=own.colour, alpha=0.2, linewidth=0)
        else:
            axis.vlines(x, line.low, line.high, color=own.colour, linewidth=0.9, zorder=2)
    axis.plot(
        x, y, color=own.colour, marker=own.marker, linestyle=own.dash if joined else "none",
        markevery=max(len(x) // MARKS, 1) if many else 1, zorder=3,
    )  # fmt: skip


def _values(lines: Iterable[Line]) -> np.ndarray:
    """All finite values of y."""
    found = [v for line in lines for part in (line.y, line.low or (), line.high or (), *line.seeds)
             for v in part]  # fmt: skip
    values = np.array(found, dtype=float)
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


def _scale(axis: Any, panel: Panel) -> str:
    """Sets the scales; returns what is said of bounds that are too far away to be shown."""
    near = _values(line for line in panel.lines if line.role not in BOUNDS)
    x_scale, y_scale = panel.scales
    sloped = any(line.role in ("fitted", "claimed") for line in panel.lines)
    if panel.categories:
        axis.set_xlim(-0.5, len(panel.categories) - 0.5)
        x_scale, sloped = "linear", False
    x = np.array([value for line in panel.lines for value in line.x], dtype=float)
    if x_scale == "auto":
        x_scale = "log" if x.size and (x > 0).all() and x.max() > x.min() else "linear"
    if y_scale == "auto":
        every = _values(panel.lines)
        curves = all(len(line.x) > MANY for line in panel.lines)  # one may touch 0 for a while
        above = every[every > 0]
        kept = len(above) == len(every) or (curves and len(above) > len(every) / 2)
        positive = bool(above.size) and kept and every.min() >= 0
        y_scale = "log" if positive and (sloped or above.max() > FLAT * above.min()) else "linear"
    axis.set_xscale(x_scale, **({"linthresh": 1} if x_scale == "symlog" else {}))
    if x_scale == "symlog":
        axis.set_xlim(0, 1.25 * x.max())
    axis.set_yscale(y_scale, **({"nonpositive": "mask"} if y_scale == "log" else {}))
    near = near[near > 0]
    if y_scale != "log" or not near.size:
        return ""
    return _limits(axis, panel, near)


def _limits(axis: Any, panel: Panel, near: np.ndarray) -> str:
    """Leaves out what lies too far away of a bound, and says so."""
    ends = [near.min(), near.max()]
    bounds = _values(line for line in panel.lines if line.role in BOUNDS)
    shown = bounds[(bounds <= ends[1] * FAR) & (bounds >= ends[0] / FAR)]
    low, high = min([ends[0], *shown]), max([ends[1], *shown])
    room = max(math.log10(high / low) * 0.06, 0.03)
    axis.set_ylim(low / 10**room, high * 10**room)
    if len(shown) == len(bounds):
        return ""
    end = bounds.max() if bounds.max() > high else bounds.min()
    return f"not shown: bounds to 10^{round(math.log10(end))}"


def _ticks(axis: Any, panel: Panel, inches: float) -> None:
    """Data points as ticks where there are few of them, powers of ten else."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    if axis.get_yscale() == "log":
        set_log_ticks(axis.yaxis)
    else:
        axis.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if panel.categories:
        every = -(-len(panel.categories) // CATEGORIES)
        shown = range(0, len(panel.categories), every)
        labels = [as_math(panel.categories[place]) for place in shown]
        long = sum(map(len, labels)) * SMALL * 0.6 / 72 > inches
        axis.set_xticks(list(shown), labels=labels, rotation=30 if long else 0,
                        ha="right" if long else "center")  # fmt: skip
        return
    measured = {x for line in panel.lines if line.role == "measured" for x in line.x}
    ends = max(measured, default=1.0), min(measured, default=1.0)
    plain = len(measured) <= MANY and ends[0] < WIDE * ends[1] and all(map(is_short, measured))
    if axis.get_xscale() == "log" and plain:
        ticks = spread(list(measured), inches)
        axis.xaxis.set_major_locator(FixedLocator(ticks))
        axis.set_xticks(ticks, labels=[told(tick) for tick in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
    elif axis.get_xscale() == "log":
        set_log_ticks(axis.xaxis, 5)
    elif axis.get_xscale() == "symlog":
        last = math.floor(math.log10(max(measured)) + 1e-9)
        set_powers = [0.0, *(10.0**k for k in range(0, last + 1, -(-(last + 1) // 4)))]
        axis.set_xticks(set_powers, labels=["0", *(told(tick) for tick in set_powers[1:])])
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.xaxis.set_major_locator(MaxNLocator(4))


def _entries(panels: Sequence[Panel], looks: dict[str, Look]) -> list[tuple[Any, str]]:
    """What the legend of a sheet explains: its arms, then what else is drawn, each once."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines = [line for panel in panels for line in panel.lines]
    measured = dict.fromkeys(_arm(line) for line in lines if line.role == "measured")
    fitted = any(line.role == "fitted" for line in lines)
    entries: list[tuple[Any, str]] = [
        (Line2D([], [], color=looks[name].colour, marker=looks[name].marker,
                linestyle=looks[name].dash), name)
        for name in measured
    ]  # fmt: skip
    alone = looks[next(iter(measured))] if len(measured) == 1 else Look(NEUTRAL, "o", "-")
    if any(line.seeds for line in lines):
        seed = Line2D([], [], color=alone.colour, marker=alone.marker, markersize=2.4, alpha=0.4,
                      linestyle="none")  # fmt: skip
        entries.append((seed, "a seed"))
    if any(line.low is not None and len(line.x) > MANY for line in lines):
        entries.append((Patch(color=alone.colour, alpha=0.2, linewidth=0), "interval"))
    elif any(line.low is not None for line in lines):
        bar = Line2D([], [], color=alone.colour, marker="|", markersize=8, linestyle="none")
        entries.append((bar, "interval"))
    kinds: dict[tuple[str, str], Any] = {}
    for panel in panels:
        references = 0
        for line in panel.lines:
            if line.role == "measured" or (line.role == "fitted" and len(measured) > 1):
                continue
            colour, dash = _ink(line, alone, references)
            references += line.role == "reference"
            marked = alone.marker if line.role in BOUNDS else ""
            kinds.setdefault((line.role, line.label), Line2D(
                [], [], color=colour, linestyle=dash, marker=marked, markersize=3.2,
                markerfacecolor="white", markeredgewidth=0.7, linewidth=1.0,
            ))  # fmt: skip
    if fitted and len(measured) > 1:
        entries.append((Line2D([], [], color=alone.colour), "fitted"))
    entries += [(handle, label) for (_, label), handle in kinds.items() if label]
    marks = dict.fromkeys(label for panel in panels for label in panel.marks)
    return entries + [(Line2D([], [], color="0.6", linewidth=0.8), label) for label in marks]
