"""What changed between two sets of the same runs: config, numbers, bounds and verdicts.

A change is not a violation: nothing here says which side is right.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ntkbound.core import registry
from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.tolerance import REPEATED
from ntkbound.stats.bounds import BoundVerdict
from ntkbound.stats.check import CheckResult, check
from ntkbound.stats.columns import Array, Table, as_number, read_table
from ntkbound.stats.matching import (
    FieldChange,
    Matched,
    Matching,
    Run,
    What,
    field_changes,
    match,
)
from ntkbound.stats.moved import Moved, Name, Numbers, measured, moved
from ntkbound.stats.verdicts import Verdict

OF_ONE_RUN = frozenset({"started", "seconds"})  # of an environment: differ between any two runs

FACTS: Mapping[What, Callable[[Record], Mapping[str, Any]]] = {
    "data": lambda record: {"data": record.data_sha256} if record.data_sha256 else {},
    "status": lambda record: {"status": record.status},
    "condition": lambda record: record.conditions,
    "version": lambda record: {"version": record.version},
    "environment": lambda record: {
        name: value for name, value in record.environment.items() if name not in OF_ONE_RUN
    },
}

Judged = Verdict | BoundVerdict


@dataclass(frozen=True)
class VerdictChange:
    """A claim or a bound whose verdict changed; a claim whose new estimate lies outside the old
    interval, a bound whose δ changed. None where a side has no such row."""

    old: Judged | None
    new: Judged | None

    @property
    def row(self) -> Judged:
        """Either of them, for what they share."""
        found = self.new or self.old
        if found is None:
            raise ValueError("a change of nothing")
        return found

    @property
    def is_claim(self) -> bool:
        return isinstance(self.row, Verdict)

    def as_json(self) -> dict[str, Any]:
        row = self.row
        own = {"kind": "claim" if self.is_claim else "bound", **row.key._asdict()}
        if isinstance(row, Verdict):
            own |= {"axis": row.axis, "form": row.form, "label": row.label, "where": row.where}
        sides = {"old": self.old, "new": self.new}
        return own | {side: None if v is None else v.as_json() for side, v in sides.items()}


@dataclass(frozen=True)
class Changes:
    """Two sets of runs side by side.

    runs: on both sides; only_old, only_new: the others; fields: config, data, status and conditions
    that changed, and what may explain it (version, environment); numbers: all measured numbers and
    bounds, the equal ones included; verdicts: of claims and bounds judged by the same rules on the
    runs of both sides.
    """

    tolerance: float
    runs: int
    only_old: tuple[Run, ...]
    only_new: tuple[Run, ...]
    fields: tuple[FieldChange, ...]
    numbers: tuple[Moved, ...]
    verdicts: tuple[VerdictChange, ...] = ()

    @property
    def found(self) -> bool:
        """Whether anything changed."""
        fields = any(field.counts for field in self.fields)
        return bool(self.only_old or self.only_new or self.verdicts or fields or self.moved)

    @property
    def moved(self) -> list[Moved]:
        """The numbers that changed."""
        return [one for one in self.numbers if one.counts]

    @property
    def other_bits(self) -> list[Moved]:
        """The numbers that are not equal to the bit, yet did not change."""
        return [one for one in self.numbers if one.differs and not one.counts]

    def as_json(self) -> dict[str, Any]:
        """What `diff --json` prints; numbers that are equal to the bit are only counted."""
        return {
            "changed": self.found,
            "tolerance": self.tolerance,
            "runs": self.runs,
            "only_old": [run.as_json() for run in self.only_old],
            "only_new": [run.as_json() for run in self.only_new],
            "fields": [{**one.as_json(), "counts": one.counts} for one in self.fields],
            "verdicts": [one.as_json() for one in self.verdicts],
            "compared": len(self.numbers),
            "numbers": [
                {**one.as_json(), "counts": one.counts} for one in self.numbers if one.differs
            ],
        }


def compare_tables(
    old: Table, new: Table, claims: Sequence[Claim] = (), tolerance: float = REPEATED
) -> Changes:
    """What changed between two tables of numbers, whatever they come from; `claims` are judged on
    both.

    tolerance: relative, of a single number. Raises InputError for a tolerance that is none, runs
    that match several, and tables without a run in common.
    """
    _check(tolerance)
    before, after = (check(side, claims) for side in (old, new))
    verdicts = tuple(_verdicts(before, after, tolerance))
    return replace(_changes(match(old, new), tolerance), verdicts=verdicts)


def compare_records(
    old: Sequence[Record],
    new: Sequence[Record],
    claims: Sequence[Claim],
    tolerance: float = REPEATED,
) -> Changes:
    """What changed between two sets of records; `claims` are judged on both.

    Numbers, bounds and verdicts are those of the runs that both sides have and that went to their
    end on both; the others are told, and runs of a theorem that is not known here are not judged.
    Raises InputError as `compare_tables` does.
    """
    _check(tolerance)
    matching = match(read_table(old), read_table(new))
    pairs = {part.theorem: _pairs(part, old, new) for part in matching.parts}
    fields = [change for name, rows in pairs.items() for change in _facts(name, rows)]
    ended = [
        part.keep(np.array([a.complete and b.complete for a, b in pairs[part.theorem]], dtype=bool))
        for part in matching.parts
    ]
    known = [part for part in ended if registry.known(part.theorem) is not None]
    both = [pair for part in known for pair in _pairs(part, old, new)]
    bounds = [_bounds(part, _pairs(part, old, new)) for part in ended]
    found = _changes(replace(matching, parts=tuple(ended)), tolerance, bounds)
    before, after = (check([pair[side] for pair in both], claims) for side in (0, 1))
    return replace(
        found,
        runs=sum(len(rows) for rows in pairs.values()),
        fields=(*found.fields, *fields),
        verdicts=tuple(_verdicts(before, after, tolerance)),
    )


def _check(tolerance: float) -> None:
    if not 0 <= tolerance < math.inf:
        raise InputError("must be a number ≥ 0", field="tolerance", value=tolerance)


def _changes(matching: Matching, tolerance: float, bounds: Sequence[Numbers] = ()) -> Changes:
    return Changes(
        tolerance,
        sum(len(part.first) for part in matching.parts),
        matching.only_old,
        matching.only_new,
        tuple(change for part in matching.parts for change in part.config),
        tuple(moved([*(measured(part) for part in matching.parts), *bounds], tolerance)),
    )


def _pairs(
    part: Matched, old: Sequence[Record], new: Sequence[Record]
) -> list[tuple[Record, Record]]:
    first, second = part.old.rows[part.first], part.new.rows[part.second]
    return [(old[a], new[b]) for a, b in zip(first, second, strict=True)]


def _facts(theorem: str, pairs: Sequence[tuple[Record, Record]]) -> list[FieldChange]:
    """What records say of a run beside its config and numbers."""
    return [
        change
        for what, facts in FACTS.items()
        for change in field_changes(what, theorem, [(facts(a), facts(b), b.id) for a, b in pairs])
    ]


def _bounds(part: Matched, pairs: Sequence[tuple[Record, Record]]) -> Numbers:
    """The explicit bounds of both sides, the first, second, … of each number apart."""
    sides = [[_bounds_of(record) for record in side] for side in zip(*pairs, strict=True)]
    names = tuple(sorted({name for side in sides for row in side for name in row}))
    old, new = (_matrix(side, names) for side in sides or ([], []))
    return Numbers(part, names, old, new)


def _bounds_of(record: Record) -> dict[Name, float]:
    """Every bound that there is, by the number it is about and its place beside it."""
    found: dict[Name, float] = {}
    places: dict[Key, int] = {}
    for row in record.checks:
        place = places[row.key] = places.get(row.key, -1) + 1
        bound = as_number(row.bound)
        if not math.isnan(bound):
            found[Name("bound", row.key, place)] = bound
    return found


def _matrix(rows: Sequence[Mapping[Name, float]], names: Sequence[Name]) -> Array:
    values = [[row.get(name, math.nan) for name in names] for row in rows]
    return np.array(values, dtype=float).reshape(len(rows), len(names))


def _verdicts(old: CheckResult, new: CheckResult, tolerance: float) -> list[VerdictChange]:
    """The rows, claims first, that changed."""
    found = []
    for before, after in ((_claims(old), _claims(new)), (_of_bounds(old), _of_bounds(new))):
        for name in dict.fromkeys([*before, *after]):
            change = VerdictChange(before.get(name), after.get(name))
            if _told(change.old, change.new, tolerance):
                found.append(change)
    return found


def _claims(result: CheckResult) -> dict[object, Judged]:
    """Claims by what they say, and the arm judged."""
    return {
        (json.dumps(fit.claim.model_dump(), sort_keys=True, default=str), fit.arm): fit
        for fit in result.fits
        if fit.claim is not None
    }


def _of_bounds(result: CheckResult) -> dict[object, Judged]:
    """Bounds by the number, and its place among the verdicts on it: one for each kind of proof."""
    found: dict[object, Judged] = {}
    for bound in result.bounds:
        place = sum(known.key == bound.key for known in found.values())
        found[bound.key, place] = bound
    return found


def _told(old: Judged | None, new: Judged | None, tolerance: float) -> bool:
    if old is None or new is None or old.verdict != new.verdict:
        return True
    if isinstance(old, BoundVerdict) or isinstance(new, BoundVerdict):
        return isinstance(old, Verdict) or isinstance(new, Verdict) or old.delta != new.delta
    if old.estimate is None or new.estimate is None:
        return old.estimate is not new.estimate
    low = -math.inf if old.low is None else old.low
    high = math.inf if old.high is None else old.high
    room = tolerance * max(abs(old.estimate), abs(new.estimate))
    return not low - room <= new.estimate <= high + room
