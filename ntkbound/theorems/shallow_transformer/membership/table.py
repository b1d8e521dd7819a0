"""What labels require of the class, as a person reads it: against n and m, along the ridges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ntkbound.report.tables import Table, number, print_lines, print_table, print_text

if TYPE_CHECKING:
    from ntkbound.theorems.shallow_transformer.membership.requirements import Requirements
    from ntkbound.theorems.shallow_transformer.membership.verdict import (
        MembershipVerdict,
        Requirement,
    )

STYLES = {"inside": "green", "outside": "bold red", "inconclusive": "yellow"}


def print_membership(
    console: Console,
    title: str,
    found: Requirements,
    verdict: MembershipVerdict,
    *,
    notes: bool = True,
) -> None:
    """One line per (m, n), then per ridge: medians over the seeds."""
    print_text(console, title, style="bold")
    first = found.at_first_ridge()
    blocks = [f"ν_{block}" for block in verdict.nu]
    names = ("norm", *(f"nu_{block}" for block in verdict.nu), "residual")
    titles = ("m", "n", "seeds", "‖Δ‖", *blocks, "residual")
    table = Table(titles, right=titles)
    for (m, n), rows in _grouped(first, lambda row: (row.m, row.n)).items():
        table.add_row((str(m), str(n), str(len(rows)), *_medians(rows, names)))
    print_table(console, table)
    if len(found.ridges) > 1:
        console.print()
        titles = ("ridge", "‖Δ‖", "RKHS norm", *blocks, "residual")
        table = Table(titles, right=titles)
        largest = max((row.m, row.n) for row in found.rows)
        last = [row for row in found.rows if (row.m, row.n) == largest]
        for ridge, rows in _grouped(last, lambda row: row.ridge).items():
            table.add_row((f"{ridge:g}", *_medians(rows, ("norm", "rkhs_norm", *names[1:]))))
        print_table(console, table)
    if notes:
        print_lines(console, found.notes)
    opening = "inconclusive: " if verdict.verdict == "inconclusive" else ""
    print_text(console, opening + verdict.reason, style=STYLES[verdict.verdict])


def _grouped(
    rows: Sequence[Requirement], key: Callable[[Requirement], Any]
) -> dict[Any, list[Requirement]]:
    groups: dict[Any, list[Requirement]] = {}
    for row in sorted(rows, key=key):
        groups.setdefault(key(row), []).append(row)
    return groups


def _medians(rows: Sequence[Requirement], names: Sequence[str]) -> list[str]:
    measured = [row.as_json() for row in rows]
    return [number(median(one[name] for one in measured)) for name in names]
