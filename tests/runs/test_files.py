"""Files on disk: a killed process leaves no record, a damaged label cache recovers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ntkbound import read, run
from ntkbound.core.errors import InputError
from ntkbound.runs import files
from ntkbound.runs.cache import ArrayCache
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.config import Config
from tests.support.checks import assert_same
from tests.support.problems import SMALL_RUN

KILLER = """
import os, pathlib, signal, sys
import numpy as np
from ntkbound.runs import files, record
import safetensors.numpy

folder, moment = pathlib.Path(sys.argv[1]), sys.argv[2]
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
def half(path):
    pathlib.Path(path).write_bytes(b"half a file")
    die()
if moment == "trace":
    np.savez = lambda path, **arrays: half(path)
elif moment == "params":
    safetensors.numpy.save_file = lambda arrays, path: half(path)
elif moment == "json":
    pathlib.Path.write_text = lambda path, text, **more: half(path)
elif moment == "sync":
    files._sync = die
elif moment == "rename":
    pathlib.Path.rename = pathlib.Path.replace = die
arrays = {"a": np.arange(3.0)}
made = record.Record("run", "least-squares", 1, {}, {}, trace=arrays, arrays=arrays)
print(record.write(made, folder).path)
"""


@pytest.mark.parametrize("moment", ["trace", "params", "json", "sync", "rename"])
def test_a_process_killed_while_writing_leaves_no_record(moment, tmp_path):
    def launch(when):
        command = [sys.executable, "-c", KILLER, str(tmp_path), when]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert launch(moment).returncode == -9
    with pytest.raises(InputError):
        read(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    done = launch("never")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(read(tmp_path / "run").trace["a"], [0, 1, 2])


def test_an_error_while_writing_leaves_nothing_at_all(tmp_path):
    def fill(sibling):
        sibling.mkdir()
        (sibling / "a").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "target", fill)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_replacing_keeps_the_old_record(copied, finished, monkeypatch):
    before = read(copied)
    monkeypatch.setattr("numpy.savez", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        run(Config(**SMALL_RUN), Execution(copied.parent, threads=1, force=True))
    assert_same(before, read(copied))


def test_labels_are_computed_once_per_task_and_seed(tmp_path):
    cache, calls, names = ArrayCache(tmp_path), [], ("y", "standard_error")

    def compute():
        calls.append(1)
        return {"y": np.arange(3.0), "standard_error": np.zeros(3)}

    for _ in range(2):
        assert cache.fetch("a", names, compute)["y"].tolist() == [0, 1, 2]
    cache.fetch("b", names, compute)
    assert len(calls) == 2


def test_runs_share_labels(tmp_path):
    how = Execution(tmp_path, threads=1)
    stored = tmp_path / "cache"
    for fields in ({}, {"m": 4}, {"tau": 3}, {"rho": 2}, {"init_seed": 5}, {"dtype": "float64"}):
        run(Config(**{**SMALL_RUN, **fields}), how)
        assert len(list(stored.iterdir())) == 1, fields
    others = ({"teacher_seed": 1}, {"data_seed": 1}, {"n": 11}, {"nu": 2}, {"transport": "anchors"},
              {"query": "mean"}, {"activation": "erf"}, {"teacher_heads": 600})  # fmt: skip
    for count, fields in enumerate(others, start=2):
        run(Config(**{**SMALL_RUN, **fields}), how)
        assert len(list(stored.iterdir())) == count, fields


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped"])
def test_a_damaged_label_cache_recovers(damage, tmp_path, finished):
    how = Execution(tmp_path, threads=1)
    run(Config(**SMALL_RUN), how)
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    flipped = whole[:150] + bytes(255 - b for b in whole[150:200]) + whole[200:]
    content = {"empty": b"", "cut": whole[:-40], "text": b"hello", "flipped": flipped}
    path.write_bytes(content[damage])
    again = run(Config(**SMALL_RUN), Execution(tmp_path, threads=1, force=True))
    assert_same(finished, again)
    assert path.read_bytes() == whole
