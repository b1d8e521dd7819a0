"""One config, run and remembered: the function behind ``ntkbound train`` and ``ntkbound.run``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ntkbound.config import SCHEMA, RunConfig
from ntkbound.errors import InputError
from ntkbound.models import native
from ntkbound.models.heads import Params
from ntkbound.parallel import Workers
from ntkbound.runs import environment, record
from ntkbound.runs.labels import LabelCache
from ntkbound.runs.record import Record
from ntkbound.runs.store import is_complete
from ntkbound.tasks import prepare
from ntkbound.theorems import kernel_regime
from ntkbound.training.descent import Progress


@dataclass(frozen=True)
class Execution:
    """How and where to run; nothing here changes a number."""

    out: Path = Path("results")
    threads: int | None = None
    device: str = "cpu"
    save_params: bool = True
    save_inputs: bool = True
    force: bool = False


def run(
    config: RunConfig,
    execution: Execution | None = None,
    progress: Progress = lambda step, loss: None,
    reused: Callable[[Record], None] = lambda found: None,
    notice: Callable[[str], None] = lambda line: None,
) -> Record:
    """Trains, measures and records one run, or returns the record it already has.

    Raises InputError for a config, data or folder that cannot be used; nothing is written then.
    """
    how = execution or Execution()
    check_device(how.device)
    check_writable(how.out)
    sized, digest, make_task = prepare(config)
    identifier = record.run_id(sized, digest)
    if is_complete(how.out, identifier) and not how.force:
        found = record.read(how.out / identifier)
        if _holds_what_is_asked(found, how):
            reused(found)
            return found
    if native.available() and not native.compiled():
        notice("compiling the native kernel for this machine: once, about ten seconds")
    started, clock = datetime.now(UTC), time.perf_counter()
    workers = Workers(how.threads)
    model = kernel_regime.build_model(sized)
    task = make_task(model, workers, LabelCache(how.out / "cache" / "labels"))
    outcome = kernel_regime.run(sized, task, workers, progress, how.device)
    data = {
        "schema": SCHEMA,
        "id": identifier,
        "theorem": sized.theorem,
        "status": outcome.status,
        "config": sized.model_dump(),
        "environment": environment.describe(
            workers.threads, how.device, started, time.perf_counter() - clock
        ),
        "terms": outcome.terms,
        "bounds": outcome.bounds,
        "certificates": outcome.certificates,
        "checks": [row.as_dict() for row in outcome.checks],
        "notes": outcome.notes,
    }
    if digest is not None:
        data["data_sha256"] = digest
    arrays = _flatten(outcome.params) if how.save_params else {}
    if how.save_params and how.save_inputs:
        arrays |= {
            "X": outcome.task.inputs.X.numpy(),
            "q": outcome.task.inputs.q.numpy(),
            "y": outcome.task.y.numpy(),
        }
    return record.write(Record(data, outcome.trace, arrays), how.out)


def _holds_what_is_asked(found: Record, how: Execution) -> bool:
    """Whether a record was saved with the parameters and inputs that are wanted now."""
    if how.save_params and "final.c" not in found.params:
        return False
    return not (how.save_params and how.save_inputs) or "X" in found.params


def _flatten(groups: dict[str, Params]) -> dict[str, np.ndarray]:
    return {
        f"{group}.{block}": value.numpy()
        for group, params in groups.items()
        for block, value in params.items()
    }


def check_device(device: str) -> None:
    """Raises InputError unless ``device`` is present on this machine."""
    import torch

    if device not in ("cpu", "cuda"):
        raise InputError(f"--device: {device!r} is unknown; accepted: cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device: 'cuda' needs a GPU that torch can use, and there is none here")


def check_writable(folder: Path) -> None:
    """Raises InputError unless records can be written to ``folder``; creates nothing."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise InputError(f"--out {folder}: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"--out {folder}: cannot be written; choose a folder you may write to")
