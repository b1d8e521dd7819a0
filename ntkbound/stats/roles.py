"""Which column of somebody's own table is what? Values, axis, seed, step, arms; guesses are told.

Columns that are named (by the user, or by a claim) are what they are named; the others are guessed
from their names and contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ntkbound.core.claim import STEP, Along, Claim, Order
from ntkbound.core.errors import InputError
from ntkbound.core.frame import Frame, some

SEED_WORDS = ("seed", "random_seed", "random_state", "rng", "run", "rep", "repeat", "replicate",
              "repetition", "trial", "fold")  # fmt: skip
STEP_WORDS = ("step", "global_step", "steps", "iteration", "iterations", "iter", "it", "epoch",
              "epochs", "round", "update", "updates", "t", "time_step", "timestep")  # fmt: skip
OWN = 0.75  # different values per run from which on a column is taken for a run's own


@dataclass(frozen=True)
class Named:
    """What the user and the claims name.

    values
        Measured columns. axes: the columns along which to look. seed: the column of repetitions;
        empty: not named. fields: columns by whose values claims choose runs.
    """

    values: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    seed: str = ""
    fields: tuple[str, ...] = ()

    def and_of(self, claims: Iterable[Claim]) -> Named:
        """These, and what the claims are about."""
        values, axes, fields = list(self.values), list(self.axes), list(self.fields)
        for claim in claims:
            values += [claim.key.column, *(key.column for key in claim.others)]
            axes += [claim.axis] if isinstance(claim, Along) else []
            fields += [*claim.where, *(claim.smaller if isinstance(claim, Order) else ())]
        unique = (tuple(dict.fromkeys(names)) for names in (values, axes, fields))
        return Named(*(next(unique), next(unique)), self.seed, next(unique))

    @property
    def along(self) -> tuple[str, ...]:
        """The columns that the axes are made of: one each, or both of a ratio."""
        return tuple(dict.fromkeys(name for axis in self.axes for name in axis.split("/", 1)))


@dataclass(frozen=True)
class Roles:
    """What each column is; ``ignored`` says why it is nothing, ``step`` is empty where runs have
    no steps, and ``seeds`` begins with the one that counts."""

    values: tuple[str, ...]
    axes: tuple[str, ...]
    seeds: tuple[str, ...]
    step: str
    arms: tuple[str, ...]
    ignored: Mapping[str, str] = field(default_factory=dict)

    @property
    def along(self) -> tuple[str, ...]:
        return Named(axes=self.axes).along

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns by which runs are told apart."""
        inside = {self.step, STEP} if self.step else set()
        names = (*self.arms, *(name for name in self.along if name not in inside), *self.seeds)
        return tuple(dict.fromkeys(names))

    def told(self) -> str:
        """All of it in one line."""
        parts = [f"axis {', '.join(self.axes)}" if self.axes else "no axis"]
        parts.append(f"seed column {', '.join(self.seeds)}")
        if self.step:
            parts.append(f"step column {self.step}")
        parts.append(f"values {some(self.values)}")
        line = f"{', '.join(parts)}; arms: {some(self.arms) or 'none'}"
        if self.ignored:
            line += f"; ignored: {some(f'{name} ({why})' for name, why in self.ignored.items())}"
        return line


def roles_of(frame: Frame, named: Named) -> Roles:
    """The role of every column.

    Raises InputError for a column that is named and is not there, where no column looks like
    seeds, and where none looks measured.
    """
    seeds = _seeds(frame, named)
    step = _step(frame, named, seeds)
    for name in named.along:
        if name != STEP or not step:
            frame.column(name)
    for name in named.fields:
        frame.column(name)
    for name in named.values:
        frame.column(name)
    taken = {*seeds, step, *named.along, *named.fields}
    free = [name for name in frame.columns if name not in taken]
    values = named.values or tuple(
        name for name in free if _real(frame, name) and len(frame.column(name).coded[1]) > 1
    )
    if not values:
        told = f"no column looks measured (real-valued); columns: {some(frame.columns)}"
        raise InputError(f"{frame.source}: {told}", field="value")
    rest = [name for name in free if name not in values]
    ignored = {name: "real-valued" for name in rest if _real(frame, name)}
    ignored |= {name: "another step column" for name in rest if step and _is_step(name)}
    runs = _Runs(frame, seeds, step)
    wanted = [n for n in (*named.fields, *named.along) if n in frame.columns and n != step]
    ignored |= {n: f"follows {seeds[0]}" for n in rest if runs.follows(n, seeds[0])}
    arms, more = runs.arms(wanted, [name for name in rest if name not in ignored])
    axes = named.axes or _axis(frame, [name for name in arms if name not in named.fields])
    if not axes and step:
        axes = (STEP,)
    along = Named(axes=axes).along
    arms = [name for name in arms if name not in along]
    leads = [name for name in along if name in frame.columns]
    follow = {
        n: f"follows {axis}"
        for n in arms
        for axis in leads
        if n not in wanted and runs.follows(n, axis)
    }
    arms = [name for name in arms if name not in follow]
    return Roles(values, axes, seeds, step, tuple(arms), ignored | more | follow)


