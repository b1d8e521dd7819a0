"""Many runs: what is missing is done, longest first; what is complete is never touched."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ntkbound.core import userfile
from ntkbound.core.config import Config
from ntkbound.core.record import Record
from ntkbound.core.registry import find
from ntkbound.core.tools import Notice
from ntkbound.runs.files import sweep_stale, write_text, write_whole
from ntkbound.runs.pools import Pool, WorkerLostError
from ntkbound.runs.record import PARAMS, RUN, clear_failure, read_run_json, write_failure
from ntkbound.runs.store import complete_record, write_plan
from ntkbound.runs.work import TOKEN, Job, Result

LOOK_AGAIN = 5.0  # seconds after which a pool is asked again how many jobs it can take
ATTEMPTS = 10  # times one run may lose its worker: more is the run's own fault (memory, a crash)
TOGETHER_RUNS = 16  # runs that train as one, at most: more gain nothing (docs/measurements.md)


@dataclass(frozen=True)
class Planned:
    """One run of a sweep: its prepared config, its record's id, rough seconds on one thread, and
    the key that it shares with runs it may train together with (its own id if with none)."""

    config: Config
    identifier: str
    seconds: float
    key: str


@dataclass
class Counts:
    """Counts of a sweep in progress; costs are rough seconds on one thread."""

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

    def records(self, out: Path) -> list[Record]:
        """Those of exactly these runs, but for failed ones, whatever else lies in the folder."""
        made = [name for name in self.identifiers if name not in self.failed]
        return [read_run_json(out / name / RUN) for name in made]

    @property
    def left(self) -> int:
        return self.total - self.reused - self.done - len(self.failed) - self.running

    def settle(self, run: Planned) -> None:
        """Moves the cost of a run from left to done."""
        self.cost_left -= run.seconds
        self.cost_done += run.seconds


Report = Callable[[Counts, str], None]  # called after every run with a line about it


def plan(configs: Iterable[Config]) -> list[Planned]:
    """Sizes filled in from the data, ids attached, duplicates dropped."""
    planned = {}
    for config in configs:
        theorem = find(config.theorem)
        prepared = theorem.prepare(config)
        identifier = theorem.run_id(prepared)
        sized = prepared.config
        key = theorem.together(sized) or identifier
        planned[identifier] = Planned(sized, identifier, theorem.cost(sized), key)
    return list(planned.values())


def make_ready(planned: Iterable[Planned], notice: Notice) -> None:
    """What each theorem has to make once, made here rather than by every worker."""
    by_theorem: dict[str, list[Config]] = {}
    for run in planned:
        by_theorem.setdefault(run.config.theorem, []).append(run.config)
    for name, configs in by_theorem.items():
        find(name).ready(configs, notice)


def missing(planned: Iterable[Planned], out: Path, save: bool = False) -> list[Planned]:
    """The runs without a complete record, longest first; ``save``: or without parameters."""
    todo = [run for run in planned if not _finished(out, run, save)]
    return sorted(todo, key=lambda run: (-run.seconds, run.identifier))


def _finished(out: Path, run: Planned, save: bool) -> bool:
    saved = not save or (out / run.identifier / PARAMS).exists()
    return saved and complete_record(out, run.identifier) is not None


def grouped(todo: Iterable[Planned], slots: int) -> list[tuple[Planned, ...]]:
    """The same runs in the same order, those of one key together.

    At least ``slots`` groups are made of runs that could be one, so that no worker is idle.
    """
    alike: dict[str, list[Planned]] = {}
    for run in todo:
        alike.setdefault(run.key, []).append(run)
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
) -> Counts:
    """Runs what is missing and returns the final counts; failures are left in ``out`` and counted.

    ``save``: with parameters and inputs in the records; a record without them is made again.
    An interruption at any moment loses only the runs in flight: the next call finishes the rest.
    """
    todo = missing(planned, out, save)
    identifiers = tuple(run.identifier for run in planned)
    progress = Counts(identifiers, reused=len(planned) - len(todo))
    progress.cost_left = sum(run.seconds for run in todo)
    pool = make_pool() if todo else None  # before anything is written: it may be unreachable
    out.mkdir(parents=True, exist_ok=True)
    sweep_stale(out)
    write_plan(out, identifiers)
    if pool is None:
        return progress
    try:
        _Queue(progress, out, pool, report, save).work_off(todo)
    finally:
        pool.close()
    return progress


class _Queue:
    """The runs of one sweep that are waiting or with a worker."""

    def __init__(self, progress: Counts, out: Path, pool: Pool, report: Report, save: bool) -> None:
        self.progress, self.out, self.pool = progress, out, pool
        self.report, self.save = report, save
        self.token = _token(out)
        self.attempts: dict[str, int] = {}
        self.waiting: list[tuple[Planned, ...]] = []
        self.running: dict[Future[Result], tuple[Planned, ...]] = {}

    def work_off(self, todo: list[Planned]) -> None:
        """Until every run has its record or its failure."""
        self.waiting = list(reversed(grouped(todo, self.pool.slots)))
        while self.waiting or self.running:
            self._hand_out()
            done, _ = wait(self.running, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
            for future in done:
                self._settle(future)

    def _hand_out(self) -> None:
        while self.waiting and len(self.running) < self.pool.slots:
            group = []
            for run in self.waiting.pop():
                if _finished(self.out, run, self.save):  # another sweep was faster
                    self.progress.settle(run)
                    self.progress.reused += 1
                else:
                    group.append(run)
            if group:
                configs = [run.config.portable() for run in group]
                own = _code([run.config for run in group])
                job = Job(configs, str(self.out.absolute()), self.token, self.save, *own)
                self.running[self.pool.submit(job)] = tuple(group)
                self._count()

    def _settle(self, future: Future[Result]) -> None:
        finished = self.running.pop(future)
        self._count()
        reason = _outcome(future, finished, self.out)
        if reason != "" and len(finished) > 1:
            self.waiting += [(run,) for run in finished]  # one of them is at fault: each alone
            return
        if reason is None:
            (run,) = finished
            tried = self.attempts[run.identifier] = self.attempts.get(run.identifier, 0) + 1
            if tried < ATTEMPTS:
                self.waiting.insert(0, (run,))  # others first: a run near a killer is not starved
                self.report(self.progress, f"again {run.identifier}: its worker was lost")
                return
            reason = f"its worker was lost {ATTEMPTS} times"
        for run in finished:
            self.progress.settle(run)
            if reason:
                self.progress.failed[run.identifier] = reason
                _leave_failure(self.out, run, reason)
                self.report(self.progress, f"failed {run.identifier}: {reason}")
            else:
                self.progress.done += 1
                self.report(self.progress, f"done {run.identifier}")

    def _count(self) -> None:
        self.progress.running = sum(map(len, self.running.values()))


def _code(configs: Sequence[Config]) -> tuple[dict[str, dict[str, bytes]], str]:
    """The user's files that runs of one theorem execute, and which of them defines the theorem."""
    theorem = find(configs[0].theorem)
    paths = [path for config in configs for path, _ in config.files_of_code().values()]
    own = [] if theorem.file is None else [theorem.file.path]
    return userfile.carried([*own, *paths]), str(*own)


def _token(out: Path) -> str:
    """What a worker on the same disk can read, and no other."""
    if not (out / TOKEN).exists():
        write_text(out / TOKEN, uuid.uuid4().hex)
    return (out / TOKEN).read_text(encoding="utf-8")


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
        write_failure(out, run.identifier, run.config.model_dump(), reason)
    except OSError:
        # A full disk cannot even hold the reason; the sweep's own report and exit code tell it.
        return
