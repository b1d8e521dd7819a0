"""Sections on single runs: the terms that bounds are made of, and where bounds are closest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ntkbound.core.outcome import Certificate, Check
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.report.html.material import Material
from ntkbound.report.html.page import (
    Block,
    Cell,
    Fold,
    Gallery,
    Grid,
    Lines,
    Section,
    columns,
    numeral,
    word,
)
from ntkbound.report.html.pictures import Pictures
from ntkbound.studies.study import Line, Panel, Role

MOST_TERMS = 6  # of one theorem that are drawn
MOST_NOTES = 50

Groups = Mapping[float | None, Sequence[Record]]
Numbers = Callable[[Sequence[Record]], Sequence[float]]


def decomposition(material: Material, pictures: Pictures) -> Section:
    """Every certificate beside what it bounds, by its level, and every number kept as a bound."""
    blocks: list[Block] = []
    for name, records in material.parts.items():
        rows = [row for record in records for row in record.certificates]
        levels = list(dict.fromkeys(row.level for row in rows))
        terms = list(dict.fromkeys(row.term for row in rows))
        if terms:
            header = columns("term", *levels, "measured", numeric=(*levels, "measured"))
            found = [_term_row(name, term, levels, records) for term in terms]
            blocks.append(Grid(f"Certificates of {name}: medians over runs", header, found))
        blocks += _kept_bounds(name, records)
        panels = (_term_panel(material, name, term, levels) for term in terms[:MOST_TERMS])
        drawn = pictures.of_panels([panel for panel in panels if panel is not None])
        blocks += [Gallery(drawn)] if drawn else []
    lead = (
        "What the bounds are made of. A certificate is a bound with how it is known: its level "
        "says what it may know of the run. In parentheses: an estimate, which proves nothing."
    )
    nothing = [Lines(["No certificate and no term of a bound is recorded."])]
    return Section("decomposition", "Decomposition", lead, blocks or nothing)


def worst_cases(material: Material) -> Section:
    """Of every bound the run that comes closest to it, or lies farthest above."""
    closest: dict[tuple[str, Key, int], tuple[Check, Record]] = {}
    for record in material.records:
        seen: Counter[Key] = Counter()
        for row in record.checks:
            seen[row.key] += 1
            if row.slack is None:
                continue
            place = (record.theorem, row.key, seen[row.key])
            before = closest.get(place)
            if before is None or (row.slack, record.id) < (before[0].slack, before[1].id):
                closest[place] = (row, record)
    rows = [
        [
            word(check.verdict),
            Cell(f"{check.key}{f' (bound {nth})' if nth > 1 else ''}"),
            numeral(check.measured),
            numeral(check.bound),
            numeral(check.slack, f"{check.slack:.3g}×"),
            Cell(material.told(record) or "–"),
            Cell(record.id),
        ]
        for (_, _, nth), (check, record) in closest.items()
    ]
    header = columns(
        "verdict", "bound on", "measured", "bound", "slack", "where", "run",
        numeric=("measured", "bound", "slack"),
    )  # fmt: skip
    blocks: list[Block] = [Grid("The closest run of every bound", header, rows)] if rows else []
    notes = dict.fromkeys(note for record in material.records for note in record.notes)
    counts = {note: sum(note in record.notes for record in material.records) for note in notes}
    most = sorted(counts, key=lambda note: -counts[note])[:MOST_NOTES]
    told = [[Cell(note), numeral(float(counts[note]), str(counts[note]))] for note in most]
    if told:
        left = len(counts) - len(most)
        note = f"… and {left} more" if left else ""
        header = columns("note", "runs", numeric=("runs",))
        title = "What runs note about themselves"
        blocks.append(Fold(title, [Grid(title, header, told, note)]))
    lead = "Of every bound, the run in which the measured number comes closest to it."
    nothing = [Lines(["No run has a number beside a bound."])]
    return Section("worst", "Worst cases", lead, blocks or nothing)


def _term_row(name: str, term: str, levels: Sequence[str], records: Sequence[Record]) -> list[Cell]:
    cells = [Cell(term)]
    for level in levels:
        own = _certified(records, term, level)
        value = _median([row.value for row in own])
        told = "–" if value is None else f"{value:.3g}"
        proved = all(row.proved for row in own)
        cells.append(numeral(value, told if proved else f"({told})"))
    return [*cells, numeral(_median(_measured(name, term, records)))]


def _kept_bounds(name: str, records: Sequence[Record]) -> list[Block]:
    """The numbers that records keep as their bounds, over all runs."""
    rows = []
    for term in dict.fromkeys(term for record in records for term in record.bounds):
        found = (record.bounds.get(term) for record in records)
        values = [value for value in found if value is not None]
        without = len(records) - len(values)
        ends = (min(values, default=None), _median(values), max(values, default=None))
        count = numeral(float(without), str(without))
        rows.append([Cell(term), *(numeral(end) for end in ends), count])
    titles = ("least", "median", "largest", "runs without")
    header = columns("term", *titles, numeric=titles)
    return [Grid(f"Bounds of {name}: over runs", header, rows)] if rows else []


def _term_panel(material: Material, name: str, term: str, levels: Sequence[str]) -> Panel | None:
    """Measured, and the levels above it, along the axis; None where there is no line."""
    groups = material.groups(name)
    lines = [_line("measured", groups, lambda own: _measured(name, term, own))]
    for level in levels:

        def values(own: Sequence[Record], level: str = level) -> list[float]:
            return [row.value for row in _certified(own, term, level)]

        lines.append(_line(level, groups, values, "upper"))
    kept = [line for line in lines if len(line.x) > 1]
    if not kept:
        return None
    first = replace(kept[0], role="measured")  # of a term that nobody measures, its loosest level
    return Panel(term, material.axis(name), term, [first, *kept[1:]])


def _line(label: str, groups: Groups, numbers: Numbers, role: Role = "measured") -> Line:
    """The medians at those places that have one."""
    medians = {x: _median(numbers(own)) for x, own in groups.items() if x is not None}
    found = {x: value for x, value in medians.items() if value is not None}
    return Line(label, list(found), list(found.values()), role=role)


def _certified(records: Sequence[Record], term: str, level: str) -> list[Certificate]:
    every = (row for record in records for row in record.certificates)
    return [row for row in every if row.term == term and row.level == level]


def _measured(name: str, term: str, records: Sequence[Record]) -> list[float]:
    """What a certificate is compared with: the first such number that a run has."""
    theorem = known(name)
    wanted = () if theorem is None else theorem.certified.get(term, ())
    found = []
    for record in records:
        numbers = (record.number(quantity.key) for quantity in wanted)
        first = next((number for number in numbers if number is not None), None)
        found += [] if first is None else [first]
    return found


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None
