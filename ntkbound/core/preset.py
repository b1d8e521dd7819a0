"""Presets: a TOML file that declares many runs and what they should show.

``[run]`` holds fixed fields of a run. ``[sweep]`` holds one axis per key: a list, a range
``{from, to, step}`` or a geometric range ``{from, to, factor}``, both ends included; ``seed`` is
an axis like any other, and ``[[sweep.zip]]`` tables hold lists of equal length that vary together.
Every combination is one run; several ``[[sweep]]`` tables are several grids over the same fixed
fields, such as one per axis. ``[[claim]]`` tables say what is claimed; without any, the theorem's
own claims are judged.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError, nearest
from ntkbound.theorems.shallow_transformer.config import RunConfig, build

Assignment = dict[str, Any]

SEEDS = ("seed", "data_seed", "teacher_seed", "init_seed")
TABLES = ("run", "sweep", "claim", "title")


@dataclass(frozen=True)
class Preset:
    """A parsed preset: fixed fields, the grid of assignments over them, and its claims."""

    name: str
    title: str
    fixed: Assignment
    grid: tuple[Assignment, ...]
    claims: tuple[Claim, ...]

    def configs(self, base_seed: int = 0) -> list[RunConfig]:
        """One resolved config per run, duplicates dropped; ``base_seed`` is added to every seed.

        Raises InputError naming the preset and the field.
        """
        built = []
        for point in self.grid:
            fields = {**self.fixed, **point}
            if base_seed:
                own = {name: fields[name] for name in SEEDS if name in fields}
                fields |= {name: seed + base_seed for name, seed in {"seed": 0, **own}.items()}
            built.append(build(fields, self.name))
        return list({config.identity(): config for config in built}.values())


def load_preset(path: Path) -> Preset:
    """Reads a preset. Every defect is an InputError of one line."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    return parse_preset(data, str(path), path.stem)


def parse_preset(data: Mapping[str, Any], where: str, title: str) -> Preset:
    """A preset from its tables; ``where`` opens every message, ``title`` is used if none is given.

    Raises InputError naming the first defect.
    """
    for table in data:
        if table not in TABLES:
            raise InputError(f"{where}: unknown table {table!r}{nearest(table, TABLES)}")
    fixed = _table(where, "run", data.get("run", {}))
    _known(where, fixed)
    given = data.get("sweep", {})
    sweeps = given if isinstance(given, list) else [given]
    grid = tuple(point for table in sweeps for point in _grid(where, _table(where, "sweep", table)))
    claims = tuple(
        _claim(where, table) for table in _tables(where, "[claim]", data.get("claim", []))
    )
    preset = Preset(where, str(data.get("title", title)), dict(fixed), grid, claims)
    preset.configs()  # every mistake in any run is told now, before anything is run
    return preset


def _known(where: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in RunConfig.model_fields:
            accepted = nearest(name, RunConfig.model_fields)
            raise InputError(f"{where}: unknown field {name!r}{accepted}")


def _grid(where: str, table: Mapping[str, Any]) -> list[Assignment]:
    """Every combination of one sweep table's axes."""
    sweep = dict(table)
    zipped = _tables(where, "[sweep.zip]", sweep.pop("zip", []))
    _known(where, itertools.chain(sweep, *zipped))
    axes = [[{name: value} for value in _values(where, name, spec)] for name, spec in sweep.items()]
    axes += [_zip(where, columns) for columns in zipped]
    return [
        {name: value for point in points for name, value in point.items()}
        for points in itertools.product(*axes)
    ]


def _tables(where: str, name: str, value: object) -> list[Assignment]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise InputError(f"{where}: {name} must be an array of tables, [{name}]")
    return value


def _table(where: str, name: str, value: object) -> Assignment:
    if not isinstance(value, dict):
        raise InputError(f"{where}: [{name}] must be a table")
    return value


def _values(where: str, name: str, spec: Any) -> list[Any]:
    if isinstance(spec, list) and spec:
        return spec
    known = {"from", "to", "step", "factor"}
    if isinstance(spec, dict) and {"from", "to"} <= set(spec) <= known and _numbers(spec):
        start, stop = spec["from"], spec["to"]
        if stop < start:
            raise InputError(
                f"{where}: [sweep] {name} is empty: to = {stop} is below from = {start}"
            )
        if "factor" in spec and spec["factor"] > 1 and start > 0:
            return list(_geometric(start, stop, spec["factor"]))
        if "factor" not in spec and (step := spec.get("step", 1)) > 0:
            return [start + k * step for k in range(int((stop - start) / step + 1e-9) + 1)]
    raise InputError(
        f"{where}: [sweep] {name} must be a list, {{from, to, step}} or {{from, to, factor}}"
    )


def _numbers(spec: Mapping[str, Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in spec.values())


def _geometric(start: float, stop: float, factor: float) -> Iterator[float]:
    value, whole = start, isinstance(start, int) and isinstance(factor, int)
    while value <= stop * (1 + 1e-9):
        yield value if whole else round(value, 12)
        value *= factor


def _zip(where: str, table: Mapping[str, Any]) -> list[Assignment]:
    columns = {name: _values(where, name, spec) for name, spec in table.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{name} has {k}" for name, k in lengths.items())
        raise InputError(f"{where}: zipped axes must have equal lengths ({told})")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _claim(where: str, table: Any) -> Claim:
    try:
        return Claim.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: [[claim]] {field}: {first['msg'].lower()}") from None
