"""What changed between two sets of runs: on the terminal, in Markdown and as a JUnit case."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.text import Text

from ntkbound.report.rates_table import markdown_table
from ntkbound.report.tables import Table, number, print_lines, print_table, print_text
from ntkbound.stats.bounds import BoundVerdict

if TYPE_CHECKING:
    from ntkbound.stats.changes import Changes, VerdictChange
    from ntkbound.stats.matching import FieldChange, Run
    from ntkbound.stats.moved import Moved
    from ntkbound.stats.verdicts import Verdict

NAMED = 5  # runs, and arms, named one by one
VERDICTS = ("of", "what", "old", "new", "old estimate", "new estimate")
NUMBERS = ("number", "changed", "median ratio", "largest change", "shift over seeds", "arms")
RUN = "run of the largest"  # in Markdown alone: a terminal is too narrow
RIGHT = ("changed", "median ratio")


def print_changes(console: Console, changes: Changes) -> None:
    """What changed, what may explain it, and the count of all, last."""
    print_lines(console, _lines(changes))
    numbers = [_number_cells(one) for one in changes.moved]
    for titles, rows in ((VERDICTS, _verdict_rows(changes)), (NUMBERS, numbers)):
        table = Table(titles, RIGHT, folded=titles, dense=True)
        for row in rows:
            table.add_row(row)
        if rows:
            print_table(console, table)
    style = "yellow" if changes.found else "green"
    print_text(console, Text(f"{counts(changes)}: ") + Text(outcome(changes), style=style))


def as_markdown(changes: Changes) -> str:
    """The same, under a heading of its own; text from files is escaped."""
    parts = [f"## ntkbound: {outcome(changes)}\n\n{counts(changes)}.\n\n"]
    parts += [f"- {_escaped(line)}\n" for line in _lines(changes)]
    numbers = [[*_number_cells(one), _run(one)] for one in changes.moved]
    for titles, rows in ((VERDICTS, _verdict_rows(changes)), ((*NUMBERS, RUN), numbers)):
        if rows:
            escaped = [[_escaped(cell) for cell in row] for row in rows]
            parts += ["\n", markdown_table(titles, escaped)]
    return "".join(parts)


def as_case(changes: Changes) -> ET.Element:
    """A test case that fails where something changed."""
    case = ET.Element("testcase", classname="baseline", name="changes")
    if changes.found:
        ET.SubElement(case, "failure", message=f"{outcome(changes)}: {counts(changes)}")
    return case


def outcome(changes: Changes) -> str:
    return "changed" if changes.found else "no change"


def counts(changes: Changes) -> str:
    """ "25 runs on both sides; 1 field changed; 2 of 3 numbers changed, 1 more not to the bit"."""
    fields = sum(field.counts for field in changes.fields)
    parts = [f"{_many(changes.runs, 'run')} on both sides"]
    for side, runs in (("old", changes.only_old), ("new", changes.only_new)):
        parts += [f"{_many(len(runs), 'run')} on the {side} side alone"] * bool(runs)
    parts += [f"{_many(fields, 'field')} changed"] * bool(fields)
    parts += [f"{_many(len(changes.verdicts), 'verdict')} changed"] * bool(changes.verdicts)
    bits = len(changes.other_bits)
    within = f", {bits} more not equal to the bit" if bits else ""
    moved = f"{len(changes.moved)} of {_many(len(changes.numbers), 'number')} changed"
    return "; ".join([*parts, f"{moved} beyond {changes.tolerance:g}{within}"])


def _lines(changes: Changes) -> list[str]:
    """Runs of one side, and fields, in words."""
    lines = [*_alone("old", changes.only_old), *_alone("new", changes.only_new)]
    lines += [_field(change) for change in changes.fields if change.counts]
    lines += [_field(change) for change in changes.fields if not change.counts]
    return lines


def _alone(side: str, runs: Sequence[Run]) -> list[str]:
    lines = [
        f"only on the {side} side: {_plain(run.id)} ({_pairs(run.fields.items())})"
        for run in runs[:NAMED]
    ]
    if len(runs) > NAMED:
        lines.append(f"only on the {side} side: {len(runs) - NAMED} more")
    return lines


def _field(change: FieldChange) -> str:
    name = change.what if change.what in (change.field, "") else f"{change.what} {change.field}"
    where = f"{change.theorem}, " if change.theorem else ""
    values = "; ".join(f"{_value(a)} → {_value(b)}" for a, b in change.values)
    if change.only is not None:
        one = 0 if change.only == "old" else 1
        own = ", ".join(dict.fromkeys(_value(pair[one]) for pair in change.values))
        values = f"only on the {change.only} side, {own}"
    told = f"{name}: {values} ({where}{_many(change.runs, 'run')}"
    return _plain(f"{told}, {change.example})" if change.counts else f"{told}; not counted)")


def _verdict_rows(changes: Changes) -> list[list[str]]:
    return [
        [
            "claim" if change.is_claim else "bound",
            _plain(_subject(change)),
            "–" if change.old is None else change.old.verdict,
            "–" if change.new is None else change.new.verdict,
            _estimate(change.old),
            _estimate(change.new),
        ]
        for change in changes.verdicts
    ]


def _subject(change: VerdictChange) -> str:
    told = change.row.as_json()
    axis = f" against {told['axis']}" if change.is_claim else ""
    where = _pairs(told.get("where", {}).items())
    return f"{change.row.key}{axis}{f' at {where}' if where else ''}"


def _estimate(side: Verdict | BoundVerdict | None) -> str:
    """Estimate and interval of a claim, as its form tells them; slack of a bound."""
    if isinstance(side, BoundVerdict):
        return "–" if side.slack is None else f"slack {number(side.slack)}×"
    return "–" if side is None else side.told or "–"


def _number_cells(one: Moved) -> list[str]:
    return [
        _plain(_name(one)),
        f"{one.changed} of {one.runs}{_one_sided(one)}",
        _ratio(one.ratio),
        _largest(one),
        _drift(one),
        _plain(_arms(one)),
    ]


def _name(one: Moved) -> str:
    if one.name.kind == "measured":
        return str(one.key)
    return f"bound {one.name.place + 1} on {one.key}"


def _one_sided(one: Moved) -> str:
    parts = [f"{one.gone} gone"] * bool(one.gone) + [f"{one.added} new"] * bool(one.added)
    return f", {', '.join(parts)}" if parts else ""


def _ratio(ratio: float | None) -> str:
    """Six digits beside 1, so that a small change shows."""
    return "–" if ratio is None else f"×{ratio:.6g}"


def _largest(one: Moved) -> str:
    most = one.largest
    if most is None:
        return "–"
    ratio = f", {_ratio(most.new / most.old)}" if most.old else ""
    return f"{most.old:.6g} → {most.new:.6g}{ratio}"


def _run(one: Moved) -> str:
    return "–" if one.largest is None else _plain(one.largest.run)


def _drift(one: Moved) -> str:
    drift = one.drift
    if drift is None:
        return "one seed"
    if not drift.found:
        return f"none found (p = {drift.p:.2g})"
    low, high = (f"{100 * end:+.3g}" for end in (drift.low, drift.high))
    return f"{100 * drift.shift:+.3g} % [{low}, {high}]"


def _arms(one: Moved) -> str:
    """Where it changed: all arms, or the first few of them."""
    changed = [arm for arm in one.arms if (arm.changed if one.changed else arm.differ)]
    if len(changed) == len(one.arms):
        return f"all {_many(len(changed), 'arm')}" if len(changed) > 1 else "all runs"
    told = "; ".join(
        f"{', '.join(f'{name}={value}' for name, value in arm.arm)} ({_ratio(arm.ratio)})"
        for arm in changed[:NAMED]
    )
    return told + (f"; {len(changed) - NAMED} more" if len(changed) > NAMED else "") or "–"


def _pairs(items: Iterable[tuple[str, object]]) -> str:
    return _plain(", ".join(f"{name}={value}" for name, value in items))


def _value(value: object) -> str:
    return "none" if value is None else str(value)


def _many(count: int, word: str, words: str = "") -> str:
    return f"{count} {word if count == 1 else words or f'{word}s'}"


def _plain(text: str) -> str:
    """One line without characters that a terminal or XML would act on."""
    return "".join(ch if ch.isprintable() else " " for ch in text)


def _escaped(text: str) -> str:
    """Text in Markdown: no tag, and no link."""
    return html.escape(text, quote=False).replace("](", r"]\(")
