"""Kernels compiled ahead are all a run needs, and are kept apart by source and machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from filelock import FileLock, Timeout

from ntkbound.heads import native
from ntkbound.heads.native import cache, compiling
from ntkbound.heads.native.compiling import Part

# Everything compiled ahead, then a run: whatever is compiled after that is printed.
SCRIPT = """
import json
import sys
from pathlib import Path
from numba.core import event
from ntkbound import Execution, run
from ntkbound.heads.native import compiling
from ntkbound.theorems.shallow_transformer.config import Config

fields, out = json.loads(sys.argv[1]), Path(sys.argv[2])
config = Config(m=16, n=24, T=3, d=8, tau=4, teacher_heads=64, **fields)
compiling.main(map(str, compiling.parts(config.model, config.d, config.dtype)))


class Late(event.Listener):
    def on_start(self, happened):
        print("late:", happened.data["dispatcher"].py_func.__name__, happened.data["args"])

    def on_end(self, happened):
        pass


event.register("numba:compile", Late())
run(config, Execution(out=out, threads=2))
print("ran")
"""


@pytest.mark.parametrize(
    "fields", [{}, {"dtype": "float64"}, {"query": "fixed"}, {"model": "indrnn", "omega": 0.9}]
)
def test_a_run_compiles_nothing_that_was_not_compiled_ahead(fields, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(fields), str(tmp_path)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ran\n"


def test_what_is_compiled_is_marked_and_not_compiled_again(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "folder", lambda: tmp_path)
    wanted = compiling.parts("transformer", 8, "float32")
    assert compiling.missing(wanted) == wanted
    monkeypatch.setitem(compiling.KINDS, "step", lambda d, dtype: None)
    compiling.main(["step:8:float32"])
    step = Part("step", compiling.chunk_rows(8), "float32")
    assert compiling.missing(wanted) == [part for part in wanted if part != step]


def test_a_part_that_cannot_be_compiled_is_told_and_not_marked(capfd):
    broken = Part("nothing", 8, "float32")
    compiling.compile_side_by_side([broken])
    assert "KeyError: 'nothing'" in capfd.readouterr().err
    assert compiling.missing([broken]) == [broken]


def test_the_notice_is_given_only_where_something_is_missing(monkeypatch):
    told, compiled = [], []
    monkeypatch.setattr(compiling, "missing", lambda parts: [p for p in parts if p.rows == 5])
    monkeypatch.setattr(compiling, "compile_side_by_side", compiled.extend)
    native.make_ready([("transformer", 8, "float32")], told.append)
    assert told == compiled == []
    native.make_ready([("transformer", 8, "float32"), ("transformer", 5, "float64")], told.append)
    assert len(told) == 1
    assert {part.kind for part in compiled} == {"labels", "step", "measured"}


def test_where_nothing_can_be_kept_kernels_are_compiled_by_every_process(monkeypatch):
    cache.folder.cache_clear()
    monkeypatch.setattr(cache, "_usable", lambda path: False)
    try:
        assert cache.folder() is None
        assert cache.native(lambda x: x + 1)(41) == 42
        monkeypatch.setattr(compiling, "folder", cache.folder)
        assert compiling.missing(compiling.parts("transformer", 8, "float32")) == []
    finally:
        monkeypatch.undo()
        cache.folder.cache_clear()


def test_the_first_folder_that_can_be_written_is_taken(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "_bases", lambda: iter([tmp_path / "file", tmp_path / "home"]))
    cache.folder.cache_clear()
    try:
        assert cache.folder().parent == tmp_path / "home"
        assert list(cache.folder().iterdir()) == []
    finally:
        monkeypatch.undo()
        cache.folder.cache_clear()


def test_without_an_interpreter_to_start_kernels_are_compiled_on_first_use(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    compiling.compile_side_by_side(compiling.parts("transformer", 8, "float32"))


def test_the_working_folder_does_not_get_into_the_compiling_processes(folder, capfd):
    (folder / "random.py").write_text("raise RuntimeError('not this one')")
    part = Part("labels", 8, "float32")
    compiling.compile_side_by_side([part])
    assert capfd.readouterr().err == ""
    assert compiling.missing([part]) == []


def test_an_interrupted_compilation_leaves_no_process(monkeypatch):
    started = []

    class Child:
        def __init__(self, *_, **__):
            self.ended = False
            started.append(self)

        def wait(self):
            if not self.ended:
                raise KeyboardInterrupt

        def poll(self):
            return 0 if self.ended else None

        def terminate(self):
            self.ended = True

    monkeypatch.setattr(compiling.subprocess, "Popen", Child)
    with pytest.raises(KeyboardInterrupt):
        compiling.compile_side_by_side(compiling.parts("transformer", 8, "float32"))
    assert len(started) == 3
    assert all(child.ended for child in started)


def test_signatures_are_saved_one_process_at_a_time(tmp_path):
    """numba's index of a function is read, extended and replaced: that must not overlap."""
    from ntkbound.heads.native.packing import fill

    lock = FileLock(cache.folder() / "lock")
    with lock, pytest.raises(Timeout):
        FileLock(lock.lock_file, timeout=0).acquire()
    calls = []

    class Cache:
        def save_overload(self, *arguments):
            with pytest.raises(Timeout):
                FileLock(tmp_path / "lock", timeout=0).acquire()
            calls.append(arguments)

    function = type("Function", (), {"_cache": Cache()})()
    cache._one_at_a_time(function, tmp_path / "lock")
    function._cache.save_overload("signature", "data")
    assert calls == [("signature", "data")]
    assert fill._cache.save_overload.__name__ == "locked"


def test_the_cache_folder_depends_on_every_source(tmp_path, monkeypatch):
    for source in cache.HERE.glob("*.py"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    names = set()
    monkeypatch.setattr(cache, "HERE", tmp_path)
    for name in [None, *(path.name for path in tmp_path.glob("*.py"))]:
        if name is not None:
            (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        cache.folder.cache_clear()
        names.add(cache.folder().name)
    cache.folder.cache_clear()
    assert len(names) == 1 + len(list(tmp_path.glob("*.py")))
