"""The fewest heads against the samples, as a figure for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ntkbound.report.figures import check_figure, save_figures
from ntkbound.report.panels import draw_panels
from ntkbound.report.style import Layout
from ntkbound.studies.study import Line, Panel

Curves = Mapping[str, tuple[Sequence[int], Sequence[int | None]]]


def plot_widths(path: Path, curves: Curves, layout: Layout) -> None:
    """Smallest m against n, one line per level: level → (n, m), null where there is none.

    Raises InputError for another format, no matplotlib, or a file that cannot be written.
    """
    check_figure("curve", path)
    save_figures("curve", path, draw_panels([panel(curves)], layout), layout.dpi)


def panel(curves: Curves) -> Panel:
    """A straight line is growth like log n: only n is logarithmic."""
    lines = []
    for level, (samples, widths) in curves.items():
        known = [(n, m) for n, m in zip(samples, widths, strict=True) if m is not None]
        if known:
            n, m = zip(*known, strict=True)
            lines.append(Line(level, n, m))
    title = "smallest m with any τ; straight: growth like log\N{NO-BREAK SPACE}n"
    return Panel(title, "n", "m", lines, scales=("log", "linear"))
