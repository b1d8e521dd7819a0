"""``new``, ``theorems NAME`` and the examples, from an empty folder."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

pytestmark = pytest.mark.usefixtures("own_code")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def examples(folder):
    for path in EXAMPLES.glob("my_*.*"):
        shutil.copy(path, folder)
    return folder


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_example_theorem(command, refused, examples, own_code):
    assert command("train", "--theorem", "my_theorem.py", "--m", "100", "--strict", "-q")[0] == 0
    code, out, _ = command("check", "--theorem=my_theorem.py", "--jobs=1")
    assert (code, "tight" in out) == (0, True)
    code, out, _ = command("slopes", "results", "--theorem=my_theorem.py", "--plot=f.png")
    assert code == 0 and "= −0.5" in out
    assert (examples / "f.png").stat().st_size > 10_000
    edit(examples / "my_theorem.py", "exponent=-0.5", "exponent=-1")
    own_code()
    code, out, _ = command("check", "--theorem=my_theorem.py", "--jobs=1", "--out=again")
    assert (code, "violated" in out) == (1, True)
    edit(examples / "my_theorem.py", "steps[1:]", "stepz[1:]")
    own_code()
    assert "line 27: NameError" in refused("train", "--theorem=my_theorem.py")


def test_its_lines_are_few():
    assert len((EXAMPLES / "my_theorem.py").read_text().splitlines()) <= 40


def test_the_example_preset_and_study(command, examples):
    code, _, err = command("check", "my_preset.toml", "--jobs=1", "-q")
    assert (code, err) == (0, "")
    edit(examples / "my_preset.toml", 'theorem = "least-squares"', 'theorem = "my_theorem.py"')
    edit(examples / "my_preset.toml", "n = 60", "delta = 0.1")
    edit(examples / "my_preset.toml", "d = [5, 20]\n", "")
    edit(examples / "my_preset.toml", "steps = {", "m = {")
    edit(examples / "my_preset.toml", "exponent = -1", "exponent = -0.5")
    edit(examples / "my_preset.toml", 'axis = "steps"', 'axis = "m"')
    for old, new in (("suboptimality", "deviation"), ("final", "uniform"), ("gap", "sup")):
        edit(examples / "my_preset.toml", f'"{old}"', f'"{new}"')
    assert command("sweep", "my_preset.toml", "--jobs=1", "-q")[0] == 0
    code, _, err = command("study", "my_study.py", "--size=smoke", "--jobs=1", "--out=s")
    assert code == 0, err
    assert {"my-study.md", "my-study.pdf"} <= {path.name for path in (examples / "s").iterdir()}


@pytest.fixture
def package(folder, monkeypatch):
    """The example package as an installer leaves it: modules, and metadata beside them."""
    site = folder / "site"
    shutil.copytree(EXAMPLES / "my_package" / "my_package", site / "my_package")
    about = site / "my_package-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[ntkbound.theorems]\nmy-package = my_package\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    return site


def test_an_installed_theorem(command, package, own_code):
    told = json.loads(command("theorems", "--json")[1])
    (mine,) = (one for one in told["theorems"] if one["name"] == "my-package")
    assert mine["origin"] == "my-package = my_package of my-package"
    code, out, _ = command("check", "--theorem=my-package", "--jobs=1")
    assert (code, "tight" in out) == (0, True)
    edit(package / "my_package" / "__init__.py", "from math", "1 / 0\nfrom math")
    sys.modules.pop("my_package")
    own_code()
    code, out, _ = command("theorems")
    assert code == 0
    assert "broken: 'my-package' cannot be loaded: __init__.py, line 6" in " ".join(out.split())


def test_an_installed_theorem_of_a_shipped_name_takes_nothing_away(command, package, own_code):
    edit(
        package / "my_package-0.1.dist-info" / "entry_points.txt", "my-package =", "least-squares ="
    )
    told = json.loads(command("theorems", "--json")[1])
    (taken,) = told["broken"].items()
    assert taken[0] == "least-squares (my_package)" and "the name is taken" in taken[1]
    assert command("train", "--theorem=least-squares", "-q")[0] == 0


@pytest.mark.parametrize(
    ("kind", "name", "use"),
    [
        ("theorem", "half-moon", ["check", "--theorem", "half_moon.py", "--jobs=1"]),
        ("study", "my_own", ["study", "my_own.py", "--size=smoke", "--jobs=1"]),
        ("preset", "grid", ["check", "grid.toml", "--jobs=1"]),
    ],
)
def test_new_files_work_as_they_are(command, refused, folder, kind, name, use):
    code, out, err = command("new", kind, name)
    assert (code, out) == (0, "")
    path = folder / use[1].replace("--theorem", "half_moon.py")
    assert err.startswith(f"written: {path.name if kind != 'theorem' else 'half_moon.py'}\nnext: ")
    assert "exists already" in refused("new", kind, name)
    assert command(*use, "-q")[0] == 0


def test_a_new_theorem_bears_its_name_everywhere(command, folder):
    command("new", "theorem", "half-moon", "-q")
    text = (folder / "half_moon.py").read_text()
    assert 'name="half-moon"' in text and "class HalfMoon(Config)" in text
    assert "my" not in text.replace("numpy", "").replace("dummy", "").lower().split()
    assert "my-theorem" not in text and "MyTheorem" not in text


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "-x", "a--b", "x.py", "least-squares"])
def test_new_names_are_checked(refused, name):
    assert "NAME" in refused("new", "theorem", "--", name)


def test_the_page_of_a_theorem(command, examples):
    for reference in ("shallow-transformer", "next-token", "least-squares", "my_theorem.py"):
        code, out, _ = command("theorems", reference)
        assert code == 0
        assert all(cell_len(line) <= 100 for line in out.splitlines())
    assert "Massart (1990)" in out and "exactly m^−0.5" in " ".join(out.split())
    told = json.loads(command("theorems", "my_theorem.py", "--json")[1])
    assert told["quantities"][0]["term"] == "deviation"
    code, out, _ = command("theorems", "next-token")
    assert "refuted: its proof forgets λ ≥ 0" in " ".join(out.split())
