"""The planner's answer: one row per level of bound, and what was measured beside them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ntkbound.report.tables import Table, number, print_lines, print_table, print_text
from ntkbound.stats import Crossing, Series
from ntkbound.theorems.shallow_transformer.plan.inversion import Plan


def print_plan(
    console: Console,
    title: str,
    plans: Sequence[Plan],
    crossings: Sequence[tuple[Series, Crossing]],
    *,
    notes: bool = True,
) -> None:
    """Guarantees first, then the crossings of fitted power laws, then, where ``notes`` are wanted,
    why something is missing."""
    print_text(console, title, style="bold")
    right = ("m", "τ", "guaranteed RMSE", "fewest m (any τ)")
    table = Table(("level", *right), right)
    for row in plans:
        sizes = (_count(row.m), _count(row.tau), number(row.rmse), _count(row.fewest_heads))
        table.add_row((row.level, *sizes))
    print_table(console, table)
    told = [f"{row.level}: {row.reason}" for row in plans if row.reason]
    if crossings:
        console.print()
        print_table(console, _measured(crossings))
        for series, found in crossings:
            if found.reason:
                told.append(f"measured along {_name(series)}: {found.reason}")
        if any(found.extrapolated for _, found in crossings):
            told.append("extrapolated: outside the measured range there may be a floor")
    if notes:
        print_lines(console, told)


def _measured(crossings: Sequence[tuple[Series, Crossing]]) -> Table:
    opening, right = "measured min RMSE: target reached at", ("value", "95 % interval", "runs")
    table = Table((opening, *right, ""), right, folded=(opening,))
    for series, found in crossings:
        ends = f"[{number(found.low)}, {number(found.high)}]"
        beyond = Text("extrapolated" if found.extrapolated else "", style="yellow")
        runs = f"{found.points}×{found.seeds}"
        table.add_row((_name(series), number(found.value), ends, runs, beyond))
    return table


def _name(series: Series) -> str:
    arm = ", ".join(f"{name} = {value}" for name, value in series.arm)
    axis = "τ" if series.axis == "tau" else series.axis
    return f"{axis} ({arm})" if arm else axis


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}".replace(",", " ")
