"""What a results folder holds: records, failures, and the plans of the sweeps that fill it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ntkbound.core.config import digest
from ntkbound.core.errors import InputError, StaleError
from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.runs.files import write_text
from ntkbound.runs.record import FAILED, RUN, check_files, read_run_json

CACHE, PLANS, DATA = "cache", "plans", "data"  # folders of a results folder that are no records


@dataclass(frozen=True)
class Survey:
    """The state of every run a folder knows of, by id."""

    complete: dict[str, Record]  # by id; without trace and arrays
    failed: dict[str, str]  # id → reason
    damaged: dict[str, str]  # id → what is wrong with its record
    missing: tuple[str, ...]  # planned by a sweep, and none of the others
    stale: dict[str, str] = field(default_factory=dict)  # id → the version that it is of
    unknown: dict[str, Record] = field(default_factory=dict)  # of theorems that are not known here


def complete_record(folder: Path, identifier: str) -> Record | None:
    """The record, without trace and arrays, if it exists and none of its files is damaged."""
    try:
        record = read_run_json(folder / identifier / RUN)
        check_files(record)
    except InputError:
        return None
    return record


def records_among(paths: Sequence[Path]) -> list[Path]:
    """What of these paths may be a record: of ``results/*``, neither the folders that a results
    folder keeps for itself nor the files beside the records. All of them where nothing else is."""
    kept = [path for path in paths if not _beside_records(path)]
    return kept or list(paths)


def _beside_records(path: Path) -> bool:
    if path.is_dir():
        return path.name in (CACHE, PLANS, DATA) and not (path / RUN).exists()
    return path.is_file() and path.name != RUN


def survey(folder: Path, *, whole: bool = False) -> Survey:
    """Reads a results folder; ``whole`` also checks the files beside each run.json.

    Raises InputError if there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such results folder")
    complete: dict[str, Record] = {}
    unknown: dict[str, Record] = {}
    damaged: dict[str, str] = {}
    stale: dict[str, str] = {}
    for path in sorted(folder.glob(f"*/{RUN}")):
        if path.parent.name.startswith("."):
            continue  # the temporary sibling of a record being written
        try:
            record = read_run_json(path)
            if whole:
                check_files(record)
            told = complete if known(record.theorem) else unknown
            told[record.id] = record
        except StaleError as error:
            stale[path.parent.name] = error.reason
        except InputError as error:
            damaged[path.parent.name] = str(error)
    failed = {}
    for path in sorted(folder.glob(f"*.{FAILED}")):
        identifier = path.name.removesuffix(f".{FAILED}")
        if identifier not in complete and identifier not in unknown:
            failed[identifier] = _reason(path)
    planned = dict.fromkeys(_planned(folder))
    found = {*complete, *unknown, *failed, *damaged, *stale}
    missing = tuple(identifier for identifier in planned if identifier not in found)
    return Survey(complete, failed, damaged, missing, stale, unknown)


def write_plan(folder: Path, identifiers: Iterable[str]) -> None:
    """Remembers the runs a sweep is going to make, so that ``status`` can tell what is missing."""
    runs = sorted(identifiers)
    target = folder / PLANS / f"{digest(runs)[:12]}.json"
    if not target.exists():
        write_text(target, json.dumps({"runs": runs}, indent=1) + "\n")


def _planned(folder: Path) -> Iterator[str]:
    for path in sorted((folder / PLANS).glob("*.json")):
        try:
            yield from json.loads(path.read_text(encoding="utf-8"))["runs"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a plan of a sweep ({error})") from None


def _reason(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"unreadable {path.name} ({error})"
