"""Records on disk: ``results/<id>/`` with run.json, trace.npz and, where saved, arrays.

``run.json`` holds config, environment, terms, bounds and checks, sealed by a checksum;
``trace.npz`` the recorded steps; ``params.safetensors`` parameters and, where saved, inputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ntkbound.core.errors import InputError, StaleError
from ntkbound.core.npz import arrays_of
from ntkbound.core.record import SCHEMA, Record
from ntkbound.core.registry import known
from ntkbound.core.sound import plain
from ntkbound.runs.files import write_text, write_whole

SEAL = ',\n "sha256": "'
RUN, TRACE, PARAMS, FAILED = "run.json", "trace.npz", "params.safetensors", "failed.json"


def write(record: Record, folder: Path) -> Record:
    """Writes ``folder/<id>/`` atomically and returns the record with its path.

    Raises ValueError if a number is not finite: a record never holds NaN or infinity.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    target = folder / record.id
    written = record

    def fill(sibling: Path) -> None:
        nonlocal written
        sibling.mkdir()
        np.savez(sibling / TRACE, allow_pickle=False, **record.trace)
        if record.arrays:
            arrays = {name: np.ascontiguousarray(a) for name, a in record.arrays.items()}
            try:
                save_file(arrays, sibling / PARAMS)
            except SafetensorError as error:  # its way of telling a full disk
                raise OSError(str(error)) from None
        files = {path.name: _sha256(path) for path in sorted(sibling.iterdir())}
        written = replace(record, files=files, path=target)
        (sibling / RUN).write_text(sealed(written.as_json()), encoding="utf-8")

    write_whole(target, fill)
    clear_failure(folder, record.id)
    return written


def clear_failure(folder: Path, identifier: str) -> None:
    """Forgets an earlier failure of a run that has its record now."""
    (folder / f"{identifier}.{FAILED}").unlink(missing_ok=True)


def write_failure(folder: Path, identifier: str, config: Mapping[str, Any], reason: str) -> None:
    """Leaves ``<id>.failed.json`` beside the records: the reason, and what to run again."""
    data = {"schema": SCHEMA, "id": identifier, "config": dict(config), "reason": reason}
    write_text(folder / f"{identifier}.{FAILED}", _json(data))


def read(path: Path | str) -> Record:
    """A whole record from its folder or its run.json; every defect is an InputError."""
    path = Path(path)
    folder = path.parent if path.name == RUN else path
    record = read_run_json(folder / RUN)
    check_files(record)
    return replace(record, trace=dict(record.trace), arrays=_read_arrays(folder / PARAMS))


def sealed(data: Mapping[str, Any]) -> str:
    """The text of a run.json: JSON whose last entry is the SHA-256 of all that comes before it."""
    head = _json(data).removesuffix("\n}\n")
    return f'{head}{SEAL}{hashlib.sha256(head.encode()).hexdigest()}"\n}}\n'


def read_run_json(path: Path, *, current: bool = True) -> Record:
    """The content of one run.json; absent or damaged is an InputError, of another schema or, where
    it has to be ``current``, of another version of its theorem a StaleError. A theorem that is not
    known here has no version."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such record; accepted: a folder with a {RUN}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable record ({error})") from None
    if not isinstance(data, dict) or "schema" not in data:
        raise InputError(f"{path}: not a record of ntkbound")
    if data["schema"] != SCHEMA:
        raise StaleError(path, f"schema {data['schema']} is not {SCHEMA}")
    head, _, tail = text.rpartition(SEAL)
    if tail != hashlib.sha256(head.encode()).hexdigest() + '"\n}\n':
        raise InputError(f"{path}: damaged: its content does not match its checksum")
    try:
        record = Record.from_json(data, path.parent)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{path}: not a record of ntkbound") from None
    theorem = known(record.theorem)
    if current and theorem is not None and record.version != theorem.version:
        raise StaleError(path, f"version {record.version} is not {theorem.version}")
    if current and theorem is not None and record.code.get("theorem") != theorem.file_sha256:
        raise StaleError(path, f"made by another file than this theorem {theorem.name}")
    return replace(record, trace=Trace(path.parent / TRACE, str(record.files.get(TRACE))))


@dataclass(frozen=True, eq=False)
class Trace(Mapping[str, np.ndarray]):
    """The arrays of a trace.npz, read when the first of them is asked for.

    Asking raises InputError where the file is missing, or not as it was written.
    """

    path: Path
    sha256: str

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        try:
            content = self.path.read_bytes()
            if hashlib.sha256(content).hexdigest() != self.sha256:
                raise ValueError("damaged; run it again")
            return arrays_of(content)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: cannot be read ({error})") from None

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def check_files(record: Record) -> None:
    """Raises InputError if a file of the record is missing or not as it was written."""
    for name, expected in record.files.items():
        path = record.folder / Path(name).name
        if not path.is_file() or _sha256(path) != expected:
            raise InputError(f"{path}: missing or damaged; run it again")


def _json(data: Mapping[str, Any]) -> str:
    told = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False, default=plain)
    return told + "\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.exists():
        return {}
    try:
        arrays: dict[str, np.ndarray] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    return arrays
