"""A wide table made long: one column per seed, or per axis value, becomes rows.

People have ``step, seed0, seed1, …``, ``m, loss_0, loss_1, …``, ``m, seed_0_loss, seed_0_acc, …``,
and what a pivot leaves: ``step, 0, 1, 2, …``; with the axis named, ``seed, loss_m64, loss_m128``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ntkbound.core.claim import STEP
from ntkbound.core.errors import InputError
from ntkbound.core.frame import Cells, Frame, some
from ntkbound.stats.roles import SEED_WORDS, Named, looks_like_seeds

SEED, VALUE = "seed", "value"  # what the new columns are called where nothing says it
BETWEEN = r"[\s_\-.:/=(\[]*"
NUMBER = r"(?P<number>\d+(?:\.\d+)?)"

Families = Mapping[str, Mapping[float, str]]  # value → number in the name → column


def lengthened(frame: Frame, named: Named) -> Frame:
    """The table with one row per number in the names of its columns; as it is where it is long.

    It is wide where an axis that is named is no column, or else where no column looks like seeds;
    the numbers are then those of that axis, or seeds.

    Raises InputError where two values have different numbers, or a cell is no number.
    """
    axis = next((n for n in named.along if n not in frame.columns and n != STEP), "")
    if not axis and (named.seed in frame.columns or any(map(looks_like_seeds, frame.columns))):
        return frame
    words = (axis,) if axis else (*sorted(SEED_WORDS, key=len, reverse=True), "s")
    families = _families(frame, named, words)
    if not families:
        return frame
    index = axis or named.seed or SEED
    first, *others = families
    for other in others:
        apart = [f"{n:g}" for n in sorted(families[first].keys() ^ families[other].keys())]
        if apart:
            told = f"of {first} and {other} only one has a column for {index} {some(apart)}"
            raise InputError(f"{frame.source}: {told}", field="value")
    members = {column for family in families.values() for column in family.values()}
    return _stacked(frame, families, index, members)


def _stacked(frame: Frame, families: Families, index: str, members: set[str]) -> Frame:
    count = len(frame.rows)
    numbers = list(next(iter(families.values())))
    tiled = np.tile(np.arange(count), len(numbers))
    long = frame.take(tiled)
    columns = {name: cells for name, cells in long.columns.items() if name not in members}
    columns[index] = Cells(np.repeat(numbers, count))
    for name, family in families.items():
        columns[name] = Cells(np.concatenate([frame.numbers(family[n]) for n in numbers]))
    shown = some(dict.fromkeys(families))
    note = f"wide: columns {_range(families)} are {len(numbers)} values of {index} of {shown}"
    return replace(long, columns=columns, notes=(*frame.notes, note))


def _families(frame: Frame, named: Named, words: Sequence[str]) -> Families:
    """Columns that differ in a number alone, two at least, and that hold mostly numbers."""
    word = "|".join(map(re.escape, words))
    patterns = [
        re.compile(rf"(?:{word}){BETWEEN}{NUMBER}[\s_\-.:/]+(?P<name>.+)", re.IGNORECASE),
        re.compile(
            rf"(?:(?P<name>.*?)(?:{BETWEEN}(?<![A-Za-z])(?:{word}))?{BETWEEN})?{NUMBER}[)\]]?",
            re.IGNORECASE,
        ),
    ]
    nameless = [name for name in named.values if name not in frame.columns]
    found: dict[str, dict[float, str]] = {}
    taken = {*named.fields, *named.along, named.seed}
    for column, cells in frame.columns.items():
        if column in taken:
            continue
        matches = (pattern.fullmatch(column) for pattern in patterns)
        match = next((match for match in matches if match), None)
        if match is None or cells.share <= 0.5:
            continue
        name = match["name"] or (nameless[0] if len(nameless) == 1 else VALUE)
        found.setdefault(name, {})[float(match["number"])] = column
    return {
        name: dict(sorted(family.items()))
        for name, family in found.items()
        if len(family) > 1 and (name in named.values or not named.values)
    }


def _range(families: Families) -> str:
    family = list(next(iter(families.values())).values())
    return f"{family[0]} … {family[-1]}"
