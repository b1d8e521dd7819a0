"""Many records, one line each: what tells them apart, their headline numbers, their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ntkbound.core.glossary import VERDICTS, Effect
from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.report.tables import STYLES, Table, number, print_table

WORST: Sequence[Effect] = ("refutes", "undecided", "untested", "agrees")


def print_runs(console: Console, records: Sequence[Record]) -> None:
    """A table per theorem. Numbers that a narrow terminal has no room for go first, the last of
    them before the others, then fields."""
    for theorem in dict.fromkeys(record.theorem for record in records):
        print_table(console, _table([one for one in records if one.theorem == theorem]))


def _table(records: Sequence[Record]) -> Table:
    fields = _varying(records)
    theorem = known(records[0].theorem)
    declared = () if theorem is None else theorem.quantities
    measured = [
        one for one in declared if one.headline and any(r.number(one.key) is not None
                                                        for r in records)
    ]  # fmt: skip
    numbers = [str(one.key) for one in measured]
    titles = ("run", *fields, *numbers, "verdicts")
    left_out_first = (*reversed(numbers), *reversed(fields))
    table = Table(titles, numbers, optional=left_out_first)
    for one in records:
        values = [number(one.number(quantity.key)) for quantity in measured]
        table.add_row(
            (one.id, *(_told(one.config.get(f)) for f in fields), *values, _verdicts(one))
        )
    return table


def _varying(records: Sequence[Record]) -> list[str]:
    """The config fields that tell the runs apart, seeds last: each separates runs that those before
    it do not, so that nothing is said twice."""
    names = dict.fromkeys(name for one in records for name in one.config)
    kept: list[str] = []
    groups = 1
    for name in sorted(names, key=lambda name: name.endswith("seed")):
        seen = {tuple(_told(one.config.get(field)) for field in (*kept, name)) for one in records}
        if len(seen) > groups:
            kept.append(name)
            groups = len(seen)
    return kept


def _told(value: Any) -> str:
    """A value of a config field; one number where all blocks share it."""
    if isinstance(value, dict):
        if len(set(value.values())) == 1:
            return _told(next(iter(value.values())))
        return ", ".join(f"{block} {_told(one)}" for block, one in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return "–" if value is None else str(value)


def _verdicts(record: Record) -> Text:
    """How many of its bounds came out how, in the colour of the worst."""
    effects = {VERDICTS[check.verdict].effect for check in record.checks}
    worst: Effect = next((effect for effect in WORST if effect in effects), "untested")
    told = record.told if record.complete else f"{record.status}; {record.told}"
    return Text(told, style=STYLES[worst])
