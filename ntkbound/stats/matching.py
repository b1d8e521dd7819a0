"""Which run of one table is a run of another? By theorem and config, never by id or folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.stats.columns import Mask, Part, Rows, Table

Side = Literal["old", "new"]
What = Literal["config", "data", "status", "condition", "version", "environment"]

TOLD_ONLY: frozenset[What] = frozenset({"version", "environment"})  # explains changes, is none
EXAMPLES = 4  # values of one field that are kept


@dataclass(frozen=True)
class Run:
    """A run of one side alone: its id there, and the fields that tell it from others."""

    id: str
    theorem: str
    fields: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "theorem": self.theorem, "fields": dict(self.fields)}


@dataclass(frozen=True)
class FieldChange:
    """A field in which matched runs differ.

    runs: in how many; values: the first distinct (old, new), None where a side has none; only: the
    side that alone has the field, None where both have it; example: a run, by its new id.
    """

    what: What
    theorem: str
    field: str
    runs: int
    values: tuple[tuple[Any, Any], ...]
    example: str
    only: Side | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a change, or only explains others."""
        return self.what not in TOLD_ONLY

    def as_json(self) -> dict[str, Any]:
        values = [{"old": a, "new": b} for a, b in self.values]
        return {**vars(self), "values": values}


@dataclass(frozen=True, eq=False)
class Matched:
    """Runs of one theorem on both sides: row `first[i]` of `old` is row `second[i]` of `new`."""

    theorem: str
    old: Part
    new: Part
    first: Rows
    second: Rows
    config: tuple[FieldChange, ...]

    def keep(self, mask: Mask) -> Matched:
        """Some of the pairs alone."""
        pairs = self.first[mask], self.second[mask]
        return Matched(self.theorem, self.old, self.new, *pairs, self.config)


@dataclass(frozen=True, eq=False)
class Matching:
    """What two tables share, a part a theorem, and the runs of one side alone."""

    parts: tuple[Matched, ...]
    only_old: tuple[Run, ...]
    only_new: tuple[Run, ...]


def match(old: Table, new: Table) -> Matching:
    """Pairs runs of the same theorem whose config fields have the same values.

    A field that has no value in common, or that one side lacks, is a config change: the others
    decide. Raises InputError naming the runs where several could be meant, and where no run of
    either side is one of the other.
    """
    olds = {theorem_of(part): part for part in old.parts}
    news = {theorem_of(part): part for part in new.parts}
    parts: list[Matched] = []
    alone: dict[Side, list[Run]] = {"old": [], "new": []}
    for name in dict.fromkeys([*olds, *news]):
        if name in olds and name in news:
            parts.append(_matched(name, olds[name], news[name]))
    for side, table in (("old", olds), ("new", news)):
        for name, part in table.items():
            other = (news if side == "old" else olds).get(name)
            rows = {p.theorem: p.first if side == "old" else p.second for p in parts}.get(name)
            alone["old" if side == "old" else "new"] += _alone(name, part, other, rows)
    if not any(len(part.first) for part in parts):
        raise InputError("nothing to compare: no run of either side is one of the other")
    return Matching(tuple(parts), tuple(alone["old"]), tuple(alone["new"]))


def theorem_of(part: Part) -> str:
    """The theorem of its runs; empty for numbers that are no records."""
    column = part.fields.get("theorem")
    return "" if column is None else str(column.values[0])


def field_changes(
    what: What, theorem: str, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any], str]]
) -> list[FieldChange]:
    """The fields in which pairs (old fields, new fields, id) differ, sorted by name."""
    names = sorted({name for old, new, _ in pairs for name in (*old, *new)})
    found = []
    for name in names:
        differ = [
            (old.get(name), new.get(name), identifier)
            for old, new, identifier in pairs
            if name not in old or name not in new or key(old[name]) != key(new[name])
        ]
        if not differ:
            continue
        had = any(name in old for old, _, _ in pairs), any(name in new for _, new, _ in pairs)
        only: Side | None = None if all(had) else ("old" if had[0] else "new")
        values = {(key(a), key(b)): (a, b) for a, b, _ in differ}
        kept = tuple(values.values())[:EXAMPLES]
        found.append(FieldChange(what, theorem, name, len(differ), kept, differ[0][2], only))
    return found


def key(value: object) -> object:
    """What makes two config values the same: 1 and 1.0 are, 1 and True are not."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True, default=str)
    return value


def _matched(theorem: str, old: Part, new: Part) -> Matched:
    names = sorted({*old.fields, *new.fields})
    changed = [name for name in names if _values(old, name).isdisjoint(_values(new, name))]
    held = [name for name in names if name not in changed]
    left, right = _index(old, held, changed, "old"), _index(new, held, changed, "new")
    pairs = [(row, right[code]) for code, row in left.items() if code in right]
    first = np.array([a for a, _ in pairs], dtype=np.intp)
    second = np.array([b for _, b in pairs], dtype=np.intp)
    # Equal fields need no second look, but those that follow from others are held as what they
    # follow, and may have other numbers.
    names = sorted({*changed, *old.given, *new.given})
    rows = [(_config(old, a, names), _config(new, b, names), new.ids[b]) for a, b in pairs]
    config = tuple(field_changes("config", theorem, rows))
    return Matched(theorem, old, new, first, second, config)


def _values(part: Part, name: str) -> set[object]:
    column = part.fields.get(name)
    return set() if column is None else {key(value) for value in column.values}


def _index(
    part: Part, held: Sequence[str], changed: Sequence[str], side: Side
) -> dict[tuple[object, ...], int]:
    """Row by the values of the fields that both sides share."""
    columns = []
    for name in held:
        keys = [key(value) for value in part.fields[name].values]
        columns.append([keys[code] for code in part.fields[name].codes.tolist()])
    found: dict[tuple[object, ...], int] = {}
    for row in range(len(part.ids)):
        code = tuple(column[row] for column in columns)
        if code in found:
            raise InputError(_twice(part, found[code], row, changed, side))
        found[code] = row
    return found


def _twice(part: Part, one: int, other: int, changed: Sequence[str], side: Side) -> str:
    """Why two runs of one side cannot be told apart."""
    names = [name for name in changed if name in part.fields
             and part.fields[name].codes[one] != part.fields[name].codes[other]]  # fmt: skip
    told = f"{side} runs {part.ids[one]} and {part.ids[other]}"
    if not names:
        return f"{told} have the same config; keep one of them"
    fields = ", ".join(names)
    return f"{told} differ only in {fields}, and no value of it is on both sides: which is meant?"


def _config(part: Part, row: int, names: Sequence[str]) -> dict[str, Any]:
    """Some fields of one run as its config has them, without those that its side lacks."""
    columns = [(name, part.given.get(name) or part.fields.get(name)) for name in names]
    return {name: own.values[own.codes[row]] for name, own in columns if own is not None}


def _alone(theorem: str, part: Part, other: Part | None, rows: Rows | None) -> list[Run]:
    """The runs of this side that the other has not; `rows` are those it has."""
    shared = set() if rows is None else set(rows.tolist())
    varying = set(part.varying()) | {name for name in part.seeds if part.fields[name].varies}
    if other is not None:  # a field without any value in common is a change, and told as that
        for name in part.fields.keys() & other.fields.keys():
            here, there = _values(part, name), _values(other, name)
            if here != there and here & there:
                varying.add(name)
    names = sorted(varying)
    return [
        Run(part.ids[row], theorem, _config(part, row, names))
        for row in range(len(part.ids))
        if row not in shared
    ]
