"""A theorem as a page: where it stands, what it says, what is measured, claimed, and may fail."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ntkbound.core.claim import Claim, fields_told
from ntkbound.core.registry import origin
from ntkbound.core.theorem import Theorem
from ntkbound.report.tables import Table, print_lines, print_table, print_text


def print_theorem(console: Console, theorem: Theorem, *, notes: bool = True) -> None:
    """The page, in the order in which it is read; what to do with it where ``notes`` are wanted."""
    print_text(console, Text(theorem.name, style="bold") + f" version {theorem.version}")
    print_text(console, theorem.source)
    print_text(console, f"from {origin(theorem)}", style="dim")
    if theorem.statement.strip():
        console.print()
        for line in _paragraphs(theorem.statement.strip()):
            text = line.lstrip()
            print_text(console, text, " " * (len(line) - len(text)))
        console.print()
    measured = Table(("measured", "as", ""), folded=("measured", "as"))
    for quantity in theorem.quantities:
        label = quantity.label if quantity.label != str(quantity.key) else ""
        measured.add_row((str(quantity.key), label, "some runs" if quantity.optional else ""))
    print_table(console, measured)
    claimed = Table(("claim", "says", "status"), folded=("claim", "says", "status"))
    for claim in theorem.claims:
        claimed.add_row((claim.title, _said(claim), _status(claim)))
    if theorem.claims:
        print_table(console, claimed)
    if notes:
        print_lines(console, _ways(theorem))


def _paragraphs(statement: str) -> list[str]:
    """Paragraphs of one line each, which the terminal breaks; indented lines, formulas, stay."""
    told: list[str] = []
    for line in statement.splitlines():
        plain = line.strip() and not line.startswith(" ")
        if plain and told and told[-1] and not told[-1].startswith(" "):
            told[-1] += f" {line}"
        else:
            told.append(line)
    return told


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
