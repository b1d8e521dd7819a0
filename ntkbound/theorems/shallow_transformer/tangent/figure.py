"""Measured and predicted loss against the step, as a figure for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ntkbound.report.figures import check_figure, save_figures
from ntkbound.report.panels import draw_panels
from ntkbound.report.style import Layout
from ntkbound.studies.study import Line, Panel

if TYPE_CHECKING:
    from ntkbound.theorems.shallow_transformer.tangent.report import KernelReport


def plot_curve(path: Path, report: KernelReport, layout: Layout) -> None:
    """Raises InputError for another format, a folder that cannot be written, or no matplotlib."""
    check_figure("curve", path)
    save_figures("curve", path, draw_panels([panel(report)], layout), layout.dpi)


def panel(report: KernelReport) -> Panel:
    """Both losses; step 0 has a place."""
    known = [(s, p) for s, p in zip(report.steps, report.predicted, strict=True) if p is not None]
    steps, predicted = zip(*known, strict=True)
    lines = [
        Line("measured", report.steps, report.measured),
        Line("linearized, predicted", steps, predicted),
    ]
    parted = report.parting_step
    marks = {} if parted is None else {f"differ by {report.tolerance:g}": float(parted)}
    return Panel(report.id, "step s", "R̂(φ_s)", lines, scales=("symlog", "log"), marks=marks)
