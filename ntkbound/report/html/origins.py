"""Sections on where numbers are from: conditions, configs, versions, machines; and the words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ntkbound.core.glossary import EXIT_CODES, TERMS, VERDICTS
from ntkbound.core.record import Record
from ntkbound.core.registry import known, origin
from ntkbound.report.html.material import Material
from ntkbound.report.html.page import (
    Block,
    Cell,
    Fold,
    Grid,
    Lines,
    Section,
    columns,
    numeral,
    sortable,
    texts,
    word,
)

MOST_RECORDS = 2000  # listed one by one
MOST_VALUES = 12  # of one field, named one by one
LONGEST = 200  # characters of one value


def assumptions(material: Material) -> Section:
    """Of every condition of a theorem, in how many runs it is met, and which claims need it."""
    blocks: list[Block] = []
    for name, records in material.parts.items():
        theorem = known(name)
        needed: dict[str, list[str]] = {}
        for fit in material.result.claimed:
            if theorem is not None and fit.claim is not None:
                for condition in theorem.needs(fit.claim):
                    needed.setdefault(condition, []).append(fit.claim.title)
        rows = []
        for condition in dict.fromkeys(c for record in records for c in record.conditions):
            told = [r.conditions[condition] for r in records if condition in r.conditions]
            counts = (told.count(True), told.count(False), told.count(None))
            about = "; ".join(dict.fromkeys(needed.get(condition, ()))) or "–"
            numbers = (numeral(float(count), str(count)) for count in counts)
            rows.append([Cell(condition), *numbers, Cell(about)])
        titles = ("met", "not met", "unknown")
        header = columns("condition", *titles, "needed by", numeric=titles)
        blocks += [Grid(f"Conditions of {name}: runs", header, rows)] if rows else []
    lead = (
        "What a theorem assumes, and in how many runs it was so. A claim speaks about the runs "
        "that meet its conditions; what is not known to be met counts as not met."
    )
    nothing = [Lines(["These runs record no conditions."])]
    return Section("assumptions", "Assumptions", lead, blocks or nothing)


def provenance(material: Material) -> Section:
    """Theorems, config, environment, and every record by its id."""
    theorems = []
    for name, records in material.parts.items():
        theorem = known(name)
        versions = ", ".join(sorted({str(record.version) for record in records}))
        source, where = ("–", "–") if theorem is None else (theorem.source, origin(theorem))
        runs = numeral(float(len(records)), str(len(records)))
        theorems.append([Cell(name), *texts(versions, source, where), runs])
    header = columns("theorem", "version", "stands in", "comes from", "runs", numeric=("runs",))
    varying = material.varying
    blocks: list[Block] = [Grid("Theorems", header, theorems)]
    fields = material.fields
    blocks.append(_values("Config: what varies", {name: fields[name] for name in varying}))
    shared = {name: counts for name, counts in fields.items() if name not in varying}
    same = _values("Config: what all runs share", shared)
    blocks.append(Fold("Config: what all runs share", [same]))
    blocks.append(_values("Environment", _counted([r.environment for r in material.records])))
    files: list[Mapping[str, object]] = [_hashes(record) for record in material.records]
    hashes = _counted(files)
    blocks += [_values("Data and code (SHA-256)", hashes)] if hashes else []
    blocks.append(Fold("Records, one by one", [_listed(material)]))
    lead = "Enough to find every run again, and to run it again."
    return Section("provenance", "Provenance", lead, blocks)


def glossary(material: Material) -> Section:
    """Every word on the page with its one meaning."""
    verdicts = [
        [word(name), Cell(str(EXIT_CODES[v.effect])), *texts(v.meaning, v.advice or "–")]
        for name, v in VERDICTS.items()
    ]
    header = columns("verdict", "exit code", "meaning", "what to do", numeric=("exit code",))
    terms = [texts(name, meaning) for name, meaning in TERMS.items()]
    blocks = [Grid("Verdicts", header, verdicts), Grid("Terms", columns("term", "meaning"), terms)]
    return Section("glossary", "Glossary", "Every word has one meaning.", blocks)


def _listed(material: Material) -> Grid:
    """The records with what varies of their config; what became of their bounds."""
    varying = material.varying
    rows = []
    for record in material.records[:MOST_RECORDS]:
        config = material.configs[record.id]
        values = [_value(config.get(name)) for name in varying]
        rows.append([Cell(record.id), *values, Cell(record.told)])
    left = len(material.records) - len(rows)
    numeric = [name for place, name in enumerate(varying)
               if all(row[1 + place].order is not None for row in rows)]  # fmt: skip
    header = columns("record", *varying, "bounds", numeric=numeric)
    return Grid("Records", header, rows, f"… and {left} more" if left else "")


def _value(value: object) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return numeral(float(value), f"{value:.6g}" if isinstance(value, float) else str(value))
    return Cell(_told(value))


def _values(caption: str, fields: Mapping[str, Mapping[str, int]]) -> Grid:
    """Of each field its values, and how many runs have each where there are several."""
    rows = []
    for name, counts in fields.items():
        values = sorted(counts, key=_natural)
        told = f"{values[0]} … {values[-1]} ({len(values)} values)"
        if len(values) == 1:
            told = values[0]
        elif len(values) <= MOST_VALUES:
            told = ", ".join(f"{v} ({counts[v]})" if counts[v] > 1 else v for v in values)
        rows.append([Cell(name), Cell(told)])
    return Grid(caption, columns("field", "values (runs)"), rows)


def _counted(mappings: Sequence[Mapping[str, object]]) -> dict[str, dict[str, int]]:
    """Name → its values as text, each with how often it occurs; sorted."""
    found: dict[str, dict[str, int]] = {}
    for mapping in mappings:
        for name, value in mapping.items():
            counts = found.setdefault(name, {})
            counts[_told(value)] = counts.get(_told(value), 0) + 1
    return dict(sorted(found.items()))


def _natural(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, then words."""
    order = sortable(text).order
    return (order is None, order or 0.0, text)


def _hashes(record: Record) -> dict[str, object]:
    data = {} if record.data_sha256 is None else {"data": record.data_sha256}
    return {**data, **{f"code: {name}": digest for name, digest in record.code.items()}}


def _told(value: object) -> str:
    """A value of a config or an environment as text that has room in a cell."""
    if value is None or value == []:
        return "–"
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}…"
