"""Which records belong on one line? Groups along one axis with everything else held equal."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.stats.columns import Array, Mask, Part, Rows, Table, read_table
from ntkbound.stats.margins import MIN_SEEDS
from ntkbound.stats.noise import NoiseFloor
from ntkbound.stats.selection import EVERY, Selection

MissingSeeds = Literal["common", "refuse"]
Arm = tuple[tuple[str, str], ...]


def _none() -> Rows:
    return np.empty(0, dtype=np.intp)


def _nothing() -> Array:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class Series:
    """One statistic against one axis, balanced: every seed has a value at every point.

    points (p,) increasing axis values; values (R, p) positive and above the noise floor;
    seeds (R) labels; arm the other config fields that vary between the records, as text;
    excluded the number of values at or below the noise floor (their points are gone); notes
    what else was left out; runs the places of all records of this arm among those read; undrawn the
    seed fields whose randomness claims are about, yet with fewer than `MIN_SEEDS` values here;
    deterministic every seed gives the same number by declaration; beside (R,) another number of the
    same runs, where the line is inside them.
    """

    axis: str
    term: str
    probe: str
    statistic: str
    arm: Arm
    points: Array
    values: Array
    seeds: tuple[str, ...]
    excluded: int = 0
    notes: tuple[str, ...] = ()
    runs: Rows = field(default_factory=_none, repr=False)
    undrawn: tuple[str, ...] = ()
    deterministic: bool = False
    beside: Array = field(default_factory=_nothing, repr=False)

    @property
    def key(self) -> Key:
        return Key(self.term, self.probe, self.statistic)

    def noted(self, note: str) -> Self:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


@dataclass(frozen=True)
class Rules:
    """What `observe` holds equal and leaves out: its arguments of these names."""

    ignore: frozenset[str] = frozenset()
    missing_seeds: MissingSeeds = "common"
    noise: NoiseFloor = field(default_factory=NoiseFloor)


@dataclass(frozen=True, eq=False)
class Grid:
    """Records along one axis: x (N,), NaN for those that have no place on it; the fields that are
    held equal on a line; the statistics wanted, `keys` (K) with their `values` (N, K)."""

    part: Part
    axis: str
    x: Array
    held: tuple[str, ...]
    keys: tuple[Key, ...]
    values: Array
    rules: Rules

    def gaps(self, cells: Rows, points: Array, labels: list[str]) -> list[str]:
        """Which seeds are missing where, in words; cells (R, p), −1 for a missing run."""
        return [
            f"{self.axis}={x:g} lacks seed {', '.join(labels[i] for i in np.flatnonzero(gap))}"
            for x, gap in zip(points, (cells < 0).T, strict=True)
            if gap.any()
        ]

    def floors(self, row: int) -> Array:
        """(K,) the noise floors of the statistics in the arm of this record."""
        known, dtype, noise = self.part.declared, self.part.dtype(row), self.rules.noise
        return np.array([noise.value(known.quantity(key), dtype) for key in self.keys])


def observe(
    records: Iterable[Record] | Table,
    *,
    axes: Collection[str] | None = None,
    ignore: Collection[str] = (),
    missing_seeds: MissingSeeds = "common",
    noise: NoiseFloor | None = None,
) -> tuple[Series, ...]:
    """Series of every (axis, arm, term, probe, statistic) with at least two axis values.

    axes: config fields to look along (those that do not vary are skipped), or ratios ``a/b`` of
    two, with b held equal where a varies and a where only b does; None: those that the records'
    theorem names. A mapping block → number counts as one number when its blocks are equal.
    ignore: fields that must not separate arms; seeds, and fields that follow from others as their
    theorem says, need no mention. missing_seeds: ``common`` reduces each group to the seeds common
    to all its points, with a note; ``refuse`` raises.

    Records of different theorems never share a line. Seeds are the sampling unit: the theorem's
    first seed field, or all of them together where one such seed has several runs at a point.
    Raises InputError naming the runs (duplicates) or seeds (missing).
    """
    table = records if isinstance(records, Table) else read_table(list(records))
    rules = Rules(frozenset(ignore), missing_seeds, noise or NoiseFloor())
    return tuple(
        series
        for part in table.parts
        for axis in dict.fromkeys(part.declared.axes if axes is None else axes)
        for series in lines(part, axis, rules=rules)
    )


def lines(
    part: Part,
    axis: str,
    selection: Selection = EVERY,
    keys: Collection[Key] | None = None,
    rules: Rules | None = None,
) -> list[Series]:
    """The series along one axis, of the selected records and of these numbers alone (all: None).

    Arms are named by fields that vary in the whole part, whatever is selected of it.
    """
    rules = rules or Rules()
    others = [name for name in part.varying() if name not in rules.ignore]
    along = _along(part, axis, others)
    if along is None:
        return []
    x, held = along
    held = telling(part, held)
    x = np.where(selection.rows(part, x), x, np.nan)
    if keys is None:
        return _lines(Grid(part, axis, x, held, part.keys, part.values, rules))
    columns = [k for k, key in enumerate(part.keys) if key in keys]
    names = tuple(part.keys[k] for k in columns)
    return _lines(Grid(part, axis, x, held, names, part.values[:, columns], rules))


def cells_but_seeds(part: Part) -> Rows:
    """(N,) one integer per config that differs in more than its seeds."""
    return part.codes(part.varying())


def _along(part: Part, axis: str, others: Sequence[str]) -> tuple[Array, tuple[str, ...]] | None:
    """(N,) axis values and the fields to hold equal, or None if nothing varies along this axis."""
    if axis in others:
        return part.fields[axis].numbers(), tuple(name for name in others if name != axis)
    above, _, below = axis.partition("/")
    if not {above, below} <= part.fields.keys() or not {above, below} & set(others):
        return None
    varied = above if above in others else below
    a, b = part.fields[above].numbers(), part.fields[below].numbers()
    ratio = np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0)
    return ratio, tuple(name for name in others if name != varied)


def telling(part: Part, names: Sequence[str]) -> tuple[str, ...]:
    """The fewest leading fields that separate the records as all ``names`` do.

    What follows from those before it (the settings of a search, one for each model) only lengthens
    the name of an arm.
    """
    kept: list[str] = []
    groups = 1
    for name in names:
        count = len(np.unique(part.codes([*kept, name])))
        if count > groups:
            kept.append(name)
            groups = count
    return tuple(kept)


def _lines(grid: Grid) -> list[Series]:
    rows = np.flatnonzero(grid.x > 0)  # text, unequal blocks and 0 have no place on a log axis
    arms = grid.part.codes(grid.held, rows)
    values, point = np.unique(grid.x[rows], return_inverse=True)
    unit = _units(grid, rows, arms, point)
    order = np.lexsort((point, unit, arms))
    bounds = np.flatnonzero(np.diff(arms[order], prepend=-1, append=-1))
    found: list[Series] = []
    for start, stop in itertools.pairwise(bounds):
        own = order[start:stop]
        points, j = np.unique(point[own], return_inverse=True)
        if len(points) < 2:
            continue
        units, i = np.unique(unit[own], return_inverse=True)
        cells = np.full((len(units), len(points)), -1, dtype=np.intp)
        cells[i, j] = rows[own]
        found += _balanced(grid, values[points], cells)
    return found


def _units(grid: Grid, rows: Rows, arms: Rows, point: Rows) -> Rows:
    """(len(rows),) seed codes such that no (arm, point, seed) has two runs."""
    part, seeds = grid.part, grid.part.seeds
    place = arms * (point.max(initial=0) + 1) + point
    # The first choice keeps seeds derived per point (hashed from the axis) in one unit.
    for names in (seeds[:1], seeds):
        unit = part.codes(names, rows)
        code = place * (unit.max(initial=0) + 1) + unit
        order = np.argsort(code, kind="stable")
        twice = np.flatnonzero(np.diff(code[order]) == 0)
        if not len(twice):
            return unit
    first, second = sorted(part.ids[rows[order[twice[0] + k]]] for k in (0, 1))
    where = rows[order[twice[0]]]
    more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
    raise InputError(
        f"duplicate runs {first} and {second}{more}: same {grid.axis}={grid.x[where]:g}, "
        f"seed={seed_label(part, where)} and all other fields; keep one of them"
    )


def _balanced(grid: Grid, points: Array, cells: Rows) -> list[Series]:
    """The series of one arm, from `cells` (R, p) of record numbers (-1 where there is none)."""
    part = grid.part
    first = cells.max()
    arm = part.arm + tuple((name, part.text(name, first)) for name in grid.held)
    runs = part.rows[cells[cells >= 0]]
    notes: tuple[str, ...] = ()
    labels = [seed_label(part, row.max()) for row in cells]
    if (cells < 0).any():
        gaps = "; ".join(grid.gaps(cells, points, labels))
        place = " at " + ", ".join(f"{n}={v}" for n, v in arm) if arm else ""
        if grid.rules.missing_seeds == "refuse":
            raise InputError(f"missing runs{place}: {gaps}; complete the sweep")
        keep = np.flatnonzero((cells >= 0).all(axis=1))
        notes = (f"reduced to the {len(keep)} seeds common to all points: {gaps}",)
        cells, labels = cells[keep], [labels[i] for i in keep]
    few = undrawn(part, cells)
    block = grid.values[cells]  # (R, p, K)
    floors = grid.floors(first)
    clean: Mask = np.asarray((block > floors).all(axis=(0, 1)))
    found = []
    for k, key in enumerate(grid.keys):
        y, x, names, out, said = block[..., k], points, tuple(labels), 0, notes
        if not clean[k]:
            if np.isnan(y).all():
                continue
            y, x, names, out, more = _usable(y, x, names, grid.axis, float(floors[k]))
            said = notes + more
        y, names, more = distinct(y, names)
        found.append(Series(grid.axis, *key, arm, x, y, names, out, said + more, runs, few))
    return found


def _usable(
    y: Array, x: Array, names: tuple[str, ...], axis: str, floor: float
) -> tuple[Array, Array, tuple[str, ...], int, tuple[str, ...]]:
    """Drop points with any value at the noise floor, then seeds without a number somewhere.

    A single value at the floor costs its whole point: keeping the luckier seeds of that point
    would bias its mean upwards and flatten the slope.
    """
    notes = []
    noisy = y <= floor
    bad: Mask = np.asarray(noisy.any(axis=0))
    if bad.any():
        gone = ", ".join(f"{v:g}" for v in x[bad])
        notes.append(
            f"{noisy.sum()} values at or below the noise floor {floor:.2g}: left out {axis}={gone}"
        )
    empty = np.isnan(y).all(axis=0) & ~bad
    if empty.any():
        notes.append(f"no value at {axis}={', '.join(f'{v:g}' for v in x[empty])}")
    keep = ~bad & ~empty
    y, x = y[:, keep], x[keep]
    whole = np.flatnonzero(~np.isnan(y).any(axis=1))
    if len(whole) < len(names):
        gone = ", ".join(names[i] for i in range(len(names)) if i not in whole)
        notes.append(f"left out seed {gone}: no value at some points")
    return y[whole], x, tuple(names[i] for i in whole), int(noisy.sum()), tuple(notes)


def undrawn(part: Part, rows: Rows) -> tuple[str, ...]:
    """The seed fields that claims are about the randomness of, with fewer than `MIN_SEEDS` values
    in these records: (R,) one a seed, or (R, p) one at each point, which must differ at some."""
    return tuple(
        name
        for name in part.declared.drawn
        if name in part.fields
        and len({own.tobytes() for own in part.fields[name].codes[rows]}) < MIN_SEEDS
    )


def distinct(y: Array, names: tuple[str, ...]) -> tuple[Array, tuple[str, ...], tuple[str, ...]]:
    """The seeds that differ anywhere: those equal to the bit at all points count once."""
    first: dict[bytes, int] = {}
    same = {i: k for i, row in enumerate(y) if (k := first.setdefault(row.tobytes(), i)) != i}
    if not same:
        return y, names, ()
    keep = sorted(first.values())
    gone = ", ".join(f"{names[i]} that of {names[k]}" for i, k in same.items())
    said = f"equal values at all points count as one seed: seed {gone}"
    return y[keep], tuple(names[i] for i in keep), (said,)


def seed_label(part: Part, row: int) -> str:
    """The seeds of a record, those that vary: "3", or "3/7" of two fields."""
    names = [name for name in part.seeds if part.fields[name].varies] or part.seeds[:1]
    return "/".join(part.text(name, row) for name in names)
