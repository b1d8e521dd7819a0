"""A record's kernel as a person reads it: spectrum, drift, and the two loss curves side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from ntkbound.report.tables import Table, number, print_lines, print_table, print_text

if TYPE_CHECKING:
    from ntkbound.theorems.shallow_transformer.tangent.report import KernelReport

ROWS = 12  # of the curve's table, about: every recorded step is in the JSON


def print_kernel(console: Console, report: KernelReport, *, notes: bool = True) -> None:
    print_text(console, report.id, style="bold")
    s = report.spectrum
    lines = [
        f"tangent kernel at φ_0, n = {report.n}, m = {report.m}: λ_max {number(s['largest'])}, "
        f"λ_min {number(s['smallest'])}, condition {number(s['condition'])}",
        f"trace {number(s['trace'])}, effective rank (tr Θ)²/‖Θ‖² {number(s['effective_rank'])}",
        f"drift ‖Θ_τ − Θ_0‖/‖Θ_0‖ = {number(report.drift)}",
    ]
    if report.infinite_width is not None:
        wide = report.infinite_width
        lines.append(
            f"distance to infinite width ‖Θ_0 − Θ_∞‖/‖Θ_∞‖ = {number(wide['relative_distance'])} "
            f"(± {number(wide['relative_standard_error'])} from {wide['heads']:.0f} heads)"
        )
    for line in lines:
        print_text(console, line)
    titles = ("step", "measured R̂", "predicted R̂", "difference")
    table = Table(titles, right=titles)
    for i in _shown(report):
        measured, predicted = report.measured[i], report.predicted[i]
        apart = "–" if not predicted else f"{round(measured / predicted - 1, 4) + 0.0:+.2%}"
        table.add_row((str(report.steps[i]), number(measured), number(predicted), apart))
    print_table(console, table)
    limit = f"{report.tolerance:.3g} of the prediction between them"
    parted = (
        f"the curves never part: nowhere more than {limit}"
        if report.parting_step is None
        else f"the curves part at step {report.parting_step}, the first with more than {limit}"
    )
    print_lines(console, [parted, *(report.notes if notes else ())])


def _shown(report: KernelReport) -> Sequence[int]:
    """Recorded steps evenly spread, first and last and the parting among them."""
    last = len(report.steps) - 1
    chosen = {round(k * last / (ROWS - 1)) for k in range(ROWS)}
    if report.parting_step is not None:
        chosen.add(report.steps.index(report.parting_step))
    return sorted(chosen)
