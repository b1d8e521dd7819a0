"""One number over the seeds of one cell, and pairs of cells: what claims without an axis are about.

A cell is a group of runs equal in every field but the seeds. Nothing is a logarithm here: values
may have any sign, and 0 is a value like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key
from ntkbound.stats.columns import Array, Part, Rows
from ntkbound.stats.observations import Arm, seed_label, telling, undrawn
from ntkbound.stats.selection import Selection


@dataclass(frozen=True, eq=False)
class Sample:
    """One statistic of the runs of one cell.

    values (R,); beside (R,) another number of the same runs, NaN where none is asked for; seeds (R)
    labels; arm the fields that vary between cells, as text; deterministic: every seed gives the
    same number by declaration; undrawn the seed fields whose randomness claims are about, yet with
    fewer than `MIN_SEEDS` values here; notes what was left out; runs the places of all records of
    this cell among those read.
    """

    key: Key
    arm: Arm
    values: Array
    beside: Array
    seeds: tuple[str, ...]
    runs: Rows
    deterministic: bool = False
    undrawn: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def noted(self, note: str) -> Self:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


@dataclass(frozen=True, eq=False)
class Wanted:
    """Which numbers of which runs: ``key``, and ``beside`` it another one of the same runs."""

    key: Key
    selection: Selection
    beside: Key | None = None


def samples(part: Part, wanted: Wanted, ignored: Collection[str] = ()) -> list[Sample]:
    """One sample per cell of the selected runs, in the order of the cells; ``ignored`` are fields
    that separate none. Empty where no run has the number.

    Raises InputError naming two runs of one cell and seed.
    """
    if wanted.key not in part.keys:
        return []
    found = [_sample(part, wanted, rows, arm) for arm, rows in cells(part, wanted, ignored)]
    return [sample for sample in found if len(sample.values)]


def cells(part: Part, wanted: Wanted, ignored: Collection[str] = ()) -> list[tuple[Arm, Rows]]:
    """The selected runs, those that differ in seeds alone together, in the order of their seeds.

    Raises InputError naming two runs of one cell and seed.
    """
    rows = np.flatnonzero(wanted.selection.rows(part, np.zeros(len(part.ids))))
    held = telling(part, [name for name in part.varying() if name not in ignored])
    codes, units = part.codes(held, rows), part.codes(part.seeds, rows)
    order = np.lexsort((units, codes))
    rows, codes, units = rows[order], codes[order], units[order]
    twice = np.flatnonzero((np.diff(codes) == 0) & (np.diff(units) == 0))
    if len(twice):
        first, second = sorted(part.ids[rows[twice[0] + k]] for k in (0, 1))
        raise InputError(
            f"duplicate runs {first} and {second}: same seed and all other fields; keep one of them"
        )
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    return [
        (part.arm + tuple((name, part.text(name, int(own[0]))) for name in held), own)
        for own in np.split(rows, starts[1:])
        if len(own)
    ]


def _sample(part: Part, wanted: Wanted, rows: Rows, arm: Arm) -> Sample:
    values = column(part, wanted.key)[rows]
    beside = np.full(len(rows), np.nan)
    known = ~np.isnan(values)
    if wanted.beside is not None:
        beside = column(part, wanted.beside)[rows]
        known &= ~np.isnan(beside)
    lost = [seed_label(part, row) for row in rows[~known].tolist()]
    notes = (f"left out seed {', '.join(lost)}: no value",) if lost else ()
    kept = rows[known]
    return Sample(
        key=wanted.key,
        arm=arm,
        values=values[known],
        beside=beside[known],
        seeds=tuple(seed_label(part, row) for row in kept.tolist()),
        runs=part.rows[rows],
        deterministic=part.declared.quantity(wanted.key).deterministic,
        undrawn=undrawn(part, kept),
        notes=notes if len(kept) else (),
    )


def column(part: Part, key: Key) -> Array:
    """(N,) one statistic, NaN where a run has none."""
    if key not in part.keys:
        return np.full(len(part.ids), np.nan)
    return part.values[:, part.keys.index(key)]


@dataclass(frozen=True, eq=False)
class Pairs:
    """One statistic in two arms, paired by seed: ``smaller`` and ``larger`` (R,) are the values of
    runs that are equal in everything but the fields compared."""

    key: Key
    arm: Arm
    smaller: Array
    larger: Array
    seeds: tuple[str, ...]
    runs: Rows
    deterministic: bool = False
    undrawn: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def differences(self) -> Array:
        """(R,) larger − smaller."""
        return self.larger - self.smaller

    def noted(self, note: str) -> Self:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


def pairs(
    part: Part, wanted: Wanted, smaller: Mapping[str, Any], larger: Mapping[str, Any]
) -> list[Pairs]:
    """Pairs of one statistic, per cell of all fields but those compared and the seeds.

    A seed that one of the two arms lacks is left out, with a note; a cell that only one of them has
    is left out. Raises InputError for two runs of one cell and seed.
    """
    compared = [name for name in smaller if name in part.fields]
    found: list[dict[Arm, Sample]] = []
    for fields in (smaller, larger):
        chosen = wanted.selection.narrowed(fields)
        own = samples(part, Wanted(wanted.key, chosen), compared)
        found.append({sample.arm: sample for sample in own})
    first, second = found
    return [_paired(one, second[arm]) for arm, one in first.items() if arm in second]


def _paired(one: Sample, other: Sample) -> Pairs:
    common = [seed for seed in one.seeds if seed in set(other.seeds)]
    lone = sorted({*one.seeds} ^ {*other.seeds})
    told = (f"left out seed {', '.join(lone)}: only one of the two has a value",) if lone else ()
    return Pairs(
        key=one.key,
        arm=one.arm,
        smaller=_of_seeds(one, common),
        larger=_of_seeds(other, common),
        seeds=tuple(common),
        runs=np.union1d(one.runs, other.runs),
        deterministic=one.deterministic,
        undrawn=tuple(dict.fromkeys([*one.undrawn, *other.undrawn])),
        notes=told,
    )


def _of_seeds(sample: Sample, seeds: Sequence[str]) -> Array:
    place = {seed: i for i, seed in enumerate(sample.seeds)}
    return sample.values[[place[seed] for seed in seeds]]
