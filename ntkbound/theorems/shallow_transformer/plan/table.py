"""The planner's answer: one row per level of bound, and what was measured beside them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntkbound.report.tables import add_row, new_table, number, print_lines
from ntkbound.stats import Crossing, Series
from ntkbound.theorems.shallow_transformer.plan.inversion import Plan


def print_plan(
    console: Console,
    title: str,
    plans: Sequence[Plan],
    crossings: Sequence[tuple[Series, Crossing]],
) -> None:
    """Guarantees first, then the crossings of fitted power laws, then why something is missing."""
    console.print(Text(title), style="bold")
    right = ("m", "τ", "guaranteed RMSE", "fewest m (any τ)")
    table = new_table(("level", *right), right)
    for row in plans:
        sizes = (_count(row.m), _count(row.tau), number(row.rmse), _count(row.fewest_heads))
        add_row(table, (row.level, *sizes))
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
    print_lines(console, notes)


def _measured(crossings: Sequence[tuple[Series, Crossing]]) -> Table:
    opening, right = "measured min RMSE: target reached at", ("value", "95 % interval", "runs")
    table = new_table((opening, *right, ""), right, folded=(opening,))
    for series, found in crossings:
        ends = f"[{number(found.low)}, {number(found.high)}]"
        beyond = Text("extrapolated" if found.extrapolated else "", style="yellow")
        runs = f"{found.points}×{found.seeds}"
        add_row(table, (_name(series), number(found.value), ends, runs, beyond))
    return table


def _name(series: Series) -> str:
    arm = ", ".join(f"{name} = {value}" for name, value in series.arm)
    axis = "τ" if series.axis == "tau" else series.axis
    return f"{axis} ({arm})" if arm else axis


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}".replace(",", " ")
