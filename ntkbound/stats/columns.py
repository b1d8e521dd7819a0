"""Records as columns: coded config fields and a matrix of measured numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.stats.declared import UNDECLARED, Declared, declared

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
Fields = Mapping[str, Any]  # a config: field → value
Terms = Mapping[str, Any]  # term → probe → statistic → number

_MISSING = object()
_SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, eq=False)
class Column:
    """One config field: `codes` (N,) index its distinct `values`."""

    codes: Rows
    values: tuple[Any, ...]

    @property
    def varies(self) -> bool:
        return len(self.values) > 1

    def numbers(self) -> Array:
        """(N,) the field as numbers, NaN where it is none (text, unequal blocks, absent)."""
        return np.array([as_number(value) for value in self.values])[self.codes]


@dataclass(frozen=True, eq=False)
class Part:
    """N records of one theorem.

    declared
        What that theorem says of its fields and numbers.
    rows (N,)
        Their places among all that was read.
    fields
        Config fields, those that follow from others named as such; `given` are the latter as
        the config has them.
    values (N, K)
        The statistics `keys` (K), NaN where a record has none.
    arm
        What tells this part from the others: the theorem, where there are several.
    conditions
        Condition of the theorem → (N,) whether a record is known to meet it.
    traces (N)
        The series inside each record: ``step`` and any other (K,), read when asked for.
    """

    declared: Declared
    rows: Rows
    ids: tuple[str, ...]
    fields: Mapping[str, Column]
    given: Mapping[str, Column]
    keys: tuple[Key, ...]
    values: Array
    arm: tuple[tuple[str, str], ...] = ()
    conditions: Mapping[str, Mask] = field(default_factory=dict)
    traces: Sequence[Mapping[str, Array]] = ()

    @property
    def seeds(self) -> list[str]:
        """The seed fields that these records have."""
        return [name for name in self.declared.seeds if name in self.fields]

    def varying(self) -> list[str]:
        """Fields that differ between the records, seeds apart."""
        seeds = self.declared.seeds
        return [name for name, col in self.fields.items() if col.varies and name not in seeds]

    def codes(self, names: Sequence[str], rows: Rows | None = None) -> Rows:
        """One integer per distinct combination of the named fields, for some rows (all: None)."""
        code = np.zeros(len(self.ids) if rows is None else len(rows), dtype=np.intp)
        for name in names:
            column = self.fields[name]
            own = column.codes if rows is None else column.codes[rows]
            code = code * len(column.values) + own
            code = np.unique(code, return_inverse=True)[1]  # keeps the product from overflowing
        return code

    def dtype(self, row: int) -> str:
        """What one record was trained in; empty where its theorem names no field for that."""
        named = self.declared.precision in self.fields
        return self.text(self.declared.precision, row) if named else ""

    def text(self, name: str, row: int) -> str:
        """A field of one record as an arm shows it."""
        column = self.fields[name]
        return arm_text(column.values[column.codes[row]])


@dataclass(frozen=True, eq=False)
class Table:
    """Records as columns, one part per theorem: their fields and numbers are never mixed."""

    parts: tuple[Part, ...]


def as_number(value: object) -> float:
    """A finite config number, NaN for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return math.nan


def read_table(records: Sequence[Record]) -> Table:
    """Columns of records; values that are no numbers are NaN."""
    groups: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        groups.setdefault(record.theorem, []).append(row)
    parts = []
    for name, rows in groups.items():
        own = [records[row] for row in rows]
        known = declared(name)
        paths = _first_paths(own, known.data)
        configs = [
            one_numbers(record.config) | {"theorem": name} | paths.get(record.data_sha256, {})
            for record in own
        ]
        followed = [known.follows(record.config) for record in own]
        given = {name for fields in followed for name in fields}
        keys, values = _matrix([record.terms for record in own])
        parts.append(
            Part(
                known,
                np.array(rows, dtype=np.intp),
                tuple(record.id for record in own),
                _columns([{**a, **b} for a, b in zip(configs, followed, strict=True)]),
                _columns([{k: c[k] for k in given & c.keys()} for c in configs]),
                keys,
                values,
                (("theorem", name),) if len(groups) > 1 else (),
                _conditions(own),
                [record.trace for record in own],
            )
        )
    return Table(tuple(parts))


def _first_paths(records: Sequence[Record], field: str) -> dict[str | None, dict[str, Any]]:
    """Data → the field that names them, as the first record with these data has it."""
    found: dict[str | None, dict[str, Any]] = {None: {}}
    for record in records:
        if field in record.config:
            found.setdefault(record.data_sha256, {field: record.config[field]})
    return found


