"""Some runs of a sweep as a worker does them, wherever the worker is."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntkbound.core import userfile
from ntkbound.core.registry import configure, named
from ntkbound.runs.record import RUN

TOKEN = ".sweep-token"


@dataclass(frozen=True)
class Job:
    """What is sent to a worker: plain values only."""

    configs: Sequence[Mapping[str, Any]]  # resolved; several if they may train together
    out: str
    token: str  # content of out/TOKEN: a worker that cannot read it does not share our disk
    save: bool = False  # parameters and inputs into the record, for what is measured afterwards
    code: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    theorem: str = ""  # which file of ``code`` defines the theorem; empty: it is installed


@dataclass(frozen=True)
class Result:
    """How a job ended. ``files`` are the records (folder → name → content) where the worker could
    not write them to ``out``."""

    reason: str = ""  # why it failed; empty if it did not
    files: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)


def perform(job: Job) -> Result:
    """Runs the configs on one thread; records are written, or brought back, or the reason is."""
    if _shares_disk(job):
        return Result(_run(job, Path(job.out)))
    with tempfile.TemporaryDirectory() as scratch:
        reason = _run(job, Path(scratch))
        if reason:
            return Result(reason)
        folders = {path.parent for path in Path(scratch).glob(f"*/{RUN}")}
        return Result(
            files={
                folder.name: {path.name: path.read_bytes() for path in folder.iterdir()}
                for folder in folders
            }
        )


def _shares_disk(job: Job) -> bool:
    try:
        return (Path(job.out) / TOKEN).read_text(encoding="utf-8") == job.token
    except OSError:
        return False


def _run(job: Job, out: Path) -> str:
    from ntkbound.runs.execute import Execution, run, run_together

    how = Execution(out, threads=1, save_params=job.save, save_inputs=job.save)
    try:
        userfile.carry(job.code)
        if job.theorem:
            named(job.theorem)
        configs = [configure(fields) for fields in job.configs]
        if len(configs) == 1:
            run(configs[0], how)
        else:
            run_together(configs, how)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Whatever a run dies of is its result: recorded with its reason, and others go on.
        found = userfile.raised(error)
        return f"{type(error).__name__}: {error}" if found is None else str(found)
    return ""
