"""Which records belong on one line? Groups along one axis with everything else held equal."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ntkbound.core.errors import InputError
from ntkbound.stats.columns import RATIO, SEED_FIELDS, UNHASHED_FIELDS, Table, arm_text, read_table
from ntkbound.stats.noise import NoiseFloor

DEFAULT_AXES = ("m", "tau", "n", "T", "d", "lag", "omega", "rho", "nu")

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Series:
    """One statistic against one axis, balanced: every seed has a value at every point.

    points (p,) increasing axis values; values (R, p) positive and above the noise floor;
    seeds (R) labels; arm the other config fields that vary between the records, as text;
    excluded the number of values at or below the noise floor (their points are gone); notes
    what else was left out.
    """

    axis: str
    term: str
    probe: str
    statistic: str
    arm: tuple[tuple[str, str], ...]
    points: NDArray[np.float64]
    values: NDArray[np.float64]
    seeds: tuple[str, ...]
    excluded: int = 0
    notes: tuple[str, ...] = ()


def observe(
    records: Iterable[Mapping[str, Any]] | Table,
    *,
    axes: Collection[str] = DEFAULT_AXES,
    ignore: Collection[str] = (),
    missing_seeds: Literal["common", "refuse"] = "common",
    noise: NoiseFloor | None = None,
) -> tuple[Series, ...]:
    """Series of every (axis, arm, term, probe, statistic) with at least two axis values.

    axes: config fields to look along (those that do not vary are skipped); ``rho/nu`` is the
    ratio, with ν held equal where ρ varies and ρ where only ν does. A mapping block → number
    counts as one number when its blocks are equal. ignore: fields that follow from others and so
    must not separate arms; η = eta_scale/√τ, the seeds and unhashed fields need no mention.
    missing_seeds: ``common`` reduces each group to the seeds common to all its points, with a
    note; ``refuse`` raises.

    Seeds are the sampling unit: `seed`, or all seed fields together where one `seed` has several
    runs at a point. Raises InputError naming the runs (duplicates) or seeds (missing).
    """
    table = records if isinstance(records, Table) else read_table(list(records))
    seeds = [name for name in SEED_FIELDS if name in table.fields]
    skip = {*SEED_FIELDS, *UNHASHED_FIELDS, *ignore}
    others = [name for name, col in table.fields.items() if col.varies and name not in skip]
    found: list[Series] = []
    for axis in dict.fromkeys(axes):
        x, held = _along(table, axis, others)
        if x is not None:
            found += _series(table, axis, x, held, seeds, missing_seeds, noise or NoiseFloor())
    return tuple(found)


def cells_but_seeds(table: Table) -> Rows:
    """(N,) one integer per config that differs in more than its seeds and unhashed fields."""
    skip = {*SEED_FIELDS, *UNHASHED_FIELDS}
    names = [name for name, column in table.fields.items() if column.varies and name not in skip]
    return _codes(table, names, np.arange(len(table.ids)))


def _along(
    table: Table, axis: str, others: Sequence[str]
) -> tuple[NDArray[np.float64] | None, list[str]]:
    """(N,) axis values, or None if there is no such axis, and the fields to hold equal."""
    if axis == RATIO:
        if not {"rho", "nu"} <= table.fields.keys() or not {"rho", "nu"} & set(others):
            return None, []
        varied = "rho" if "rho" in others else "nu"
        rho, nu = table.fields["rho"].numbers(), table.fields["nu"].numbers()
        usable = nu > 0
        ratio = np.divide(rho, nu, out=np.full_like(rho, np.nan), where=usable)
        return ratio, [name for name in others if name != varied]
    if axis not in others:
        return None, []
    return table.fields[axis].numbers(), [name for name in others if name != axis]


def _codes(table: Table, names: Sequence[str], rows: Rows) -> Rows:
    """(len(rows),) one integer per distinct combination of the named fields."""
    code = np.zeros(len(rows), dtype=np.intp)
    for name in names:
        column = table.fields[name]
        code = code * len(column.values) + column.codes[rows]
        code = np.unique(code, return_inverse=True)[1]  # keeps the product from overflowing
    return code


def _series(
    table: Table,
    axis: str,
    x: NDArray[np.float64],
    held: Sequence[str],
    seeds: Sequence[str],
    missing_seeds: str,
    noise: NoiseFloor,
) -> list[Series]:
    rows = np.flatnonzero(x > 0)  # text, unequal blocks and 0 have no place on a log axis
    arms = _codes(table, held, rows)
    values, point = np.unique(x[rows], return_inverse=True)
    unit = _units(table, axis, x, rows, arms, point, seeds)
    order = np.lexsort((point, unit, arms))
    bounds = np.flatnonzero(np.diff(arms[order], prepend=-1, append=-1))
    found: list[Series] = []
    for start, stop in itertools.pairwise(bounds):
        part = order[start:stop]
        points, j = np.unique(point[part], return_inverse=True)
        if len(points) < 2:
            continue
        units, i = np.unique(unit[part], return_inverse=True)
        cells = np.full((len(units), len(points)), -1, dtype=np.intp)
        cells[i, j] = rows[part]
        arm = tuple((n, _text(table, n, rows[part[0]])) for n in held)
        found += _balanced(table, axis, arm, values[points], cells, seeds, missing_seeds, noise)
    return found


def _units(
    table: Table,
    axis: str,
    x: NDArray[np.float64],
    rows: Rows,
    arms: Rows,
    point: Rows,
    seeds: Sequence[str],
) -> Rows:
    """(len(rows),) seed codes such that no (arm, point, seed) has two runs."""
    place = arms * (point.max(initial=0) + 1) + point
    # The first choice keeps seeds derived per point (an init_seed hashed from m) in one unit.
    for names in (list(seeds[:1]), list(seeds)):
        unit = _codes(table, names, rows)
        code = place * (unit.max(initial=0) + 1) + unit
        order = np.argsort(code, kind="stable")
        twice = np.flatnonzero(np.diff(code[order]) == 0)
        if not len(twice):
            return unit
    first, second = sorted(table.ids[rows[order[twice[0] + k]]] for k in (0, 1))
    where = rows[order[twice[0]]]
    more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
    raise InputError(
        f"duplicate runs {first} and {second}{more}: same {axis}={x[where]:g}, "
        f"seed={_seed(table, seeds, where)} and all other fields; keep one of them"
    )


def _balanced(
    table: Table,
    axis: str,
    arm: tuple[tuple[str, str], ...],
    points: NDArray[np.float64],
    cells: Rows,
    seeds: Sequence[str],
    missing_seeds: str,
    noise: NoiseFloor,
) -> list[Series]:
    """The series of one arm, from `cells` (R, p) of record numbers (-1 where there is none)."""
    notes: tuple[str, ...] = ()
    labels = [_seed(table, seeds, row.max()) for row in cells]
    if (cells < 0).any():
        gaps = [
            f"{axis}={points[j]:g} lacks seed {', '.join(labels[i] for i in np.flatnonzero(gap))}"
            for j in range(len(points))
            if (gap := np.asarray(cells[:, j] < 0)).any()
        ]
        place = " at " + ", ".join(f"{n}={v}" for n, v in arm) if arm else ""
        if missing_seeds == "refuse":
            raise InputError(f"missing runs{place}: {'; '.join(gaps)}; complete the sweep")
        keep = np.flatnonzero((cells >= 0).all(axis=1))
        notes = (f"reduced to the {len(keep)} seeds common to all points: {'; '.join(gaps)}",)
        cells, labels = cells[keep], [labels[i] for i in keep]
    block = table.values[cells]  # (R, p, K)
    dtype = _text(table, "dtype", cells[0, 0]) if cells.size and "dtype" in table.fields else ""
    floors = np.array([noise.value(term, stat, dtype) for term, _, stat in table.keys])
    clean: NDArray[np.bool_] = np.asarray((block > floors).all(axis=(0, 1)))
    found = []
    for k, (term, probe, statistic) in enumerate(table.keys):
        y, x, names, out, said = block[..., k], points, tuple(labels), 0, notes
        if not clean[k]:
            if np.isnan(y).all():
                continue
            y, x, names, out, more = _usable(y, x, names, axis, float(floors[k]))
            said = notes + more
        found.append(Series(axis, term, probe, statistic, arm, x, y, names, out, said))
    return found


def _usable(
    y: NDArray[np.float64], x: NDArray[np.float64], names: tuple[str, ...], axis: str, floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...], int, tuple[str, ...]]:
    """Drop points with any value at the noise floor, then seeds without a number somewhere.

    A single value at the floor costs its whole point: keeping the luckier seeds of that point
    would bias its mean upwards and flatten the slope.
    """
    notes = []
    noisy = y <= floor
    bad: NDArray[np.bool_] = np.asarray(noisy.any(axis=0))
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


def _text(table: Table, name: str, row: int) -> str:
    column = table.fields[name]
    value = column.values[column.codes[row]]
    return arm_text(value)


def _seed(table: Table, seeds: Sequence[str], row: int) -> str:
    varying = [n for n in seeds if table.fields[n].varies] or list(seeds[:1])
    return "/".join(_text(table, n, row) for n in varying)
