"""Somebody's own numbers as the table that claims are judged over: rows become runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from ntkbound.core.claim import STEP
from ntkbound.core.errors import InputError
from ntkbound.core.frame import Cells, Frame, Numbers, Rows
from ntkbound.core.quantity import Key
from ntkbound.stats.columns import Array, Column, Part, Table, arm_text
from ntkbound.stats.declared import Declared
from ntkbound.stats.roles import Named, Roles, roles_of
from ntkbound.stats.wide import lengthened


@dataclass(frozen=True, eq=False)
class Own:
    """A table of somebody's own, what each of its columns was taken for, and what was done to it on
    the way, a sentence each."""

    table: Table
    roles: Roles
    notes: tuple[str, ...]


def own_table(frame: Frame, named: Named) -> Own:
    """One run per combination of arms, axis and seed; with steps its values are those at its last.

    Raises InputError of one line that names the file, row and column: a value, axis value or step
    that is no finite number, a missing cell, a run (at a step) that stands there twice, one seed
    only; and what `roles_of` and `lengthened` raise.
    """
    frame = lengthened(frame, named)
    roles = roles_of(frame, named)
    numbers = {name: frame.numbers(name) for name in roles.values}
    fields = {name: _field(frame, name, roles) for name in roles.fields}
    seed = roles.seeds[0]
    if len(fields[seed].values) == 1:
        told = f"column {seed} holds one seed only, {fields[seed].values[0]}; several are needed"
        raise InputError(f"{frame.source}: {told}")
    steps = frame.numbers(roles.step) if roles.step else np.zeros(len(frame.rows))
    order, starts = _runs(frame, roles, steps)
    last = order[np.append(starts[1:], len(order)) - 1]
    keys = tuple(Key.of_column(name) for name in numbers)
    traces: Sequence[Mapping[str, Array]] = ()
    notes = list(frame.notes)
    if roles.step:
        inside = {STEP: steps, **{key.column: numbers[key.column] for key in keys}}
        traces = Traces({name: column[order] for name, column in inside.items()}, starts)
        low, high = steps[last].min(), steps[last].max()
        if low < high:
            notes.append(f"runs end at different steps, {low:g} to {high:g}")
    part = Part(
        Declared(seeds=roles.seeds, axes=roles.axes),
        np.arange(len(last)),
        tuple(map("row {}".format, frame.rows[last].tolist())),
        {name: Column(column.codes[last], column.values) for name, column in fields.items()},
        {},
        keys,
        np.stack([numbers[key.column][last] for key in keys], axis=1),
        traces=traces,
    )
    return Own(Table((part,)), roles, tuple(notes))


class Traces(Sequence[Mapping[str, Array]]):
    """The series inside each run, cut from columns in which runs follow one another."""

    def __init__(self, columns: Mapping[str, Array], starts: Rows) -> None:
        self._columns = columns
        self._ends = np.append(starts, len(columns[STEP]))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, run: int) -> Mapping[str, Array]: ...
    @overload
    def __getitem__(self, run: slice) -> Sequence[Mapping[str, Array]]: ...
    def __getitem__(self, run: int | slice) -> Mapping[str, Array] | Sequence[Mapping[str, Array]]:
        if isinstance(run, slice):
            return [self[i] for i in range(len(self))[run]]
        place = range(len(self))[run]
        start, stop = self._ends[place], self._ends[place + 1]
        return {name: column[start:stop] for name, column in self._columns.items()}


def _field(frame: Frame, name: str, roles: Roles) -> Column:
    """A column by which runs differ, no cell of it missing; that of an axis holds numbers alone."""
    if name in roles.along:
        frame.numbers(name)
    codes, values = frame.labels(name).coded
    return Column(codes, values)


def _runs(frame: Frame, roles: Roles, steps: Numbers) -> tuple[Rows, Rows]:
    """The rows (N,) in order of run and step, and where each run starts among them.

    Raises InputError for a run that has two rows, or two rows at a step.
    """
    run = frame.codes(roles.fields)
    order = np.lexsort((steps, run))
    sorted_run, sorted_step = run[order], steps[order]
    new = np.diff(sorted_run, prepend=-1) != 0
    twice = ~new[1:] & (np.diff(sorted_step) == 0)
    if twice.any():
        place = int(np.argmax(twice))
        raise _duplicate(frame, roles, *sorted(order[place : place + 2].tolist()))
    return order, np.flatnonzero(new)


def _duplicate(frame: Frame, roles: Roles, first: int, second: int) -> InputError:
    named = [*roles.fields, *([roles.step] if roles.step else [])]
    same = ", ".join(f"{name}={arm_text(_value(frame, name, first))}" for name in named)
    other = [
        name for name in roles.ignored if _value(frame, name, first) != _value(frame, name, second)
    ]
    hint = f"; they differ in {', '.join(other)}, which {_is(other)} ignored" if other else ""
    return InputError(f"{frame.place(second)} is the run of row {frame.rows[first]}: {same}{hint}")


def _value(frame: Frame, name: str, row: int) -> object:
    cells: Cells = frame.columns[name]
    return cells.value(row)


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
