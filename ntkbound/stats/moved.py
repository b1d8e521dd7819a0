"""Which numbers moved between two versions of the same runs, how much, and in which arms?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import stdtr

from ntkbound.core.quantity import Key, Quantity
from ntkbound.core.tolerance import EPSILON, FACTOR, REPEATED
from ntkbound.stats.columns import Array, Mask, Part, Rows
from ntkbound.stats.inference import holm, t_quantile
from ntkbound.stats.margins import CHECK_LEVEL
from ntkbound.stats.matching import Matched
from ntkbound.stats.observations import Arm

FEWEST_SEEDS = 2  # a mean of one has no spread


class Name(NamedTuple):
    """A measured number, or the `place`-th bound beside it."""

    kind: Literal["measured", "bound"]
    key: Key
    place: int = 0


@dataclass(frozen=True, eq=False)
class Numbers:
    """The same numbers on both sides: `names` (K), `old` and `new` (P, K), NaN where there is
    none, of the pairs of `matched`."""

    matched: Matched
    names: tuple[Name, ...]
    old: Array
    new: Array


@dataclass(frozen=True)
class Drift:
    """A common shift of all matched runs: the mean over seeds of 2(b − a)/(|a| + |b|).

    low, high: its interval at 95 %; p: of "no shift", by the t-test paired over seeds, after Holm
    over all statistics; found: at 1 %, and beyond what rounding explains.
    """

    shift: float
    low: float
    high: float
    seeds: int
    p: float
    found: bool


@dataclass(frozen=True)
class Largest:
    """The run, by its new id, in which a number moved most, relative to its size and beyond
    rounding."""

    run: str
    old: float
    new: float


@dataclass(frozen=True)
class ArmMoved:
    """The same in one arm; ratio: the median of new/old over the runs that differ, None if none."""

    arm: Arm
    runs: int
    differ: int
    changed: int
    ratio: float | None


@dataclass(frozen=True)
class Moved:
    """One number over all matched runs.

    runs: that have it on both sides; differ: in how many of them at all; changed: in how many
    beyond the tolerance; gone, added: on the old or new side alone; drift: None with one seed.
    """

    theorem: str
    name: Name
    runs: int
    differ: int
    changed: int
    gone: int
    added: int
    ratio: float | None
    largest: Largest | None
    arms: tuple[ArmMoved, ...]
    drift: Drift | None

    @property
    def key(self) -> Key:
        return self.name.key

    @property
    def counts(self) -> bool:
        """Whether it is a change, and not only other bits."""
        drifts = self.drift is not None and self.drift.found
        return bool(self.changed or self.gone or self.added or drifts)

    @property
    def differs(self) -> bool:
        return bool(self.differ or self.gone or self.added)

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        del told["name"]
        arms = [{**asdict(arm), "arm": dict(arm.arm)} for arm in self.arms]
        own = {"kind": self.name.kind, **self.key._asdict(), "place": self.name.place}
        return {"theorem": self.theorem, **own, **told, "arms": arms}


def measured(matched: Matched) -> Numbers:
    """All measured numbers of both sides."""
    keys = sorted({*matched.old.keys, *matched.new.keys})
    old = _values(matched.old, keys)[matched.first]
    new = _values(matched.new, keys)[matched.second]
    return Numbers(matched, tuple(Name("measured", key) for key in keys), old, new)


def moved(numbers: Sequence[Numbers], tolerance: float) -> list[Moved]:
    """What became of every number, those that are equal to the bit included, in order.

    A number has changed where |b − a| > tolerance·max(|a|, |b|) and its amplitude by more than its
    rounding. Drifts of all of them are tested together.
    """
    found = [one for table in numbers for one in _moved(table, tolerance)]
    drifts = [one.drift for one in found if one.drift is not None]
    adjusted = iter(holm([drift.p for drift in drifts]))
    return [
        one if one.drift is None else replace(one, drift=_judged(one.drift, next(adjusted)))
        for one in found
    ]


def _judged(drift: Drift, p: float) -> Drift:
    return replace(drift, p=p, found=drift.found and p <= CHECK_LEVEL)


def _values(part: Part, keys: Sequence[Key]) -> Array:
    """(N, K) columns of a part, NaN for keys it has not."""
    found = np.full((len(part.ids), len(keys)), np.nan)
    place = {key: k for k, key in enumerate(part.keys)}
    for k, key in enumerate(keys):
        if key in place:
            found[:, k] = part.values[:, place[key]]
    return found


def _moved(numbers: Numbers, tolerance: float) -> list[Moved]:
    matched, old, new = numbers.matched, numbers.old, numbers.new
    quantities = [matched.new.declared.quantity(name.key) for name in numbers.names]
    real = _beyond_rounding(old, new, quantities)
    size = np.maximum(np.abs(old), np.abs(new))
    changed: Mask = real & (np.abs(new - old) > tolerance * size)
    both: Mask = ~np.isnan(old) & ~np.isnan(new)
    differ: Mask = both & (old != new)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(real, 2 * (new - old) / (np.abs(old) + np.abs(new)), 0.0)
        ratio = np.where(differ & (old != 0), new / old, np.nan)
    shift[~both] = np.nan
    drifts = _drifts(shift, _units(matched), _rounding(matched, quantities))
    arms = _arms(matched)
    found = []
    for k, name in enumerate(numbers.names):
        rows = np.flatnonzero(both[:, k])
        own = [
            ArmMoved(
                arm, int(both[r, k].sum()), int(differ[r, k].sum()), int(changed[r, k].sum()),
                _median(ratio[r, k]),
            )
            for arm, r in arms
            if both[r, k].any()
        ]  # fmt: skip
        largest = None
        if real[:, k].any():
            most = rows[np.argmax(np.abs(shift[rows, k]))]
            identifier = matched.new.ids[matched.second[most]]
            largest = Largest(identifier, float(old[most, k]), float(new[most, k]))
        found.append(
            Moved(
                matched.theorem, name, len(rows), int(differ[:, k].sum()), int(changed[:, k].sum()),
                int((~np.isnan(old[:, k]) & np.isnan(new[:, k])).sum()),
                int((np.isnan(old[:, k]) & ~np.isnan(new[:, k])).sum()),
                _median(ratio[:, k]), largest, tuple(own), drifts[k],
            )
        )  # fmt: skip
    return found


def _beyond_rounding(old: Array, new: Array, quantities: Sequence[Quantity]) -> Mask:
    """(P, K) whether amplitudes differ by more than the rounding of sums of numbers of size 1; of
    a square, its root."""
    square = np.array([quantity.noise == "square" for quantity in quantities], dtype=bool)
    a = np.where(square, np.sqrt(np.maximum(old, 0)), old)
    b = np.where(square, np.sqrt(np.maximum(new, 0)), new)
    return np.asarray(np.abs(b - a) > FACTOR * EPSILON["float64"])


def _rounding(matched: Matched, quantities: Sequence[Quantity]) -> Array:
    """(K,) mean shifts that rounding explains: of what was trained, that of the dtype trained in.

    Rounding need not average out, so that a significant shift of this size is no drift.
    """
    column = matched.new.fields.get(matched.new.declared.precision)
    dtypes = [] if column is None else [str(column.values[c]) for c in set(column.codes.tolist())]
    trained = max((FACTOR * EPSILON.get(d, 0.0) for d in dtypes), default=0.0)
    return np.array([max(REPEATED, trained if q.trained else 0.0) for q in quantities])


def _units(matched: Matched) -> Rows:
    """(P,) the seed of every pair: the theorem's first seed field, all of them where it does not
    vary, so that runs that may share draws count once."""
    part = matched.new
    names = part.seeds
    if names and part.fields[names[0]].varies:
        names = names[:1]
    return part.codes(names, matched.second)


def _arms(matched: Matched) -> list[tuple[Arm, Rows]]:
    """Pairs that differ in seeds alone, by the fields that vary on the new side."""
    part = matched.new
    names = part.varying()
    codes = part.codes(names, matched.second)
    order = np.argsort(codes, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []:
        arm = tuple((name, part.text(name, matched.second[rows[0]])) for name in names)
        found.append((arm, rows))
    return found


def _drifts(shift: Array, unit: Rows, least: Array) -> list[Drift | None]:
    """Per column of shift (P, K) the t-test of mean 0 over seeds; p uncorrected yet."""
    seeds = unit.max(initial=-1) + 1
    known = ~np.isnan(shift)
    totals, counts = np.zeros((seeds, shift.shape[1])), np.zeros((seeds, shift.shape[1]))
    np.add.at(totals, unit, np.where(known, shift, 0.0))
    np.add.at(counts, unit, known)
    found: list[Drift | None] = []
    for k in range(shift.shape[1]):
        has = counts[:, k] > 0
        means, n = totals[has, k] / counts[has, k], int(has.sum())
        if n < FEWEST_SEEDS:
            found.append(None)
            continue
        mean, error = float(means.mean()), float(means.std(ddof=1) / np.sqrt(n))
        exact = float(mean == 0)  # all seeds shifted alike: no noise
        p = 2 * float(stdtr(n - 1, -abs(mean) / error)) if error else exact
        half = t_quantile(n) * error
        found.append(Drift(mean, mean - half, mean + half, n, p, abs(mean) > float(least[k])))
    return found


def _median(ratio: Array) -> float | None:
    known = ratio[np.isfinite(ratio)]
    return float(np.median(known)) if len(known) else None
