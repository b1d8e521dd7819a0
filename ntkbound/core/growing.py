"""More seeds of a preset: the same runs, at further values of its seed axis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from ntkbound.core.errors import InputError
from ntkbound.core.preset import Assignment, Preset
from ntkbound.core.registry import DEFAULT, find

SEED = "seed"  # what a preset without a seed axis has one of


def seeds_of(preset: Preset) -> int:
    """How many seeds a preset has: the most of any cell of equal other fields.

    Raises InputError where its seeds are no single axis.
    """
    cells = _cells(preset)
    _growing(preset, cells)
    return max(len(seeds) for _, seeds in cells.values())


def with_seeds(preset: Preset, seeds: int) -> Preset:
    """The preset with as many more seeds in every cell as make it one of so many.

    The fields that differ between its seeds go on by one from their largest value, all of them
    together; a preset without a seed axis has one seed, and ``seed`` goes on. Raises InputError
    where its seeds are no single axis.
    """
    cells = _cells(preset)
    names = _growing(preset, cells)
    more = seeds - max(len(own) for _, own in cells.values())
    every = [seed for _, own in cells.values() for seed in own]
    last = {name: max(seed[name] for seed in every if name in seed) for name in names}
    added = tuple(
        {**rest, **own[-1], **{name: last[name] + k for name in names if name in own[-1]}}
        for rest, own in cells.values()
        for k in range(1, more + 1)
    )
    return replace(preset, grid=preset.grid + added)


Cells = Mapping[str, tuple[Assignment, list[Assignment]]]  # other fields → these, and their seeds


def _cells(preset: Preset) -> Cells:
    found: dict[str, tuple[Assignment, list[Assignment]]] = {}
    for point in preset.grid:
        theorem = {**preset.fixed, **point}.get("theorem", DEFAULT)
        names = find(str(theorem)).config.seeds
        rest = {name: value for name, value in point.items() if name not in names}
        seed = {name: point[name] for name in names if name in point}
        cell = found.setdefault(json.dumps(rest, sort_keys=True, default=str), (rest, []))
        seed = seed or {SEED: preset.fixed.get(SEED, 0)}
        if seed not in cell[1]:
            cell[1].append(seed)
    return found


def _growing(preset: Preset, cells: Cells) -> tuple[str, ...]:
    """The fields that differ between seeds; every one given where a cell has one seed alone."""
    names: dict[str, None] = {}
    for _, seeds in cells.values():
        for name in seeds[0]:
            values = [seed.get(name) for seed in seeds]
            if 1 < len(set(values)) < len(values):
                told = f"{name} repeats: seeds are added to a single axis (or to zipped ones)"
                raise InputError(f"{preset.name}: {told}")
            if len(set(values)) > 1:
                names[name] = None
    return tuple(names) or tuple({name: None for _, seeds in cells.values() for name in seeds[0]})
