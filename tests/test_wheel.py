"""The built wheel alone, from an empty folder: what travels in it, and that the examples work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.attack

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel of this checkout and of the example package, in a folder of their own."""
    built, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "ntkbound"
    kept = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=kept)
    for one in (source, source / "examples" / "my_package"):
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", built, one], check=True
        )
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target]
    subprocess.run([*install, *sorted(built.glob("*.whl"))], check=True)
    return target


@pytest.fixture
def shell(installed, tmp_path):
    """Runs ``ntkbound`` of the wheel: its exit code and what it printed."""
    for path in (installed / "ntkbound" / "examples").glob("my_*.*"):
        shutil.copy(path, tmp_path)

    def call(line):
        done = subprocess.run(
            [sys.executable, "-m", "ntkbound", *line.split()],
            env=os.environ | {"PYTHONPATH": str(installed)},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return call


def test_examples_of_the_wheel(shell, installed, tmp_path):
    assert shell("check least-squares/smoke --jobs 1 -q")[0] == 0
    assert shell("check --theorem my_theorem.py --jobs 1 -q")[0] == 0
    assert shell("check --theorem my-package --jobs 1 -q")[0] == 0
    assert shell("slopes results --theorem my_theorem.py -q")[0] == 0
    assert shell("report results --theorem my_theorem.py -q")[0] == 0
    assert shell("study my_study.py --size smoke --jobs 1 -q")[0] == 0
    assert (tmp_path / "results" / "my-study.pdf").is_file()
    assert shell("sweep my_preset.toml --jobs 1 -q")[0] == 0
    few = "--m 8 --n 8 --T 3 --d 2 --tau 4 --search-samples 1 --search-steps 1"
    code, told = shell(f"train --model my_head.py:MyHead {few}")
    assert (code, "not proved for this head" in told) == (0, True)
    assert shell("new theorem half-moon -q")[0] == 0
    text = (tmp_path / "half_moon.py").read_text()
    (tmp_path / "half_moon.py").write_text(text.replace("exponent=-0.5", "exponent=-1"))
    code, told = shell("check --theorem half_moon.py --jobs 1")
    assert (code, "violated" in told) == (1, True)
    (tmp_path / "half_moon.py").write_text("import nothing_of_this_name\n")
    code, told = shell("train --theorem half_moon.py")
    assert (code, told.count("\n")) == (2, 1)
    assert "half_moon.py, line 1: ModuleNotFoundError" in told
    assert installed.joinpath("ntkbound", "presets", "smoke.toml").is_file()
