"""Presets: a TOML file that declares many runs and what they should show.

``[run]`` holds fixed fields of a run. ``[sweep]`` holds one axis per key: a list, a range
``{from, to, step}`` or a geometric range ``{from, to, factor}``, both ends included; ``seed`` is
an axis like any other, and ``[[sweep.zip]]`` tables hold lists of equal length that vary together.
Every combination is one run; several ``[[sweep]]`` tables are several grids over the same fixed
fields, such as one per axis. ``[[claim]]`` tables say what is claimed; without any, the theorem's
own claims are judged.

The fields are those of the theorem that ``theorem`` names, in ``[run]`` or as an axis of
``[sweep]``; the default one where it is not given.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError

from ntkbound.core.claim import FORMS, Claim, axis_of
from ntkbound.core.config import Config, cause, fields_of, load
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.registry import DEFAULT, configure, find, theorems, with_code
from ntkbound.core.theorem import Theorem
from ntkbound.core.userfile import UserCodeError

Assignment = dict[str, Any]

TABLES = ("run", "sweep", "claim", "title")
SUFFIX = ".toml"


@dataclass(frozen=True)
class Preset:
    """A parsed preset.

    name: how messages call it, a path or a name. fixed: what ``[run]`` gives; grid: the
    assignments over it, one per run. claims: as written; empty where the theorem's own count.
    """

    name: str
    title: str
    fixed: Assignment
    grid: tuple[Assignment, ...]
    claims: tuple[Claim, ...]

    def configs(self, base_seed: int = 0) -> list[Config]:
        """One resolved config per run, duplicates dropped; ``base_seed`` is added to every seed.

        Raises InputError naming the preset and the field.
        """
        built: dict[str, Config] = {}
        for point in self.grid:
            fields = {**self.fixed, **point}
            config = configure(_moved(fields, base_seed), self.name)
            built[find(config.theorem).identity(config)] = config
        return list(built.values())


def load_preset(reference: str | Path) -> Preset:
    """Reads a preset: ``FILE.toml``, the name of one that travels with the package (``smoke``,
    ``paper/width``), or ``THEOREM/NAME``, one of a theorem's own.

    Every defect is an InputError of one line.
    """
    if PurePath(reference).suffix == SUFFIX:
        path = Path(reference)
        tables = tables_of(path, str(reference))
        return parse_preset(tables, str(reference), path.stem, folder=path.parent)
    name = PurePath(reference).as_posix()
    theorem, text = _named(name)
    return parse_preset(tables_of(text, name), name, name, theorem=theorem)


def fields_of_run(reference: str) -> tuple[dict[str, Any], bool]:
    """Fields of one run, and whether they are a record's, resolved: of a TOML file, of a record's
    run.json, or the ``[run]`` of a preset that goes by name.

    Raises InputError naming the reference.
    """
    path = Path(reference)
    if path.suffix in (SUFFIX, ".json") or path.is_file():
        fields, recorded = load(path)
        return (fields if recorded else _of_file(fields, path)), recorded
    try:
        theorem, text = _named(path.as_posix())
        fields = fields_of(tables_of(text, reference), "run")
    except InputError as error:
        raise InputError(str(error), field="config", value=reference) from None
    return ({} if theorem is None else {"theorem": theorem}) | fields, False


def _of_file(fields: Assignment, path: Path) -> Assignment:
    """The fields of a TOML file, with the Python files that they name read."""
    try:
        return with_code(fields, path.parent)
    except UserCodeError as error:
        raise UserCodeError(str(error), field="config", value=path) from error.__cause__
    except InputError as error:
        raise InputError(str(error), field="config", value=path) from None


def _named(name: str) -> tuple[str | None, str | Path]:
    """The theorem that a preset of this name implies (None: none), and its text or its path.

    Raises InputError naming the nearest.
    """
    shipped = _shipped().get(name)
    if shipped is not None:
        return None, shipped
    own = _own()
    if name not in own:
        told = nearest(name, [*_shipped(), *own])
        raise InputError(
            f"preset {name!r} is unknown{told}; accepted: a name that ntkbound presets lists, a "
            f"file that ends in {SUFFIX}"
        )
    return own[name]


def is_preset(reference: str) -> bool:
    """Whether this names a preset: a TOML file, or one that is known by name and no folder."""
    if PurePath(reference).suffix == SUFFIX:
        return True
    known = {**_shipped(), **_own()}
    return reference in known or not Path(reference).exists()


def preset_names() -> dict[str, str]:
    """Name → title of every preset that can be named: those of the package, then the theorems'."""
    texts: dict[str, str | Path] = {**_shipped()}
    texts |= {name: text for name, (_, text) in _own().items()}
    return {name: str(tables_of(text, name).get("title", name)) for name, text in texts.items()}


def parse_preset(
    data: Mapping[str, Any],
    where: str,
    title: str,
    *,
    theorem: str | None = None,
    folder: Path | None = None,
) -> Preset:
    """A preset from its tables; ``where`` opens every message, ``title`` is used if none is given,
    and ``theorem`` if none is named. folder: that of a file that the user named, so that the Python
    files which it names are executed; None: none are.

    Raises InputError naming the first defect.
    """
    for table in data:
        if table not in TABLES:
            raise InputError(f"{where}: unknown table {table!r}{nearest(table, TABLES)}")
    implied = {} if theorem is None else {"theorem": theorem}
    fixed = implied | _table(where, "run", data.get("run", {}))
    given = data.get("sweep", {})
    sweeps = given if isinstance(given, list) else [given]
    grid = tuple(point for table in sweeps for point in _grid(where, _table(where, "sweep", table)))
    if folder is not None:
        fixed, grid = _with_code(where, fixed, grid, folder)
    claims = tuple(
        read_claim(table, where) for table in _tables(where, "[claim]", data.get("claim", []))
    )
    preset = Preset(where, str(data.get("title", title)), fixed, grid, claims)
    configs = preset.configs()  # every mistake is told now, before anything is run
    if fixed or given:  # else it holds claims alone, about runs made elsewhere
        understand(preset, configs)
    return preset


