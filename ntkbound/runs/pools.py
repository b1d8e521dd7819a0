"""Where the jobs of a sweep run: processes of this machine, or the workers of a Dask cluster.

Both give plain futures. A worker that dies fails only the job it was doing (``WorkerLostError``);
the sweep hands the job out again.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ntkbound.core.errors import InputError
from ntkbound.machine.garbage import collect_rarely
from ntkbound.runs.work import Job, Result, perform


class WorkerLostError(RuntimeError):
    """The worker died before its job was done."""


class Pool(ABC):
    """``slots`` jobs at a time; ``submit`` never blocks."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """Jobs it can usefully hold at once."""

    @abstractmethod
    def submit(self, job: Job) -> Future[Result]:
        """A future that raises WorkerLostError if the worker dies."""

    @abstractmethod
    def close(self) -> None:
        """Ends the workers; jobs that are not done are abandoned."""


class LocalPool(Pool):
    """One process per slot, each its own executor: a killed worker takes nothing else with it."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._context = multiprocessing.get_context("spawn")
        self._free = [self._start() for _ in range(jobs)]

    @property
    def slots(self) -> int:
        return self._jobs

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin)

    def submit(self, job: Job) -> Future[Result]:
        executor = self._free.pop()
        outcome: Future[Result] = Future()

        def finished(done: Future[Result]) -> None:
            error = done.exception()
            if isinstance(error, BrokenProcessPool):
                executor.shutdown(wait=False)
                self._free.append(self._start())
                outcome.set_exception(WorkerLostError("the worker process died"))
                return
            self._free.append(executor)
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(done.result())

        try:
            done = executor.submit(perform, job)
        except BrokenProcessPool:  # its idle worker was killed since the last job
            executor.shutdown(wait=False)
            executor = self._start()
            done = executor.submit(perform, job)
        done.add_done_callback(finished)
        return outcome

    def close(self) -> None:
        for child in multiprocessing.active_children():
            child.terminate()
        for executor in self._free:
            # Its thread is waited for: one that still closes its pipe while the interpreter ends
            # leaves a traceback on stderr.
            executor.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """In a worker: one thread for every library, quick imports, no life after the parent's."""
    os.environ["OMP_NUM_THREADS"] = "1"
    collect_rarely()
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class DaskPool(Pool):
    """The workers of a running Dask scheduler; two jobs a thread keep them busy."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            told = "needs dask's distributed; pip install 'ntkbound[dask]'"
            raise InputError(told, field="scheduler") from None
        try:
            client: Any = distributed.Client
            self._client = client(address, timeout=10, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            told = f"cannot connect ({error})"
            raise InputError(told, field="scheduler", value=address) from None

    @property
    def slots(self) -> int:
        """Workers may join at any time: asked anew whenever jobs are handed out."""
        threads: int = sum(self._client.nthreads().values())
        return max(2, 2 * threads)

    def submit(self, job: Job) -> Future[Result]:
        from distributed.scheduler import KilledWorker

        remote = self._client.submit(perform, job, pure=False, retries=3)
        outcome: Future[Result] = Future()

        def finished(done: Any) -> None:
            error = None if done.status == "finished" else done.exception()
            if done.status == "finished":
                outcome.set_result(done.result())
            elif isinstance(error, KilledWorker) or error is None:
                outcome.set_exception(WorkerLostError("the Dask worker was lost"))
            else:
                outcome.set_exception(error)

        remote.add_done_callback(finished)
        return outcome

    def close(self) -> None:
        self._client.close()
