"""A theorem as a page: where it stands, what it says, what is measured, claimed, and may fail."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ntkbound.core.claim import Claim, fields_told
from ntkbound.core.registry import origin
from ntkbound.core.theorem import Theorem
from ntkbound.report.tables import add_row, new_table, print_lines


def print_theorem(console: Console, theorem: Theorem) -> None:
    """The page, in the order in which it is read."""
    console.print(Text(theorem.name, style="bold") + f" version {theorem.version}")
    console.print(Text(theorem.source))
    console.print(Text(f"from {origin(theorem)}", style="dim"))
    if theorem.statement.strip():
        console.print(Text(f"\n{theorem.statement.strip()}\n"))
    measured = new_table(("measured", "as", ""), folded=("measured", "as"))
    for quantity in theorem.quantities:
        label = quantity.label if quantity.label != str(quantity.key) else ""
        add_row(measured, (str(quantity.key), label, "some runs" if quantity.optional else ""))
    console.print(measured)
    claimed = new_table(("claim", "says", "status"), folded=("claim", "says"))
    for claim in theorem.claims:
        add_row(claimed, (claim.title, _said(claim), _status(claim)))
    if theorem.claims:
        console.print(claimed)
    print_lines(console, _ways(theorem))


def as_json(theorem: Theorem) -> dict[str, object]:
    """The page for programs."""
    return {
        "name": theorem.name,
        "source": theorem.source,
        "version": theorem.version,
        "origin": origin(theorem),
        "statement": theorem.statement,
        "fields": sorted(theorem.config.model_fields),
        "quantities": [
            {**one.key._asdict(), "label": one.label, "optional": one.optional}
            for one in theorem.quantities
        ],
        "claims": [claim.model_dump(mode="json") for claim in theorem.claims],
        "commands": [command.name for command in theorem.commands],
        "presets": list(theorem.presets),
    }


def _said(claim: Claim) -> str:
    """Its form in words, and which runs it is about."""
    return f"{claim.said}; at {fields_told(claim.where)}" if claim.where else claim.said


def _status(claim: Claim) -> str:
    """A claim that is expected to fail says why."""
    return f"refuted: {claim.reason}" if claim.status == "refuted" else claim.status


def _ways(theorem: Theorem) -> list[str]:
    """What to do with it."""
    ways = [f"its options: ntkbound train --theorem {_reference(theorem)} --help"]
    if theorem.presets:
        names = ", ".join(theorem.presets)
        ways.append(f"presets: {names}; ntkbound check --theorem {_reference(theorem)} runs smoke")
    ways += [f"{command.name}: {command.example}" for command in theorem.commands]
    return ways


def _reference(theorem: Theorem) -> str:
    """As ``--theorem`` takes it."""
    return theorem.name if theorem.file is None else theorem.file.path.name
