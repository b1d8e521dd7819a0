"""The real command in a real process: what in-process calls cannot show."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from ntkbound import read, run
from ntkbound.runs import execute
from ntkbound.runs.execute import Audience, Execution
from ntkbound.theorems.shallow_transformer.config import Config
from tests.support.problems import SMALL_RUN, TRAIN

COMMAND = shutil.which("ntkbound", path=str(Path(sys.executable).parent)) or "ntkbound"
LIMIT = 120  # a hang must fail, not stall the suite


def launch(folder, *arguments, **environment):
    return subprocess.run(
        [COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        timeout=LIMIT, env={**os.environ, **environment},
    )  # fmt: skip


def test_version(tmp_path):
    done = launch(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"ntkbound {version('ntkbound')}\n",
        "",
    )


def test_help_names_an_example_and_the_exit_codes(tmp_path):
    done = launch(tmp_path, "train", "--help", NO_COLOR="1", COLUMNS="100")
    assert done.returncode == 0
    assert "Example: ntkbound train" in done.stdout
    assert "--activation" in done.stdout
    assert "\x1b" not in done.stdout, "NO_COLOR is honoured"
    assert list(tmp_path.iterdir()) == []


def test_train_json_is_pure(tmp_path):
    done = launch(tmp_path, *TRAIN, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    (path,) = (tmp_path / "results").glob("*/run.json")
    assert data == json.loads(path.read_text())
    assert done.stderr == f"record written: {path.parent.relative_to(tmp_path)}\n"
    assert "\x1b" not in done.stdout + done.stderr, "a pipe is no terminal"


def test_bad_input_is_exit_2_without_a_traceback(tmp_path):
    done = launch(tmp_path, "train", "--m", "7")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ntkbound: --m: 7 is odd; symmetric initialisation needs an even number\n"
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    record = run(Config(**SMALL_RUN), Execution(tmp_path, threads=1))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [COMMAND, "show", record.path], stdout=writer, stderr=subprocess.PIPE, check=False,
        timeout=LIMIT,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_while_training(tmp_path):
    """On a terminal, so that the live bar tells when training has begun: nothing to sleep for."""
    # A background shell has it ignored, and the child would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    terminal, side = pty.openpty()
    arguments = ["train", "--m=8", "--n=12", "--T=3", "--d=2", "--teacher-heads=512", "--threads=2"]
    process = subprocess.Popen(
        [COMMAND, *arguments, "--tau=100000000"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=side,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}, start_new_session=True,
    )  # fmt: skip
    os.close(side)
    try:
        seen = b""
        while b"loss" not in seen:
            seen += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        while piece := _read(terminal):
            seen += piece
        assert process.wait(LIMIT) == 130
    finally:
        process.kill()
        os.close(terminal)
    assert process.stdout is not None
    assert process.stdout.read() == b""
    process.stdout.close()
    assert b"ntkbound: interrupted" in seen
    assert b"Traceback" not in seen
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["cache"]


def _read(terminal):
    """What the terminal shows next; nothing once the process has closed its side."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


KILLED = """
import os, signal, sys
from pathlib import Path
from ntkbound import run
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.runs.execute import Execution
import safetensors.numpy

def die(arrays, path):
    Path(path).write_bytes(b"half a file")
    os.kill(os.getpid(), signal.SIGKILL)

safetensors.numpy.save_file = die
run(Config(**eval(sys.argv[1])), Execution(Path(sys.argv[2]), threads=1))
"""


def test_a_run_killed_while_writing_is_run_again(tmp_path):
    command = [sys.executable, "-c", KILLED, repr(SMALL_RUN), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=LIMIT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not list(tmp_path.glob("st-*")), "no record, whole or half"
    told = []
    record = execute.run(
        Config(**SMALL_RUN), Execution(tmp_path, threads=1), Audience(reused=told.append)
    )
    assert not told
    assert read(record.path).status == "complete"


@pytest.mark.attack
def test_the_readme_run_is_bit_identical_with_one_and_two_threads(tmp_path):
    arguments = ["train", "--m=256", "--tau=400", "--teacher-heads=8192", "--json"]
    one = json.loads(launch(tmp_path, *arguments, "--threads=1", "--out=one").stdout)
    two = json.loads(launch(tmp_path, *arguments, "--threads=2", "--out=two").stdout)
    assert one.pop("environment") != two.pop("environment")
    assert one.pop("sha256") != two.pop("sha256"), "the checksum covers the environment"
    assert one == two