def looks_like_seeds(name: str) -> bool:
    """Whether a column of this name holds repetitions: "seed", "data_seed", "Run", "trial"; not
    "seed0", which is one of them."""
    words = re.split(r"[\s_\-./]+", name.lower())
    return name.lower() in SEED_WORDS or ("seed" in words and not any(map(str.isdigit, words)))


def _seeds(frame: Frame, named: Named) -> tuple[str, ...]:
    others = {*named.values, *named.along}
    found = [name for name in frame.columns if looks_like_seeds(name) and name not in others]
    if named.seed:
        frame.column(named.seed, "seed_column")
        more = [name for name in found if name != named.seed and "seed" in name.lower()]
        return (named.seed, *more)
    if not found:
        told = f"no column looks like seeds or repetitions; columns: {some(frame.columns)}"
        raise InputError(f"{frame.source}: {told}", field="seed_column")
    found.sort(key=lambda name: (name.lower() != "seed", "seed" not in name.lower()))
    return (found[0], *(name for name in found[1:] if "seed" in name.lower()))


def _step(frame: Frame, named: Named, seeds: Sequence[str]) -> str:
    """The step column, in the order of `STEP_WORDS`; empty where no run can have steps."""
    others = {*named.values, *named.fields, *seeds, *(n for n in named.along if n != STEP)}
    found = [
        name
        for name, cells in frame.columns.items()
        if _is_step(name) and name not in others and cells.share > 0.5
    ]
    found = [name for name in found if len(frame.column(name).coded[1]) > 1]
    return min(found, key=lambda name: STEP_WORDS.index(name.lower()), default="")


def _is_step(name: str) -> bool:
    """A capital T alone is a size more often than a time."""
    return name in STEP_WORDS or (len(name) > 1 and name.lower() in STEP_WORDS)


def _real(frame: Frame, name: str) -> bool:
    """Mostly numbers, and not all of them integers; what a path says is as good as a word."""
    cells = frame.column(name)
    if name in frame.settings or cells.share <= 0.5 or cells.is_integer:
        return False
    numbers = cells.numbers[~np.isnan(cells.numbers)]
    return bool((numbers != np.rint(numbers)).any())


def _axis(frame: Frame, arms: Sequence[str]) -> tuple[str, ...]:
    """The column of numbers with the most values, two at least."""
    numeric = [name for name in arms if frame.column(name).codes is None]
    sizes = {name: len(frame.column(name).coded[1]) for name in numeric}
    best = max(sizes, key=sizes.__getitem__, default="")
    return (best,) if best and sizes[best] > 1 else ()


class _Runs:
    """How far columns tell rows and runs apart."""

    def __init__(self, frame: Frame, seeds: Sequence[str], step: str) -> None:
        self._frame, self._seeds = frame, tuple(seeds)
        self._steps = (step,) if step else ()

    def arms(
        self, wanted: Sequence[str], candidates: Sequence[str]
    ) -> tuple[list[str], dict[str, str]]:
        """The columns that tell arms (and axis values) apart, and why other candidates do not.

        A column that is known from the run and its step is no setting of the run; one with a value
        of its own in (nearly) every run leaves no two runs to compare; and one that came out of the
        runs would sort them by their results.
        """
        accepted, ignored = list(wanted), dict[str, str]()
        rest = [name for name in candidates if name not in wanted]
        for name in sorted(rest, key=lambda name: self.count(name)):
            base = (*accepted, *self._seeds)
            runs, inside = self.count(*base, name), (*base, *self._steps)
            new = runs > self.count(*base)
            if new and self._steps and self.count(*inside, name) == self.count(*inside):
                ignored[name] = "varies along the steps"
            elif name not in self._frame.settings and self.count(name) > OWN * runs:
                ignored[name] = "differs from run to run"
            else:
                accepted.append(name)
        for name in sorted(accepted, key=lambda name: -self.count(name)):
            others = [other for other in accepted if other != name]
            if name in rest and name not in self._frame.settings and self._came_out(name, others):
                ignored[name] = "varies between seeds"
                accepted = others
        return [name for name in self._frame.columns if name in accepted], ignored

    def _came_out(self, name: str, others: Sequence[str]) -> bool:
        """Whether a column is a result: it differs between the seeds of runs that are equal in the
        other columns, tells no two runs apart, and does not come with the seed alone."""
        runs = (*others, *self._seeds, *self._steps)
        return (
            self.count(*others, name) > self.count(*others)
            and self.count(*runs, name) == self.count(*runs)
            and self.count(*self._seeds, name) > self.count(*self._seeds)
        )

    def follows(self, name: str, other: str) -> bool:
        """Whether two columns of numbers go together, each value of one with one of the other."""
        if self._frame.columns[name].codes is not None or self.count(name) == 1:
            return False
        return self.count(name) == self.count(other) == self.count(name, other)

    def count(self, *names: str) -> int:
        """How many different combinations of these columns there are."""
        return int(self._frame.codes(names).max(initial=-1)) + 1