def read_claim(table: Mapping[str, Any], where: str) -> Claim:
    """A claim from a ``[[claim]]`` table; every mistake is one line that opens with ``where``."""
    form = table.get("form", "rate")
    if form not in FORMS:
        told = nearest(str(form), FORMS) or f"; accepted: {', '.join(FORMS)}"
        raise InputError(f"{where}: [[claim]] form: {form!r} is unknown{told}")
    accepted = FORMS[form].model_fields
    for name in table:
        if name not in accepted:
            told = nearest(name, accepted) or f"; accepted: {', '.join(accepted)}"
            raise InputError(f"{where}: [[claim]] {name}: no such key of form {form!r}{told}")
    try:
        return Claim(**table)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ")
        told = f"{field}: {message[0].lower()}{message[1:]}" if field else message
        raise InputError(f"{where}: [[claim]] {told}") from None


def understand(claims: Preset, configs: Sequence[Config]) -> None:
    """Whether the claims of a preset can be judged over these runs, before any of them is run.

    Raises InputError naming the preset, and the first claim's key that is about nothing any of the
    runs measures, or an axis along which they do not vary.
    """
    understand_names(claims, {config.theorem for config in configs})
    varying = [name for name in type(configs[0]).model_fields if _varies(configs, name)]
    follow = {name for one in configs for name in find(one.theorem).follows(one.model_dump())}
    for claim in claims.claims:
        # What follows from other fields, or from data not looked at yet, may vary with them.
        unset = [n for n in claim.along if any(getattr(one, n, None) is None for one in configs)]
        if (
            claim.along
            and len(configs) > 1
            and follow.union(varying, unset).isdisjoint(claim.along)
        ):
            told = f"does not vary here; varying: {', '.join(varying)}"
            raise InputError(f"{claims.name}: [[claim]] axis: {axis_of(claim)!r} {told}")


def understand_names(claims: Preset, theorems: Collection[str]) -> None:
    """Whether one of these theorems declares what each claim of a preset is about.

    Raises InputError naming the preset and the key at fault.
    """
    about = [find(name) for name in sorted(theorems)]
    for claim in claims.claims:
        refusals = [error for theorem in about if (error := _refusal(theorem, claim)) is not None]
        if len(refusals) == len(about):
            raise InputError(f"{claims.name}: [[claim]] {refusals[0]}")


def _refusal(theorem: Theorem, claim: Claim) -> InputError | None:
    """Why a claim is not about this theorem's numbers."""
    try:
        theorem.understand(claim)
    except InputError as error:
        return error
    return None


def _varies(configs: Sequence[Config], name: str) -> bool:
    return len({str(getattr(config, name, None)) for config in configs}) > 1


def _shipped() -> dict[str, Path]:
    """Name → file of the presets of the package, the shorter names first.

    They lie inside an installed package, and beside the package in a checkout.
    """
    package = Path(__file__).parents[1]
    inside = package / "presets"
    folder = inside if inside.is_dir() else package.parent / "presets"
    paths = sorted(folder.rglob(f"*{SUFFIX}"), key=lambda path: (len(path.parts), path))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def _own() -> dict[str, tuple[str, str | Path]]:
    """``THEOREM/NAME`` → the theorem and the text or the path of each theorem's own presets."""
    return {
        f"{name}/{preset}": (name, text)
        for name, theorem in theorems().items()
        for preset, text in theorem.presets.items()
    }


def tables_of(text: str | Path, where: str) -> dict[str, Any]:
    """The tables of a TOML text, or of the file at a path. Raises InputError opening with
    ``where``."""
    try:
        return tomllib.loads(text if isinstance(text, str) else text.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({cause(error)})") from None
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _moved(fields: Assignment, base_seed: int) -> Assignment:
    """The fields with ``base_seed`` added to ``seed`` and to every other seed that is given."""
    if not base_seed:
        return fields
    seeds = find(str(fields.get("theorem", DEFAULT))).config.seeds
    given = {"seed": 0} | {name: fields[name] for name in seeds if name in fields}
    return fields | {name: seed + base_seed for name, seed in given.items()}


def _grid(where: str, table: Mapping[str, Any]) -> list[Assignment]:
    """Every combination of one sweep table's axes."""
    sweep = dict(table)
    zipped = _tables(where, "[sweep.zip]", sweep.pop("zip", []))
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


def _with_code(
    where: str, fixed: Assignment, grid: tuple[Assignment, ...], folder: Path
) -> tuple[Assignment, tuple[Assignment, ...]]:
    """Fixed fields and grid, with the Python files that they name read."""
    try:
        fixed = with_code(fixed, folder)
        about = {"theorem": fixed["theorem"]} if "theorem" in fixed else {}
        found = [with_code(about | point, folder) for point in grid]
    except UserCodeError as error:
        raise UserCodeError(f"{where}: {error}") from error.__cause__
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    kept = zip(grid, found, strict=True)
    return fixed, tuple({name: new[name] for name in point} for point, new in kept)


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
