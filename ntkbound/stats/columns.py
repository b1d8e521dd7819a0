"""Records as columns: coded config fields and a matrix of measured numbers."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkbound.theorems.shallow_transformer.config import LATER

SEED_FIELDS = ("seed", "data_seed", "teacher_seed", "init_seed")
# Not part of what is run (and not hashed): they never separate arms.
UNHASHED_FIELDS = frozenset({"out", "device", "threads", "quiet", "verbose", "verbosity", "save"})
RATIO = "rho/nu"

Key = tuple[str, str, str]
_MISSING = object()
_SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, eq=False)
class Column:
    """One config field: `codes` (N,) index its distinct `values`."""

    codes: NDArray[np.intp]
    values: tuple[Any, ...]

    @property
    def varies(self) -> bool:
        return len(self.values) > 1

    def numbers(self) -> NDArray[np.float64]:
        """(N,) the field as numbers, NaN where it is none (text, unequal blocks, absent)."""
        return np.array([as_number(value) for value in self.values])[self.codes]


@dataclass(frozen=True, eq=False)
class Table:
    """N records: `ids`, config `fields`, and `values` (N, K) of the statistics `keys` (K)."""

    ids: tuple[str, ...]
    fields: Mapping[str, Column]
    keys: tuple[Key, ...]
    values: NDArray[np.float64]


def as_number(value: object) -> float:
    """A finite config number, NaN for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return math.nan


def read_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Columns of records in the shape of run.json; values that are no numbers are NaN."""
    configs = [config_of(record) for record in records]
    names = sorted({name for config in configs for name in config})
    fields = {name: _column([c.get(name, _MISSING) for c in configs]) for name in names}
    ids = tuple(str(record.get("id", f"#{i}")) for i, record in enumerate(records))
    keys: list[Key] = []
    places: dict[tuple[str, str], dict[str, int]] = {}
    rows: list[int] = []
    columns: list[int] = []
    numbers: list[float] = []
    for row, record in enumerate(records):
        for term, probes in _items(record.get("terms")):
            for probe, statistics in _items(probes):
                known = places.setdefault((term, probe), {})
                for statistic, value in _items(statistics):
                    if type(value) is float or type(value) is int:
                        if statistic not in known:
                            known[statistic] = len(keys)
                            keys.append((term, probe, statistic))
                        rows.append(row)
                        columns.append(known[statistic])
                        numbers.append(value)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    rank = np.empty(len(keys), dtype=np.intp)
    rank[order] = np.arange(len(keys))
    values = np.full((len(records), len(keys)), np.nan)
    values[rows, rank[np.array(columns, dtype=np.intp)]] = numbers
    values[~np.isfinite(values)] = np.nan
    return Table(ids, fields, tuple(keys[k] for k in order), values)


def arm_text(value: object) -> str:
    """A config value as an arm shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def config_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The config with equal blocks as one number and derived fields named as such.

    Fields that older records lack have the values those were run with.
    """
    config = {**LATER, **(record.get("config") or {})}
    for name, value in config.items():
        if type(value) not in _SCALARS and isinstance(value, Mapping):
            config[name] = _one_number(value)
    # η = eta_scale/√τ follows τ: left as a number it would put every τ into an arm of its own.
    eta, scale, tau = (as_number(config.get(name)) for name in ("eta", "eta_scale", "tau"))
    if tau > 0 and not math.isnan(scale):
        given = config.get("eta")
        if given is None or math.isclose(eta, scale / math.sqrt(tau), rel_tol=1e-6):
            config["eta"] = "eta_scale/sqrt(tau)"
    if config["lag"] is not None:  # T and d of windows follow their lag
        config["T"] = "lag + 1"
        if config["positions"] == "onehot":
            config["d"] = "lag + 2"
    return config


def _items(value: object) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict | Mapping) else ()


def _one_number(blocks: Mapping[str, Any]) -> object:
    distinct = (
        set(blocks.values())
        if all(not math.isnan(as_number(v)) for v in blocks.values())
        else set()
    )
    return float(distinct.pop()) if len(distinct) == 1 else blocks


def _column(values: Sequence[Any]) -> Column:
    index: dict[object, int] = {}
    kept: list[Any] = []
    codes = np.empty(len(values), dtype=np.intp)
    for i, value in enumerate(values):
        key: object = value
        if type(value) is bool:
            key = (bool, value)  # True == 1 otherwise
        elif type(value) not in _SCALARS and isinstance(value, Mapping | list | tuple):
            key = json.dumps(value, sort_keys=True, default=str)
        code = index.setdefault(key, len(kept))
        if code == len(kept):
            kept.append(value)
        codes[i] = code
    # Sorted, so that neither results nor their order depend on the order of the records.
    order = sorted(range(len(kept)), key=lambda k: _rank(kept[k]))
    new = np.empty(len(kept), dtype=np.intp)
    new[order] = np.arange(len(kept))
    values = tuple(None if kept[k] is _MISSING else kept[k] for k in order)
    return Column(new[codes] if len(kept) > 1 else codes, values)


def _rank(value: object) -> tuple[bool, float, str]:
    number = as_number(value)
    text = "" if value is _MISSING else str(value)
    return (True, 0.0, text) if math.isnan(number) else (False, number, "")
