"""Shared settings and fixtures."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ntkbound import run, theorems
from ntkbound.cli import build, main
from ntkbound.core import registry, userfile
from ntkbound.heads import native
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.config import Config
from tests.support.problems import SMALL_RUN

pytest.register_assert_rewrite(
    "tests.support.checks",
    "tests.support.bound_checks",
    "tests.support.certificate_checks",
    "tests.support.tolerances",
)

# Deterministic: the same examples on every machine, and no wall clock in any verdict.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    # torch.func.jvp scripts its own decompositions on first use: torch's affair, not ours.
    config.addinivalue_line(
        "filterwarnings", "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
    )
    if not hasattr(config, "workerinput"):  # once for all processes, and no test has to wait
        native.make_ready([("transformer", d, "float32") for d in (2, 3, 8)], print)


@pytest.fixture
def workers():
    """One thread, and torch's own threads switched off, as in every run."""
    from ntkbound.machine.parallel import Workers

    return Workers(1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that the default ``results/`` never lands in the checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # processes of pytest-xdist have one
    return tmp_path


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """One finished run; tests that change it work on a copy."""
    return run(Config(**SMALL_RUN), Execution(tmp_path_factory.mktemp("done"), threads=1))


@pytest.fixture
def copied(finished, tmp_path):
    return Path(shutil.copytree(finished.path, tmp_path / finished.id))


@pytest.fixture
def command(folder, capsys):
    """Runs the command line in an empty folder: exit code, stdout, stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        code = stopped.value.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture
def plant(tmp_path_factory, monkeypatch):
    """Adds a theorem's module to those of the package, by the theorem's name, for one test."""
    place = tmp_path_factory.mktemp("theorems")
    monkeypatch.setattr(theorems, "__path__", [*theorems.__path__, str(place)])

    def add(name, text):
        (place / f"{name.replace('-', '_')}.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        build.cache_clear()

    yield add
    build.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(place)):
            del sys.modules[name]


@pytest.fixture
def refused(command, folder):
    """A call that must exit 2 with exactly one line on stderr, and write nothing."""

    def call(*arguments):
        before = sorted(folder.rglob("*"))
        code, out, err = command(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("ntkbound: ")
        assert err.count("\n") == 1, err
        assert sorted(folder.rglob("*")) == before, "something was written"
        return err.removeprefix("ntkbound: ").rstrip("\n")

    return call


@pytest.fixture
def own_code(monkeypatch):
    """Files of the user's own that a test names are forgotten after it, and at a call."""

    def forget():
        for module, name, empty in (
            (userfile, "_named", set()), (userfile, "_carried", {}), (userfile, "_loaded", {}),
            (registry, "_files", {}),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, empty)
        for cached in (build, registry._installed, registry._of_package):
            cached.cache_clear()

    forget()
    yield forget
    forget()
