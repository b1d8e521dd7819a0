"""The proof audit as two tables: every link with its two sides, and where the slack goes."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntkbound.report.run_table import headline, number, verdict
from ntkbound.theorems.shallow_transformer.audit.audited import Audited


def print_audit(console: Console, found: Audited) -> None:
    """Links first, then the factors of bound/measured, then the notes."""
    console.print(headline(found.config.model_dump()), style="bold", highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "link"):
        table.add_column(name, no_wrap=True)
    for name in ("left", "right", "factor", "lowest", "highest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    reasons: dict[str, list[str]] = {}
    for link in found.audit.links:
        defined = link.left is not None and link.right is not None
        factors = (link.factor, link.factor_low, link.factor_high)
        table.add_row(
            link.step, link.name, number(link.left), number(link.right),
            *(_factor(value) if defined else "–" for value in factors), verdict(link.verdict),
        )  # fmt: skip
        if link.reason:
            reasons.setdefault(link.reason, []).append(link.name)
    console.print(table)
    if found.audit.shares:
        console.print()
        _print_shares(console, found)
    told = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    for line in [*told, *found.audit.notes]:
        console.print(Text("  · " + line), highlight=False)


def _print_shares(console: Console, found: Audited) -> None:
    shares, bound = found.audit.shares, found.audit.bound
    assert bound is not None
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("where bound/measured goes", no_wrap=True)
    for name in ("RMSE so far", "factor", "of log slack"):
        table.add_column(name, justify="right", no_wrap=True)
    measured = math.sqrt(found.audit.min_mse)
    table.add_row("", "measured √min R̂", number(measured), "", "")
    for row in shares:
        part = "–" if row.share is None else f"{row.share:.1%}"
        table.add_row(row.step, row.statement, number(row.reached), f"{row.factor:.4g}×", part)
    product = math.prod(row.factor for row in shares)
    table.add_row("", "bound", number(bound), f"{product:.4g}×", "100.0%", style="bold")
    console.print(table)


def _factor(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}×"
