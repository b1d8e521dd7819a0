"""One config, run and remembered: the function behind ``ntkbound train`` and ``ntkbound.run``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ntkbound.core.errors import InputError
from ntkbound.heads import native
from ntkbound.heads.model import Params
from ntkbound.heads.tasks import Prepared, prepare
from ntkbound.heads.training.descent import Progress
from ntkbound.machine import environment
from ntkbound.machine.parallel import Workers
from ntkbound.machine.ranks import ALONE, Ranks
from ntkbound.runs import record
from ntkbound.runs.cache import LabelCache
from ntkbound.runs.record import Record
from ntkbound.runs.store import is_complete
from ntkbound.theorems.shallow_transformer import run as kernel_regime
from ntkbound.theorems.shallow_transformer.config import SCHEMA, RunConfig, build


@dataclass(frozen=True)
class Execution:
    """How and where to run; nothing here changes a number, but for a GPU's rounding."""

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
    made = run_on_ranks(config, execution or Execution(), ALONE, progress, reused, notice)
    assert made is not None  # this process is rank 0
    return made


def run_together(configs: Sequence[RunConfig], execution: Execution) -> list[Record]:
    """Trains runs that may share one descent (equal ``kernel_regime.descent_key``) as one.

    Records are those of ``run`` one by one, but for their environment. Raises as ``run`` does.
    """
    check_device(execution.device)
    check_writable(execution.out)
    workers = Workers(execution.threads)
    made = _make(configs, prepare(configs[0]), execution, workers)
    return [record.write(one, execution.out) for one in made]


def run_on_ranks(
    config: RunConfig,
    execution: Execution,
    ranks: Ranks,
    progress: Progress = lambda step, loss: None,
    reused: Callable[[Record], None] = lambda found: None,
    notice: Callable[[str], None] = lambda line: None,
) -> Record | None:
    """``run`` with the heads divided over processes; the record is rank 0's, None elsewhere.

    Every rank must call this with the same config. Raises as ``run`` does, also where the pairs of
    heads cannot be dealt evenly, and RankLostError if another rank dies; no record is left then.
    """
    check_device(execution.device)
    ranks.pairs(config.m)  # refused where they cannot be dealt evenly
    first = ranks.index == 0
    if first:
        check_writable(execution.out)
    prepared = prepare(config)
    found = _known(prepared, execution) if first else None
    if ranks.share_(torch.tensor([found is not None])).item():
        if found is not None:
            reused(found)
        return found
    workers = Workers(execution.threads, ranks)
    (made,) = _make([config], prepared, execution, workers, progress, notice)
    return record.write(made, execution.out) if first else None


def _known(prepared: Prepared, how: Execution) -> Record | None:
    """The record that there is already, if it holds what is asked for."""
    identifier = record.run_id(prepared.config, prepared.digest)
    if how.force or not is_complete(how.out, identifier):
        return None
    found = record.read(how.out / identifier)
    return found if _holds_what_is_asked(found, how) else None


def _make(
    configs: Sequence[RunConfig],
    prepared: Prepared,
    how: Execution,
    workers: Workers,
    progress: Progress = lambda step, loss: None,
    notice: Callable[[str], None] = lambda line: None,
) -> list[Record]:
    """Trains and measures; ``prepared`` is the task of all of them."""
    _make_ready(configs, prepared, workers.ranks, notice)
    started, clock = datetime.now(UTC), time.perf_counter()
    size = prepared.config.model_dump(include={"n", "T", "d"})
    sized = [build({**config.model_dump(), **size}) for config in configs]
    model = kernel_regime.build_model(prepared.config)
    labels = LabelCache(how.out / "cache" / "labels", workers.ranks)
    task = prepared.make_task(model, workers, labels)
    outcomes = kernel_regime.run(sized, task, workers, progress, how.device)
    seconds = (time.perf_counter() - clock) / len(configs)
    machine = environment.describe(workers, how.device, started, seconds)
    return [
        _record(config, outcome, prepared.digest, machine, how, workers.ranks)
        for config, outcome in zip(sized, outcomes, strict=True)
    ]


def _make_ready(
    configs: Sequence[RunConfig],
    prepared: Prepared,
    ranks: Ranks,
    notice: Callable[[str], None],
) -> None:
    """Compiles the native kernels that are missing; the other ranks wait for the first."""
    d = prepared.config.d
    assert d is not None
    if ranks.index == 0:
        native.make_ready([(config.model, d, config.dtype) for config in configs], notice)
    ranks.share_(torch.zeros(1))


def _record(
    config: RunConfig,
    outcome: kernel_regime.Outcome,
    digest: str | None,
    machine: dict[str, Any],
    how: Execution,
    ranks: Ranks,
) -> Record:
    data = {
        "schema": SCHEMA,
        "id": record.run_id(config, digest),
        "theorem": config.theorem,
        "status": outcome.status,
        "config": config.model_dump(),
        "environment": machine | {"training_bytes": outcome.training_bytes},
        "terms": outcome.terms,
        "bounds": outcome.bounds,
        "certificates": outcome.certificates,
        "checks": [row.as_dict() for row in outcome.checks],
        "notes": outcome.notes,
    }
    if digest is not None:
        data["data_sha256"] = digest
    arrays = _flatten(outcome.params, ranks) if how.save_params else {}
    if how.save_params and how.save_inputs:
        arrays |= {
            "X": outcome.task.inputs.X.numpy(),
            "q": outcome.task.inputs.q.numpy(),
            "y": outcome.task.y.numpy(),
        }
    return Record(data, outcome.trace, arrays)


def _holds_what_is_asked(found: Record, how: Execution) -> bool:
    """Whether a record was saved with the parameters and inputs that are wanted now."""
    if how.save_params and "final.c" not in found.params:
        return False
    return not (how.save_params and how.save_inputs) or "X" in found.params


def _flatten(groups: dict[str, Params], ranks: Ranks) -> dict[str, np.ndarray]:
    return {
        f"{group}.{block}": ranks.gather(value).numpy()
        for group, params in groups.items()
        for block, value in params.items()
    }


def check_device(device: str) -> None:
    """Raises InputError unless ``device`` is present on this machine."""
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
