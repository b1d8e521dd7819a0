"""One run of a sweep as a worker does it, wherever the worker is."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntkbound.config import build

TOKEN = ".sweep-token"


@dataclass(frozen=True)
class Job:
    """What is sent to a worker: plain values only."""

    config: Mapping[str, Any]  # resolved
    identifier: str
    out: str
    token: str  # content of out/TOKEN: a worker that cannot read it does not share our disk


@dataclass(frozen=True)
class Result:
    """How a job ended. ``files`` is the record where the worker could not write it to ``out``."""

    reason: str = ""  # why it failed; empty if it did not
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def perform(job: Job) -> Result:
    """Runs one config on one thread; the record is written, or brought back, or the reason is."""
    if _shares_disk(job):
        return Result(_run(job, Path(job.out)))
    with tempfile.TemporaryDirectory() as scratch:
        reason = _run(job, Path(scratch))
        if reason:
            return Result(reason)
        folder = Path(scratch) / job.identifier
        return Result(files={path.name: path.read_bytes() for path in folder.iterdir()})


def _shares_disk(job: Job) -> bool:
    try:
        return (Path(job.out) / TOKEN).read_text(encoding="utf-8") == job.token
    except OSError:
        return False


def _run(job: Job, out: Path) -> str:
    from ntkbound.runs.execute import Execution, run

    try:
        run(build(job.config), Execution(out, threads=1, save_params=False))
    except Exception as error:
        # Whatever a run dies of is its result: recorded with its reason, and others go on.
        return f"{type(error).__name__}: {error}"
    return ""
