"""The planner's answer: one row per level of bound, and what was measured beside them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntkbound.report.run_table import number
from ntkbound.stats import Crossing, Series
from ntkbound.theorems.shallow_transformer.plan.inversion import Plan


def print_plan(
    console: Console,
    title: str,
    plans: Sequence[Plan],
    crossings: Sequence[tuple[Series, Crossing]],
) -> None:
    """Guarantees first, then the crossings of fitted power laws, then why something is missing."""
    console.print(title, style="bold", highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("level", no_wrap=True)
    for name in ("m", "τ", "guaranteed RMSE", "fewest m (any τ)"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in plans:
        table.add_row(
            row.level, _count(row.m), _count(row.tau), number(row.rmse), _count(row.fewest_heads)
        )
    console.print(table)
    notes = [f"{row.level}: {row.reason}" for row in plans if row.reason]
    if crossings:
        console.print()
        console.print(_measured(crossings))
        for series, found in crossings:
            if found.reason:
                notes.append(f"measured along {_name(series)}: {found.reason}")
        if any(found.extrapolated for _, found in crossings):
            notes.append("extrapolated: outside the measured range there may be a floor")
    for line in notes:
        console.print(Text("  · " + line), highlight=False)


def _measured(crossings: Sequence[tuple[Series, Crossing]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("measured min RMSE: target reached at", no_wrap=True)
    for name in ("value", "95 % interval", "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for series, found in crossings:
        ends = f"[{number(found.low)}, {number(found.high)}]"
        table.add_row(
            _name(series), number(found.value), ends, f"{found.points}×{found.seeds}",
            Text("extrapolated", style="yellow") if found.extrapolated else "",
        )  # fmt: skip
    return table


def _name(series: Series) -> str:
    arm = ", ".join(f"{name} = {value}" for name, value in series.arm)
    axis = "τ" if series.axis == "tau" else series.axis
    return f"{axis} ({arm})" if arm else axis


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}".replace(",", " ")
