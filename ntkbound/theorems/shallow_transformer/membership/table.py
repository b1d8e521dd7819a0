"""What labels require of the class, as a person reads it: against n and m, along the ridges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntkbound.report.run_table import number

if TYPE_CHECKING:
    from ntkbound.stats import MembershipVerdict
    from ntkbound.theorems.shallow_transformer.membership.requirements import Requirements

STYLES = {"inside": "green", "outside": "bold red", "inconclusive": "yellow"}
Row = Mapping[str, Any]


def print_membership(
    console: Console, title: str, found: Requirements, verdict: MembershipVerdict
) -> None:
    """One line per (m, n), then per ridge: medians over the seeds."""
    console.print(title, style="bold", highlight=False)
    first = found.at_first_ridge()
    blocks = [f"ν_{block}" for block in verdict.nu]
    names = ("norm", *(f"nu_{block}" for block in verdict.nu), "residual")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("m", "n", "seeds", "‖Δ‖", *blocks, "residual"):
        table.add_column(name, justify="right", no_wrap=True)
    for (m, n), rows in _grouped(first, lambda c: (c["m"], c["n"])).items():
        table.add_row(str(m), str(n), str(len(rows)), *_medians(rows, names))
    console.print(table)
    if len(found.ridges) > 1:
        console.print()
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("ridge", "‖Δ‖", "RKHS norm", *blocks, "residual"):
            table.add_column(name, justify="right", no_wrap=True)
        m, n = max((row["config"]["m"], row["config"]["n"]) for row in found.rows)
        last = [row for row in found.rows if (row["config"]["m"], row["config"]["n"]) == (m, n)]
        for ridge, rows in _grouped(last, lambda c: c["ridge"]).items():
            table.add_row(f"{ridge:g}", *_medians(rows, ("norm", "rkhs_norm", *names[1:])))
        console.print(table)
    for note in found.notes:
        console.print(Text("  · " + note), highlight=False)
    opening = "inconclusive: " if verdict.verdict == "inconclusive" else ""
    console.print(Text(opening + verdict.reason, STYLES[verdict.verdict]), highlight=False)


def _grouped(rows: Sequence[Row], key: Callable[[Mapping[str, Any]], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in sorted(rows, key=lambda row: key(row["config"])):
        groups.setdefault(key(row["config"]), []).append(row)
    return groups


def _medians(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    measured = [row["terms"]["membership"]["minimum_norm"] for row in rows]
    return [number(median(one[name] for one in measured)) for name in names]
