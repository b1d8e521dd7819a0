"""The structure that README describes: who imports whom, and that the engine names no theorem."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ntkbound.core.registry import DEFAULT, names

PACKAGE = Path(__file__).parents[1] / "ntkbound"
ENGINE = ("core", "machine", "runs", "stats", "studies", "report", "cli")
# folder → the folders it may import; importing a THEOREM through the registry is no import.
ALLOWED = {
    "core": {"core"},
    "machine": {"core", "machine"},
    "heads": {"core", "machine", "heads"},
    "runs": {"core", "machine", "runs"},
    "stats": {"core", "stats"},
    "studies": {"core", "runs", "stats", "studies"},
    "report": {"core", "runs", "stats", "studies", "report"},
    "cli": {*ENGINE},
    "theorems": {*ENGINE, "heads", "theorems"},
}
NAMES = re.compile(
    r"shallow|transformer|indrnn|linearization|change_of_feature|\brho\b|\btau\b|\bheads\b",
    re.IGNORECASE,
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(source: str) -> set[str]:
    """Modules of the package that are imported, be it for their types alone."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("ntkbound.")}


def folder_of(module: str) -> str:
    return module.split(".")[1]


def upward(folder: str, source: str) -> list[str]:
    """What a file of this folder imports and may not."""
    return sorted(
        module
        for module in imports(source)
        if (PACKAGE / folder_of(module)).is_dir() and folder_of(module) not in ALLOWED[folder]
    )


def parts(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE).parts


@pytest.mark.parametrize("folder", ALLOWED)
def test_arrows_point_down(folder):
    wrong = {
        str(path): found
        for path in MODULES
        if parts(path)[0] == folder and (found := upward(folder, path.read_text("utf-8")))
    }
    assert not wrong


def test_an_upward_arrow_would_be_seen():
    assert upward("stats", "from ntkbound.runs.record import read") == [
        "ntkbound.runs.record",
        "ntkbound.runs.record.read",
    ]
    assert upward("core", "def f():\n    from ntkbound import heads") == ["ntkbound.heads"]
    for_types = "if TYPE_CHECKING:\n    from ntkbound.machine import tools"
    assert upward("core", for_types) == ["ntkbound.machine", "ntkbound.machine.tools"]
    assert upward("heads", "from ntkbound.core import streams") == []


def test_every_folder_has_its_place():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ALLOWED)


def test_no_theorem_imports_another():
    for path in MODULES:
        if parts(path)[0] != "theorems" or len(parts(path)) < 2:
            continue
        own = parts(path)[1].removesuffix(".py")
        others = {module.split(".")[2] for module in imports(path.read_text("utf-8"))
                  if module.startswith("ntkbound.theorems.")}  # fmt: skip
        assert others <= {own}, path


def test_the_engine_names_no_term_symbol_or_architecture():
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in MODULES
        if parts(path)[0] in ENGINE
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if NAMES.search(line)
    ]
    (default,) = found
    assert default.startswith(str(PACKAGE / "core" / "registry.py"))
    assert default.endswith(f': DEFAULT = "{DEFAULT}"')


def without_torch(code: str, folder: Path) -> None:
    """Runs code in a process of its own and asserts that torch is not imported."""
    told = f"import sys\n{code}\nassert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", names())
def test_a_theorem_is_declared_without_torch(name, folder):
    without_torch(f"from ntkbound import find\nfind({name!r})", folder)


@pytest.mark.parametrize(
    "arguments",
    [
        ["slopes", "results"],
        ["check", "results"],
        ["report", "results"],
        ["diff", "results", "results"],
        ["show", "RECORD"],
        ["status", "results"],
        ["--help"],
        ["train", "--help"],
        ["theorems"],
        ["presets"],
    ],
    ids=" ".join,
)
def test_what_only_reads_does_not_load_torch(arguments, folder, copied):
    copied.parent.joinpath("results").mkdir()
    record = copied.rename(copied.parent / "results" / copied.name)
    told = [str(record) if word == "RECORD" else word for word in arguments]
    without_torch(
        "from ntkbound.cli import main\n"
        f"try:\n    main({told!r})\n"
        "except SystemExit as stopped:\n    assert stopped.code in (0, 3)",
        record.parent.parent,
    )


def test_a_sweep_leaves_torch_to_its_workers(folder):
    without_torch(
        "from ntkbound.cli import main\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        main(['sweep', 'next-token/smoke/next-token-margin', '--jobs=1', '-q'])\n"
        "    except SystemExit as stopped:\n        assert stopped.code in (None, 0)",
        folder,
    )