def tabulate(rows: Iterable[tuple[Fields, Mapping[Key, float]]]) -> Table:
    """Columns of numbers that are no records: rows of (fields, key → number) of no theorem.

    Repetitions differ in the field ``seed``; every number is a float64 amplitude.
    """
    given = list(rows)
    terms: list[dict[str, dict[str, dict[str, float]]]] = []
    for _, numbers in given:
        nested: dict[str, dict[str, dict[str, float]]] = {}
        for key, number in numbers.items():
            probes = nested.setdefault(key.term, {})
            probes.setdefault(key.probe, {})[key.statistic] = number
        terms.append(nested)
    keys, values = _matrix(terms)
    fields = _columns([one_numbers(config) for config, _ in given])
    ids = tuple(f"#{i}" for i in range(len(given)))
    return Table((Part(UNDECLARED, np.arange(len(given)), ids, fields, {}, keys, values),))


def config_of(record: Record) -> dict[str, Any]:
    """The config with equal blocks as one number, and fields that follow from others by what they
    follow (as their theorem says)."""
    return {**one_numbers(record.config), **declared(record.theorem).follows(record.config)}


def one_numbers(config: Fields) -> dict[str, Any]:
    """A config in which a mapping of equal blocks is one number."""
    found = dict(config)
    for name, value in config.items():
        if type(value) not in _SCALARS and isinstance(value, Mapping):
            found[name] = one_number(value)
    return found


def one_number(blocks: Mapping[str, Any]) -> object:
    """The value that all blocks have, else the mapping itself."""
    numbers = {as_number(value) for value in blocks.values()}
    return numbers.pop() if len(numbers) == 1 and not any(map(math.isnan, numbers)) else blocks


def arm_text(value: object) -> str:
    """A config value as an arm shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_arm(record: Record, arm: Sequence[tuple[str, str]]) -> bool:
    """Whether a run has the values of this arm."""
    config = config_of(record)
    return all(arm_text(config.get(name)) == value for name, value in arm)


UNSET = arm_text(None)  # of a field that a run leaves unset


def _matrix(terms: Sequence[Terms]) -> tuple[tuple[Key, ...], Array]:
    """Sorted keys (K) and their numbers (N, K), NaN where a row has none."""
    keys: list[Key] = []
    places: dict[tuple[str, str], dict[str, int]] = {}
    rows: list[int] = []
    columns: list[int] = []
    numbers: list[float] = []
    for row, own in enumerate(terms):
        for term, probes in own.items():
            for probe, statistics in probes.items():
                known = places.setdefault((term, probe), {})
                for statistic, value in statistics.items():
                    if type(value) is float or type(value) is int:
                        if statistic not in known:
                            known[statistic] = len(keys)
                            keys.append(Key(term, probe, statistic))
                        rows.append(row)
                        columns.append(known[statistic])
                        numbers.append(value)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    rank = np.empty(len(keys), dtype=np.intp)
    rank[order] = np.arange(len(keys))
    values = np.full((len(terms), len(keys)), np.nan)
    values[rows, rank[np.array(columns, dtype=np.intp)]] = numbers
    values[~np.isfinite(values)] = np.nan
    return tuple(keys[k] for k in order), values


def _conditions(records: Sequence[Record]) -> dict[str, Mask]:
    """What is not known, or not said, is not met."""
    names = {name for record in records for name in record.conditions}
    return {
        name: np.array([record.conditions.get(name) is True for record in records])
        for name in sorted(names)
    }


def _columns(configs: Sequence[Fields]) -> dict[str, Column]:
    names = sorted({name for config in configs for name in config})
    return {name: _column([c.get(name, _MISSING) for c in configs]) for name in names}


def _column(values: Sequence[Any]) -> Column:
    index: dict[object, int] = {}
    kept: list[Any] = []
    codes = np.empty(len(values), dtype=np.intp)
    for i, value in enumerate(values):
        key: object = value
        if type(value) is bool:
            key = (bool, value)  # True == 1 otherwise
        elif type(value) not in _SCALARS and isinstance(value, Mapping | list | tuple):
            key = json.dumps(value, sort_keys=True, default=str)
        code = index.setdefault(key, len(kept))
        if code == len(kept):
            kept.append(value)
        codes[i] = code
    # Sorted, so that neither results nor their order depend on the order of the records.
    order = sorted(range(len(kept)), key=lambda k: _rank(kept[k]))
    new = np.empty(len(kept), dtype=np.intp)
    new[order] = np.arange(len(kept))
    values = tuple(None if kept[k] is _MISSING else kept[k] for k in order)
    return Column(new[codes] if len(kept) > 1 else codes, values)


def _rank(value: object) -> tuple[bool, float, str]:
    number = as_number(value)
    text = "" if value is _MISSING else str(value)
    return (True, 0.0, text) if math.isnan(number) else (False, number, "")
