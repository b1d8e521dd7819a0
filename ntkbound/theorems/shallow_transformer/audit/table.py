"""The proof audit as two tables: every link with its two sides, and where the slack goes."""

from __future__ import annotations

import math

from rich.console import Console

from ntkbound.report.tables import (
    Table,
    number,
    percent,
    print_lines,
    print_table,
    print_text,
    verdict,
)
from ntkbound.theorems.shallow_transformer.audit.audited import Audited
from ntkbound.theorems.shallow_transformer.show import title


def print_audit(console: Console, found: Audited, *, notes: bool = True) -> None:
    """Links first, then the factors of bound/measured, then the notes where they are wanted."""
    print_text(console, title(found.config.model_dump()), style="bold")
    right = ("left", "right", "factor", "lowest", "highest")
    table = Table(("", "link", *right, "verdict"), right)
    reasons: dict[str, list[str]] = {}
    for link in found.audit.links:
        defined = link.left is not None and link.right is not None
        factors = (link.factor, link.factor_low, link.factor_high)
        told = [_factor(value) if defined else "–" for value in factors]
        sides = (number(link.left), number(link.right))
        table.add_row((link.step, link.name, *sides, *told, verdict(link.verdict)))
        if link.reason:
            reasons.setdefault(link.reason, []).append(link.name)
    print_table(console, table)
    if found.audit.shares:
        console.print()
        _print_shares(console, found)
    causes = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    if notes:
        print_lines(console, [*causes, *found.audit.notes])


def _print_shares(console: Console, found: Audited) -> None:
    shares = found.audit.shares
    right = ("RMSE so far", "factor", "of log slack")
    table = Table(("", "where bound/measured goes", *right), right)
    measured = math.sqrt(found.audit.min_mse)
    table.add_row(("", "measured √min R̂", number(measured), "", ""))
    for row in shares:
        part = "–" if row.share is None else percent(row.share)
        table.add_row((row.step, row.statement, number(row.reached), f"{row.factor:.4g}×", part))
    product = math.prod(row.factor for row in shares)
    last = ("", "bound", number(found.audit.bound), f"{product:.4g}×", "100.0%")
    table.add_row(last, style="bold")
    print_table(console, table)


def _factor(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}×"
