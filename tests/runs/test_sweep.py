"""Sweeps: nothing complete is lost or done twice, whatever dies; failures are told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ntkbound.cli import main
from ntkbound.core.registry import configure
from ntkbound.runs import files, sweep
from ntkbound.runs.pools import LocalPool, WorkerLostError
from ntkbound.runs.record import RUN, TRACE
from ntkbound.runs.store import complete_record, survey
from ntkbound.runs.work import Job, perform

FIXED = {
    "n": 8, "T": 2, "d": 2, "tau": 4, "teacher_heads": 16, "records": 2,
    "search_samples": 1, "search_restarts": 1, "search_steps": 1,
}  # fmt: skip


def planned(count: int, **more):
    return sweep.plan(configure({**FIXED, "m": 2, "seed": seed, **more}) for seed in range(count))


def quiet(progress, line):
    pass


def preset(folder: Path, seeds: int) -> Path:
    path = folder / "tiny.toml"
    lines = "".join(f"{name} = {value}\n" for name, value in FIXED.items())
    path.write_text(
        f"[run]\n{lines}[sweep]\nm = [2, 4]\nseed = {{from = 0, to = {seeds - 1}}}\n",
        encoding="utf-8",
    )
    return path


def test_only_missing_runs_are_done_and_longest_first(tmp_path):
    runs = planned(2) + planned(2, m=8)
    assert [run.config.m for run in sweep.missing(runs, tmp_path)] == [8, 8, 2, 2]
    first = sweep.sweep(runs[:3], tmp_path, lambda: LocalPool(1), quiet)
    assert (first.done, first.reused) == (3, 0)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"*/{RUN}")}
    second = sweep.sweep(runs, tmp_path, lambda: LocalPool(2), quiet)
    assert (second.done, second.reused, second.failed) == (1, 3, {})
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


@pytest.mark.parametrize("name", [RUN, TRACE])
def test_a_truncated_record_is_damaged_and_done_again(tmp_path, name):
    (run,) = planned(1)
    perform(Job([run.config.model_dump()], str(tmp_path), "no token: streamed"))
    sweep.sweep([run], tmp_path, lambda: LocalPool(1), quiet)
    path = tmp_path / run.identifier / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert list(survey(tmp_path, whole=True).damaged) == [run.identifier]
    assert sweep.sweep([run], tmp_path, lambda: LocalPool(1), quiet).done == 1
    assert complete_record(tmp_path, run.identifier) is not None


def test_a_worker_without_our_disk_streams_its_record_back(tmp_path):
    (run,) = planned(1)
    result = perform(Job([run.config.model_dump()], str(tmp_path), "other"))
    assert sorted(result.files[run.identifier]) == [RUN, TRACE]
    assert json.loads(result.files[run.identifier][RUN])["id"] == run.identifier
    assert list(tmp_path.iterdir()) == []


def test_a_failing_run_stops_no_other_and_is_retried(tmp_path, capsys):
    data, out = tmp_path / "gone.npz", tmp_path / "out"
    np.savez(data, X=np.full((8, 2, 2), 0.1), y=np.ones(8))
    fields = {name: value for name, value in FIXED.items() if name != "teacher_heads"}
    (bad,) = sweep.plan([configure({**fields, "m": 2, "task": str(data)})])
    data.unlink()  # between the plan and the run
    good = planned(1)
    progress = sweep.sweep([bad, *good], out, lambda: LocalPool(1), quiet)
    assert progress.done == 1
    assert "cannot be read" in progress.failed[bad.identifier]
    assert "cannot be read" in survey(out).failed[bad.identifier]
    assert sweep.missing([bad, *good], out) == [bad]
    with pytest.raises(SystemExit) as caught:
        main(["status", str(out)])
    assert caught.value.code == 3
    assert f"failed {bad.identifier}" in capsys.readouterr().out


def test_a_full_disk_fails_runs_but_leaves_no_debris(tmp_path, monkeypatch):
    (run,) = planned(1)
    job = Job([run.config.model_dump()], str(tmp_path), "streamed")
    result = perform(job)

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_sync", full)
    monkeypatch.setattr(sweep, "write_plan", lambda *a: None)
    monkeypatch.setattr(sweep, "write_text", lambda path, text: path.write_text(text))

    class Streamed(LocalPool):
        def submit(self, job):
            from concurrent.futures import Future

            done = Future()
            done.set_result(result)
            return done

    progress = sweep.sweep([run], tmp_path, lambda: Streamed(1), quiet)
    assert "No space left" in progress.failed[run.identifier]
    assert not [p for p in tmp_path.iterdir() if p.name != ".sweep-token"]


def test_two_writers_of_one_record_leave_one_whole_record(tmp_path):
    target = tmp_path / "record"

    def fill(word: str):
        def write(path: Path) -> None:
            path.mkdir()
            if word == "outer":  # the other writer finishes in between
                files.write_whole(target, fill("inner"))
            (path / "file").write_text(word, encoding="utf-8")

        return write

    files.write_whole(target, fill("outer"))
    assert [p.name for p in tmp_path.iterdir()] == ["record"]
    assert (target / "file").read_text(encoding="utf-8") == "outer"


def sweep_command(path: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "ntkbound", "sweep", str(path), "--out", str(out), *more]


def worker_pids(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8")
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if int(fields[1]) == parent and b"spawn_main" in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the workers through /proc")
def test_killed_workers_lose_nothing(tmp_path):
    out, path = tmp_path / "out", preset(tmp_path, 6)
    command = sweep_command(path, out, "--jobs", "2")
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            # Kill a worker whenever a run has finished: at most three times, at real moments.
            if re.match(r"\[[147]/12\] done", line):
                os.kill(worker_pids(run.pid)[0], signal.SIGKILL)
        assert run.wait() == 0
    found = survey(out)
    assert (len(found.complete), found.failed, found.damaged, found.missing) == (12, {}, {}, ())


def test_a_killed_sweep_is_finished_by_the_next_call(tmp_path):
    out, path = tmp_path / "out", preset(tmp_path, 4)
    command = sweep_command(path, out, "--jobs", "1")
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "[2/8] done" in line:
                run.kill()
    before = survey(out)
    assert 2 <= len(before.complete) < 8
    assert len(before.missing) == 8 - len(before.complete)
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["reused"] >= 2
    assert len(survey(out).complete) == 8


@pytest.mark.attack
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_dask_workers_may_die(tmp_path):
    """Real scheduler and worker processes on loopback, a worker killed along the way."""
    from distributed import LocalCluster

    out, path = tmp_path / "out", preset(tmp_path, 10)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        command = sweep_command(path, out, "--scheduler", cluster.scheduler_address)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
            assert run.stderr is not None
            for line in run.stderr:
                if re.match(r"\[(3|9|15)/20\] done", line):
                    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
            assert run.wait() == 0
    assert len(survey(out).complete) == 20


def test_an_idle_worker_that_was_killed_is_replaced(tmp_path):
    first, second = planned(2)
    pool = LocalPool(1)
    try:
        for run in (first, second):
            job = Job([run.config.model_dump()], str(tmp_path), "streamed")
            try:
                result = pool.submit(job).result()
            except WorkerLostError:  # the pool had not noticed yet: the sweep hands it out again
                result = pool.submit(job).result()
            assert result.files
            (worker,) = worker_pids(os.getpid())
            os.kill(worker, signal.SIGKILL)
            with suppress(ChildProcessError):  # the pool has noticed it already
                os.waitpid(worker, 0)
    finally:
        pool.close()


def test_whatever_a_run_raises_is_its_reason(tmp_path, monkeypatch):
    from ntkbound.runs import execute

    def broken(*arguments):
        raise KeyError("y")

    monkeypatch.setattr(execute, "run", broken)
    (run,) = planned(1)
    result = perform(Job([run.config.model_dump()], str(tmp_path), "streamed"))
    assert result.reason == "KeyError: 'y'"
