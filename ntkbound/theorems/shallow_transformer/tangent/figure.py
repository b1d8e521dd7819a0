"""Measured and predicted loss against the step, as a figure for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ntkbound.report.figures import new_figure, save_figure

if TYPE_CHECKING:
    from ntkbound.theorems.shallow_transformer.tangent.report import KernelReport

SIZE = (4.2, 3.0)  # inches


def plot_curve(path: Path, report: KernelReport) -> None:
    """Raises InputError for another format, a folder that cannot be written, or no matplotlib."""
    figure = new_figure("curve", path, SIZE)
    axis = figure.subplots()
    axis.plot(report.steps, report.measured, "o-", markersize=3, label="measured")
    known = [(s, p) for s, p in zip(report.steps, report.predicted, strict=True) if p is not None]
    axis.plot(*zip(*known, strict=True), "--", label="linearized, predicted")
    if report.parting_step is not None:
        axis.axvline(
            report.parting_step, color="0.6", linewidth=0.8, label=f"differ by {report.tolerance:g}"
        )
    axis.set_xscale("symlog", linthresh=1)  # step 0 has a place
    axis.set_xlim(left=0)
    axis.set(yscale="log", xlabel="step s", ylabel="R̂")
    axis.set_title(report.id, fontsize=7)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7)
    save_figure("curve", path, figure)
