"""Many runs: what is missing is done, longest first; what is complete is never touched."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ntkbound.heads.tasks import prepare
from ntkbound.runs.files import sweep_stale, write_text, write_whole
from ntkbound.runs.pools import Pool, WorkerLostError
from ntkbound.runs.record import PARAMS, clear_failure, run_id, write_failure
from ntkbound.runs.store import is_complete, write_plan
from ntkbound.runs.work import TOKEN, Job, Result
from ntkbound.theorems.shallow_transformer.config import SERIES, RunConfig
from ntkbound.theorems.shallow_transformer.run import descent_key

LOOK_AGAIN = 5.0  # seconds after which a pool is asked again how many jobs it can take
ATTEMPTS = 10  # times one run may lose its worker: more is the run's own fault (memory, a crash)


@dataclass(frozen=True)
class Planned:
    """One run of a sweep: its resolved config and the id of its record."""

    config: RunConfig
    identifier: str

    @property
    def cost(self) -> float:
        """Sample·token·head elements over all steps: what the training time is proportional to."""
        config = self.config
        assert config.T is not None
        return float(config.n_train) * config.T * config.m * config.tau


# Small runs spend their time in calls rather than in arithmetic: those that share a task train as
# one. Beyond TOGETHER_ELEMENTS per step there is nothing to gain (docs/measurements.md).
TOGETHER_ELEMENTS, TOGETHER_RUNS = 1 << 16, 16

# One thread of a 2.6 GHz server core: only the order of magnitude is meant.
SECONDS_PER_ELEMENT, SECONDS_PER_RUN = 2e-9, 0.5


def estimated_seconds(run: Planned) -> float:
    """A rough running time on one thread, for ``--dry-run``."""
    return SECONDS_PER_RUN + SECONDS_PER_ELEMENT * run.cost


@dataclass
class Progress:
    """Counts of a sweep in progress; costs are in the units of ``Planned.cost``."""

    identifiers: tuple[str, ...]  # every run of the sweep
    done: int = 0
    reused: int = 0
    running: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # id → reason
    cost_left: float = 0.0
    cost_done: float = 0.0

    @property
    def total(self) -> int:
        return len(self.identifiers)

    @property
    def left(self) -> int:
        return self.total - self.reused - self.done - len(self.failed) - self.running


Report = Callable[[Progress, str], None]  # called after every run with a line about it


def plan(configs: Iterable[RunConfig]) -> list[Planned]:
    """Sizes filled in from the data, ids attached, duplicates dropped."""
    planned = {}
    for config in configs:
        sized, digest, _ = prepare(config)
        identifier = run_id(sized, digest)
        planned[identifier] = Planned(sized, identifier)
    return list(planned.values())


def missing(planned: Iterable[Planned], out: Path, save: bool = False) -> list[Planned]:
    """The runs without a complete record, longest first; ``save``: or without parameters."""
    todo = [run for run in planned if not _finished(out, run, save)]
    return sorted(todo, key=lambda run: (-run.cost, run.identifier))


def _finished(out: Path, run: Planned, save: bool) -> bool:
    saved = not save or (out / run.identifier / PARAMS).exists()
    return saved and is_complete(out, run.identifier)


def grouped(todo: Iterable[Planned], slots: int) -> list[tuple[Planned, ...]]:
    """The same runs in the same order, small ones that can share a descent together.

    At least ``slots`` groups are made of runs that could be one, so that no worker is idle.
    """
    alike: dict[str, list[Planned]] = {}
    for run in todo:
        small = run.cost / run.config.tau <= TOGETHER_ELEMENTS
        alike.setdefault(descent_key(run.config) if small else run.identifier, []).append(run)
    groups = []
    for runs in alike.values():
        size = min(TOGETHER_RUNS, -(-len(runs) // slots))
        groups += [tuple(runs[at : at + size]) for at in range(0, len(runs), size)]
    return groups


def sweep(
    planned: list[Planned],
    out: Path,
    make_pool: Callable[[], Pool],
    report: Report,
    save: bool = False,
) -> Progress:
    """Runs what is missing and returns the final counts; failures are left in ``out`` and counted.

    ``save``: with parameters and inputs in the records; a record without them is made again.
    An interruption at any moment loses only the runs in flight: the next call finishes the rest.
    """
    todo = missing(planned, out, save)
    identifiers = tuple(run.identifier for run in planned)
    progress = Progress(identifiers, reused=len(planned) - len(todo))
    progress.cost_left = sum(run.cost for run in todo)
    pool = make_pool() if todo else None  # before anything is written: it may be unreachable
    out.mkdir(parents=True, exist_ok=True)
    sweep_stale(out)
    write_plan(out, identifiers)
    if pool is None:
        return progress
    token = uuid.uuid4().hex
    if not (out / TOKEN).exists():
        write_text(out / TOKEN, token)
    token = (out / TOKEN).read_text(encoding="utf-8")
    attempts = dict.fromkeys((run.identifier for run in todo), 0)
    queue = list(reversed(grouped(todo, pool.slots)))
    running: dict[Future[Result], tuple[Planned, ...]] = {}
    try:
        while queue or running:
            while queue and len(running) < pool.slots:
                group = []
                for run in queue.pop():
                    if _finished(out, run, save):  # another sweep was faster
                        _settle(progress, run)
                        progress.reused += 1
                    else:
                        group.append(run)
                if group:
                    configs = [_portable(run.config) for run in group]
                    job = Job(configs, str(out.absolute()), token, save)
                    running[pool.submit(job)] = tuple(group)
                    progress.running = sum(map(len, running.values()))
            done, _ = wait(running, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
            for future in done:
                finished = running.pop(future)
                progress.running = sum(map(len, running.values()))
                reason = _outcome(future, finished, out)
                if reason != "" and len(finished) > 1:
                    queue += [(run,) for run in finished]  # one of them is at fault: each alone
                    continue
                if reason is None:
                    (run,) = finished
                    attempts[run.identifier] += 1
                    if attempts[run.identifier] < ATTEMPTS:
                        queue.insert(0, (run,))  # others first: a run near a killer is not starved
                        report(progress, f"again {run.identifier}: its worker was lost")
                        continue
                    reason = f"its worker was lost {ATTEMPTS} times"
                for run in finished:
                    _settle(progress, run)
                    if reason:
                        progress.failed[run.identifier] = reason
                        _leave_failure(out, run, reason)
                        report(progress, f"failed {run.identifier}: {reason}")
                    else:
                        progress.done += 1
                        report(progress, f"done {run.identifier}")
    finally:
        pool.close()
    return progress


def _portable(config: RunConfig) -> dict[str, Any]:
    """The config for a worker in another folder: a data file by its absolute path."""
    fields = config.model_dump()
    if config.data_file is not None:
        fields["task"] = (SERIES if config.is_series else "") + str(config.data_file.absolute())
    return fields


def _settle(progress: Progress, run: Planned) -> None:
    progress.cost_left -= run.cost
    progress.cost_done += run.cost


def _outcome(future: Future[Result], group: tuple[Planned, ...], out: Path) -> str | None:
    """Empty if all have their records, the reason if one failed, None if the worker was lost."""
    try:
        result = future.result()
    except WorkerLostError:
        return None
    except Exception as error:  # a job that could not even be carried to its worker and back
        return f"{type(error).__name__}: {error}"
    for run in group:
        files = result.files.get(run.identifier)
        if files and not _finished(out, run, PARAMS in files):
            try:
                write_whole(out / run.identifier, partial(_unpack, files))
            except OSError as error:
                return f"the record could not be written ({error})"
            clear_failure(out, run.identifier)
    return result.reason


def _unpack(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)


def _leave_failure(out: Path, run: Planned, reason: str) -> None:
    try:
        write_failure(out, run.identifier, run.config, reason)
    except OSError:
        # A full disk cannot even hold the reason; the sweep's own report and exit code tell it.
        return
