"""A record: everything one run has to say, on disk as ``results/<id>/``.

``run.json`` holds config, environment, terms, bounds and checks; ``trace.npz`` the recorded steps;
``params.safetensors`` the parameters (``initial.c``, ``final.W``, …) and, where saved, X, q and y.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.npz import arrays_of
from ntkbound.runs.files import write_text, write_whole
from ntkbound.theorems.shallow_transformer.config import SCHEMA, RunConfig

Array = TypeVar("Array")  # NumPy's or torch's

SEAL = ',\n "sha256": "'
RUN, TRACE, PARAMS, FAILED = "run.json", "trace.npz", "params.safetensors", "failed.json"


@dataclass(frozen=True)
class Record:
    """One run, in memory as on disk. ``params`` may be empty where they were not saved."""

    data: dict[str, Any]
    trace: dict[str, np.ndarray] = field(repr=False)
    params: dict[str, np.ndarray] = field(repr=False)
    path: Path | None = None

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def terms(self) -> dict[str, Any]:
        return dict(self.data["terms"])

    @property
    def bounds(self) -> dict[str, float | None]:
        return dict(self.data["bounds"])

    @property
    def checks(self) -> list[dict[str, Any]]:
        return list(self.data["checks"])


def run_id(config: RunConfig, data_digest: str | None) -> str:
    """A readable prefix and the first 12 hex digits of the config's identity."""
    prefix = "st" if config.task == "teacher" else (config.data_file or Path(config.task)).stem[:16]
    if config.model != "transformer":
        prefix = f"{config.model}-{prefix}"
    if config.lag is not None:
        prefix = f"{prefix}-L{config.lag}"
    safe = "".join(ch if ch.isalnum() or ch in "-_" else "-" for ch in prefix)
    name = f"{safe}-m{config.m}-tau{config.tau}-n{config.n}-s{config.seed}"
    return f"{name}-{config.identity(data_digest)[:12]}"


def write(record: Record, folder: Path) -> Record:
    """Writes ``folder/<id>/`` atomically and returns the record with its path.

    Raises ValueError if a number is not finite: a record never holds NaN or infinity.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    target = folder / record.id
    data = dict(record.data)

    def fill(sibling: Path) -> None:
        sibling.mkdir()
        np.savez(sibling / TRACE, allow_pickle=False, **record.trace)
        if record.params:
            arrays = {name: np.ascontiguousarray(a) for name, a in record.params.items()}
            try:
                save_file(arrays, sibling / PARAMS)
            except SafetensorError as error:  # its way of telling a full disk
                raise OSError(str(error)) from None
        data["files"] = {path.name: _sha256(path) for path in sorted(sibling.iterdir())}
        (sibling / RUN).write_text(sealed(data), encoding="utf-8")

    write_whole(target, fill)
    clear_failure(folder, record.id)
    return Record(data, record.trace, record.params, target)


def clear_failure(folder: Path, identifier: str) -> None:
    """Forgets an earlier failure of a run that has its record now."""
    (folder / f"{identifier}.{FAILED}").unlink(missing_ok=True)


def write_failure(folder: Path, identifier: str, config: RunConfig, reason: str) -> None:
    """Leaves ``<id>.failed.json`` beside the records: the reason, and what to run again."""
    data = {"schema": SCHEMA, "id": identifier, "config": config.model_dump(), "reason": reason}
    write_text(folder / f"{identifier}.{FAILED}", _json(data))


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def read(path: Path) -> Record:
    """A record from its folder or its run.json; every defect is an InputError."""
    folder = path.parent if path.name == RUN else path
    data = read_run_json(folder / RUN)
    check_files(folder, data)
    try:
        trace = arrays_of((folder / TRACE).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / TRACE}: cannot be read ({error})") from None
    return Record(data, trace, _read_params(folder / PARAMS), folder)


def require_saved(record: Record, *names: str) -> None:
    """Raises InputError unless the record was saved with these arrays."""
    missing = [name for name in names if name not in record.params]
    if missing:
        raise InputError(
            f"{record.id}: saved without {', '.join(missing)}; "
            "run it again with --save-params --save-inputs"
        )


def group(arrays: Mapping[str, Array], name: str) -> dict[str, Array]:
    """Block → array of one group of saved parameters (``initial``, ``final``, …)."""
    prefix = f"{name}."
    return {key[len(prefix) :]: a for key, a in arrays.items() if key.startswith(prefix)}


def sealed(data: Mapping[str, Any]) -> str:
    """The text of a run.json: JSON whose last entry is the SHA-256 of all that comes before it."""
    head = _json(data).removesuffix("\n}\n")
    return f'{head}{SEAL}{hashlib.sha256(head.encode()).hexdigest()}"\n}}\n'


def read_run_json(path: Path) -> dict[str, Any]:
    """The content of one run.json; absent, damaged or of another schema is an InputError."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such record; accepted: a folder with a {RUN}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable record ({error})") from None
    needed = {"schema", "id", "config", "terms", "bounds", "checks", "notes"}
    if not isinstance(data, dict) or not needed <= data.keys():
        raise InputError(f"{path}: not a record of ntkbound")
    if data["schema"] != SCHEMA:
        raise InputError(f"{path}: schema {data['schema']} is not {SCHEMA}; run it again")
    head, _, tail = text.rpartition(SEAL)
    if tail != hashlib.sha256(head.encode()).hexdigest() + '"\n}\n':
        raise InputError(f"{path}: damaged: its content does not match its checksum")
    del data["sha256"]
    return data


def check_files(folder: Path, data: Mapping[str, Any]) -> None:
    """Raises InputError if a file of the record is missing or not as it was written."""
    for name, expected in data["files"].items():
        path = folder / Path(name).name
        if not path.is_file() or _sha256(path) != expected:
            raise InputError(f"{path}: missing or damaged; run it again with --force")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_params(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.exists():
        return {}
    try:
        arrays: dict[str, np.ndarray] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    return arrays
