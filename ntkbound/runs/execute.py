"""One config, run and remembered: the function behind ``ntkbound train`` and ``ntkbound.run``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ntkbound.core.config import Config
from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Outcome
from ntkbound.core.record import Record
from ntkbound.core.registry import find
from ntkbound.core.sound import check_outcomes
from ntkbound.core.theorem import Prepared, Theorem
from ntkbound.core.tools import Progress
from ntkbound.machine import environment
from ntkbound.machine.parallel import Workers
from ntkbound.machine.ranks import ALONE, Ranks
from ntkbound.machine.tools import Tools, silent_notice, silent_progress
from ntkbound.runs import record as records
from ntkbound.runs.cache import ArrayCache
from ntkbound.runs.files import check_writable
from ntkbound.runs.store import CACHE, complete_record


@dataclass(frozen=True)
class Execution:
    """How and where to run; nothing here changes a number, but for a GPU's rounding."""

    out: Path = Path("results")
    threads: int | None = None
    device: str = "cpu"
    save_params: bool = True
    save_inputs: bool = True
    force: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", Path(self.out))  # a caller may give text

    @property
    def saved(self) -> list[str]:
        """What the record is to hold besides its numbers; inputs only go with parameters."""
        kinds = {"params": self.save_params, "inputs": self.save_params and self.save_inputs}
        return [kind for kind, wanted in kinds.items() if wanted]


@dataclass(frozen=True)
class Audience:
    """Whom a run tells: of its steps, of a record that was there already, of what takes a while."""

    progress: Progress = silent_progress
    reused: Callable[[Record], None] = lambda found: None
    notice: Callable[[str], None] = silent_notice


NOBODY = Audience()


def run(config: Config, execution: Execution | None = None, audience: Audience = NOBODY) -> Record:
    """Trains, measures and records one run, or returns the record it already has.

    Raises InputError for a config, data or folder that cannot be used; nothing is written then.
    """
    (made,) = run_on_ranks(config, execution or Execution(), ALONE, audience)
    return made


def run_on_ranks(
    config: Config, how: Execution, ranks: Ranks, audience: Audience = NOBODY
) -> list[Record]:
    """``run`` with the work divided over processes; the record is rank 0's, none elsewhere.

    Every rank must call this with the same config. Raises as ``run`` does, also where the work
    cannot be dealt evenly, and RankLostError if another rank dies; no record is left then.
    """
    theorem = find(config.theorem)
    check_device(how.device)
    check_used(theorem, how, ranks)
    first = ranks.index == 0
    if first:
        check_writable(how.out)
    prepared = theorem.prepare(config)
    known = _known(theorem, prepared, how) if first else []
    if ranks.share_(torch.tensor([bool(known)])).item():
        for found in known:
            audience.reused(found)
        return known
    workers = Workers(how.threads if "threads" in theorem.uses else 1, ranks)
    made = _make([config], prepared, how, workers, audience)
    return [records.write(one, how.out) for one in made] if first else []


def run_together(configs: Sequence[Config], execution: Execution) -> list[Record]:
    """Runs resolved configs of equal ``Theorem.together`` as one; what ``prepare`` finds of the
    first, such as a file and its digest, is that of all.

    Records are those of ``run`` one by one, but for their environment. Raises as ``run`` does.
    """
    theorem = find(configs[0].theorem)
    check_device(execution.device)
    check_used(theorem, execution, ALONE)
    check_writable(execution.out)
    prepared = theorem.prepare(configs[0])
    made = _make(configs, prepared, execution, Workers(execution.threads), NOBODY)
    return [records.write(one, execution.out) for one in made]


def _known(theorem: Theorem, prepared: Prepared, how: Execution) -> list[Record]:
    """The record that there is already, if it holds what is asked for."""
    found = None if how.force else complete_record(how.out, theorem.run_id(prepared))
    if found is None or not set(how.saved) <= set(found.environment.get("saved", ())):
        return []
    return [records.read(found.folder)]


def _make(
    configs: Sequence[Config],
    prepared: Prepared,
    how: Execution,
    workers: Workers,
    audience: Audience,
) -> list[Record]:
    """Trains and measures; ``prepared`` is the first of the configs, and what it found is that of
    all."""
    theorem, ranks = find(configs[0].theorem), workers.ranks
    together = [prepared, *(replace(prepared, config=config) for config in configs[1:])]
    if ranks.index == 0:
        theorem.ready([one.config for one in together], audience.notice)
    ranks.share_(torch.zeros(1))  # the other ranks wait for the first
    started, clock = datetime.now(UTC), time.perf_counter()
    tools = Tools(
        workers,
        device=how.device,
        cache=ArrayCache(how.out / CACHE, ranks),
        progress=audience.progress,
        notice=audience.notice,
        data=prepared.data,
        save=how.save_params,
    )
    if len(configs) == 1 or theorem.run_together is None:
        outcomes = [theorem.run(one.config, tools) for one in together]
    else:
        outcomes = theorem.run_together([one.config for one in together], tools)
    check_outcomes(theorem, outcomes, len(configs))
    seconds = (time.perf_counter() - clock) / len(configs)
    machine = environment.describe(workers, how.device, started, seconds)
    machine["saved"] = how.saved
    return [
        _record(theorem, one, outcome, machine)
        for one, outcome in zip(together, outcomes, strict=True)
    ]


def _record(
    theorem: Theorem, prepared: Prepared, outcome: Outcome, machine: dict[str, Any]
) -> Record:
    arrays: dict[str, np.ndarray] = {}
    if "params" in machine["saved"]:
        arrays |= outcome.params
    if "inputs" in machine["saved"]:
        arrays |= outcome.inputs
    return Record(
        id=theorem.run_id(prepared),
        theorem=theorem.name,
        version=theorem.version,
        status=outcome.status,
        config=prepared.config.model_dump(),
        environment=machine | dict(outcome.environment),
        terms=outcome.terms,
        bounds=outcome.bounds,
        certificates=tuple(outcome.certificates),
        checks=tuple(outcome.checks),
        conditions=outcome.conditions,
        notes=tuple(outcome.notes),
        data_sha256=prepared.digest,
        code=theorem.code(prepared.config),
        trace=outcome.trace,
        arrays=arrays,
    )


def check_device(device: str) -> None:
    """Raises InputError unless ``device`` is present on this machine."""
    if device not in ("cpu", "cuda"):
        raise InputError(f"{device!r} is unknown; accepted: cpu, cuda", field="device")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "'cuda' needs a GPU that torch can use, and there is none here", field="device"
        )


def check_used(theorem: Theorem, how: Execution, ranks: Ranks) -> None:
    """Raises InputError for threads, a device or ranks that runs of this theorem do not use."""
    name = theorem.name
    if how.threads not in (None, 1) and "threads" not in theorem.uses:
        raise InputError(f"{name} runs on one thread", field="threads", value=how.threads)
    if how.device != "cpu" and "device" not in theorem.uses:
        raise InputError(f"{name} runs on the cpu alone", field="device", value=how.device)
    if ranks.count > 1 and "ranks" not in theorem.uses:
        raise InputError(f"{name} is not divided over ranks; start it without torchrun")
