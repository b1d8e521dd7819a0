"""Lines along the steps inside runs: one per cell, from the series that runs record.

Steps of one run are correlated, so a line has `STEP_BINS` points, each the mean of log values over
an equal part of the axis, and only differences between seeds count as noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ntkbound.core.claim import STEP, Along, Rate
from ntkbound.core.quantity import Key
from ntkbound.stats.columns import Array, Mask, Part, Rows
from ntkbound.stats.margins import STEP_BINS
from ntkbound.stats.noise import NoiseFloor
from ntkbound.stats.observations import Arm, Series, distinct, seed_label, undrawn
from ntkbound.stats.samples import Wanted, cells, column
from ntkbound.stats.selection import EVERY, Selection

Scale = Literal["log", "linear"]  # which parts of the axis are equal


@dataclass(frozen=True, eq=False)
class Curves:
    """Values (R, K) of the seeds of one cell at the steps (K,) that all of them recorded, within
    the window of the claim; names (R) of the seeds."""

    steps: Array
    values: Array
    names: tuple[str, ...]


def inside(part: Part, claim: Along, selection: Selection, scale: Scale) -> list[Series]:
    """The claim's number along ``step``, one line per cell of the selected runs.

    Steps at which a value is at the noise floor, or not positive, are left out for all seeds, with
    a note. Empty where no run recorded it. Raises InputError for two runs of one cell and seed.
    """
    if not part.traces:
        return []
    found = []
    for arm, rows in cells(part, Wanted(claim.key, selection)):
        recorded = [row for row in rows.tolist() if claim.key.column in part.traces[row]]
        if recorded:
            found.append(_line(part, claim, np.array(recorded), arm, scale))
    return found


def every_inside(part: Part) -> list[Series]:
    """Every recorded number of a table of somebody's own along ``step``, on a log axis."""
    claims = [
        Rate(column=key.column, axis=STEP, kind="upper", exponent=0, log_power=0)
        for key in part.keys
        if part.traces and key.column in part.traces[0]
    ]
    return [line for claim in claims for line in inside(part, claim, EVERY, "log")]


def curves(part: Part, claim: Along, rows: Rows) -> Curves:
    """The recorded values of these runs at their common steps inside the claim's window."""
    own = [_recorded(part.traces[row], claim.key) for row in rows.tolist()]
    steps = own[0][0]
    for other, _ in own[1:]:
        steps = np.intersect1d(steps, other)
    keep = steps > (0.0 if claim.start is None else max(0.0, np.nextafter(claim.start, -np.inf)))
    if claim.stop is not None:
        keep &= steps <= claim.stop
    steps = steps[keep]
    values = np.array([value[np.searchsorted(at, steps)] for at, value in own])
    return Curves(steps, values, tuple(seed_label(part, row) for row in rows.tolist()))


def _recorded(trace: Mapping[str, Array], key: Key) -> tuple[Array, Array]:
    """(K,) steps, ascending, and values of one series of a trace."""
    own = f"{key.term}/{key.probe}/{STEP}"
    steps = np.asarray(trace[own if own in trace else STEP], dtype=np.float64)
    order = np.argsort(steps, kind="stable")
    return steps[order], np.asarray(trace[key.column], dtype=np.float64)[order]


def _line(part: Part, claim: Along, rows: Rows, arm: Arm, scale: Scale) -> Series:
    found = curves(part, claim, rows)
    quantity = part.declared.quantity(claim.key)
    floor = NoiseFloor().value(quantity, part.dtype(int(rows[0])))
    usable: Mask = found.values > floor  # False for NaN
    keep: Mask = np.asarray(usable.all(axis=0))
    lost = int((~keep).sum())
    notes = (f"left out {lost} of {len(keep)} steps: at the noise floor",) if lost else ()
    points, values = binned(found.steps[keep], found.values[:, keep], scale)
    values, names, said = distinct(values, found.names)
    kept = [found.names.index(name) for name in names]
    beside = [column(part, key)[rows[kept]] for key in claim.others]
    return Series(
        claim.axis, *claim.key, arm, points, values, names,
        excluded=int((~usable).sum()), notes=notes + said, runs=part.rows[rows],
        undrawn=undrawn(part, rows), deterministic=quantity.deterministic,
        beside=beside[0] if beside else np.empty(0),
    )  # fmt: skip


def binned(steps: Array, values: Array, scale: Scale) -> tuple[Array, Array]:
    """(p,) middles of the parts that have a step, and (R, p) means of logarithms there, as values.

    A power law (on equal parts of log x), or an exponential (of x), stays exactly what it is.
    """
    if len(steps) == 0:
        return steps, values
    x = np.log(steps) if scale == "log" else steps
    edges = np.linspace(x[0], x[-1], STEP_BINS + 1)[1:-1]
    place = np.searchsorted(edges, x, side="right")
    bins = np.unique(place)
    middle = np.array([x[place == one].mean() for one in bins])
    means = np.stack([np.log(values[:, place == one]).mean(axis=1) for one in bins], axis=1)
    return (np.exp(middle) if scale == "log" else middle), np.exp(means)
