"""One record as a person reads it: the table of checks, then what does not hold for this run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ntkbound.core.outcome import Check, Comparison
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.core.theorem import fields_and_values
from ntkbound.report.tables import Table, number, print_lines, print_table, print_text, verdict

NAMES = ("term", "probe", "statistic")


def print_run(console: Console, record: Record, *, notes: bool = True) -> None:
    """Headline, checks, and where ``notes`` are wanted the theorem's facts, then every reason and
    note of the record.

    Measured numbers stand in for checks where a record has none, or its theorem is not known here.
    """
    theorem = known(record.theorem)
    if theorem is None:
        told = f"{record.theorem}: no such theorem here, numbers are shown by their names alone"
        headline, facts = fields_and_values(record), [told]
    else:
        headline, facts = theorem.headline(record), theorem.facts(record)
    print_text(console, headline, style="bold")
    if record.checks:
        print_table(console, _checks(record.checks))
    more = _measured(record)
    if more.rows and (theorem is None or not record.checks):
        print_table(console, more)
    if notes:
        print_lines(console, [*facts, *_reasons(record), *record.notes])


def _checks(checks: Sequence[Check]) -> Table:
    right = ("measured", "bound", "slack")
    table = Table((*NAMES, *right, "verdict"), right, folded=NAMES)
    previous = ""
    for row in checks:
        numbers = (number(row.measured), number(row.bound), _times(row.slack))
        term = "" if row.term == previous else row.term
        table.add_row((term, row.probe, row.statistic, *numbers, verdict(row.verdict)))
        previous = row.term
    return table


def _times(slack: float | None) -> str:
    return "–" if slack is None else f"{slack:.3g}×"


def _measured(record: Record) -> Table:
    """Every number of the record that no check shows."""
    checked = {row.key for row in record.checks}
    table = Table((*NAMES, "measured"), ("measured",), folded=NAMES)
    previous = ""
    for key, value in _numbers(record.terms):
        if key not in checked:
            term = "" if key.term == previous else key.term
            told = str(value) if isinstance(value, int) else number(value)
            table.add_row((term, key.probe, key.statistic, told))
            previous = key.term
    return table


def _numbers(terms: Mapping[str, Any]) -> Iterator[tuple[Key, float | None]]:
    for term, probes in terms.items():
        for probe, statistics in probes.items():
            for statistic, value in statistics.items():
                yield Key(term, probe, statistic), value


def _reasons(record: Record) -> list[str]:
    """Every reason of the checks once, with the terms it is about; the notes tell theirs."""
    terms: dict[str, dict[str, None]] = {}  # reason → its terms, in order
    for row in record.checks:
        if row.reason and row.reason not in record.notes:
            terms.setdefault(row.reason, {})[row.term] = None
    return [f"{', '.join(names)}: {reason}" for reason, names in terms.items()]


def print_levels(console: Console, record: Record) -> None:
    """Every certificate, a row per term and a column per level; the last column is measured.

    What is not proved is in parentheses.
    """
    if not record.certificates:
        return
    theorem = known(record.theorem)
    certified = {} if theorem is None else theorem.certified
    texts = {
        (row.term, row.level): number(row.value) if row.proved else f"({number(row.value)})"
        for row in record.certificates
    }
    levels = tuple(dict.fromkeys(row.level for row in record.certificates))
    right = (*levels, "measured")
    table = Table(("proved bound", *right), right, folded=("proved bound",))
    for term in dict.fromkeys([*certified, *(row.term for row in record.certificates)]):
        found = (record.number(quantity.key) for quantity in certified.get(term, ()))
        measured = next((value for value in found if value is not None), None)
        cells = [texts.get((term, level), "–") for level in levels]
        table.add_row((term, *cells, number(measured)))
    console.print()
    print_table(console, table)


def print_verification(
    console: Console, found: Mapping[str, Sequence[Comparison]], lost: int = 0
) -> None:
    """What ``verify`` recomputed, beside what the record of this id says, and how much agrees. Of
    several records a line each, the numbers that differ, and the count of all, with those that
    were ``lost``: which could not be recomputed."""
    several = len(found) + lost > 1
    for identifier, rows in found.items():
        agree = sum(row.agrees for row in rows)
        told = f"{agree} of {len(rows)} numbers agree"
        style = "green" if agree == len(rows) else "bold red"
        if not several:
            print_text(console, identifier, style="bold")
            _print_comparisons(console, rows)
            print_text(console, told, style=style)
        else:
            print_text(console, Text(f"{identifier}: ") + Text(told, style=style))
            _print_comparisons(console, [row for row in rows if not row.agrees])
    if several:
        whole = sum(all(row.agrees for row in rows) for rows in found.values())
        style = "green" if whole == len(found) else "bold red"
        told = f"{whole} of {len(found)} records agree in all numbers"
        more = f"; {lost} could not be verified" if lost else ""
        print_text(console, Text(told, style=style) + Text(more, style="yellow"))


def _print_comparisons(console: Console, rows: Sequence[Comparison]) -> None:
    if not rows:
        return
    right = ("recorded", "recomputed", "difference")
    table = Table(("quantity", *right, ""), right, folded=("quantity",))
    for row in rows:
        numbers = (f"{row.recorded:.8g}", f"{row.recomputed:.8g}", f"{row.difference:.1e}")
        agrees = Text("agrees", style="green") if row.agrees else Text("differs", style="bold red")
        table.add_row((row.quantity, *numbers, agrees))
    print_table(console, table)
