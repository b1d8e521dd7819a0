"""Files of the user's own: executed only where named, once, with what they import beside them."""

from __future__ import annotations

import hashlib
import importlib
import sys

import pytest

from ntkbound.core import userfile
from ntkbound.core.errors import InputError
from ntkbound.core.userfile import UserCodeError, carried, carry, load, name, split

pytestmark = pytest.mark.usefixtures("own_code")


@pytest.fixture
def write(tmp_path):
    def put(relative, text):
        path = tmp_path / relative
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return put


def test_nothing_is_executed_unless_it_was_named(write):
    path = write("mark.py", "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n")
    with pytest.raises(InputError, match="was not named"):
        load(path)
    assert not path.with_suffix(".ran").exists()
    name(path)
    load(path)
    assert path.with_suffix(".ran").exists()


def test_the_digest_is_that_of_the_file_and_of_what_it_imports(write):
    alone = write("alone.py", "x = 1\n")
    assert load(name(alone)).sha256 == hashlib.sha256(alone.read_bytes()).hexdigest()
    user = write("user.py", "from helper import y\nimport part.inner\nz = part.inner.k\n")
    write("helper.py", "y = 2\n")
    write("part/__init__.py", "")
    write("part/inner.py", "k = 3\n")
    found = load(name(user))
    assert sorted(found.files) == ["helper.py", "part/__init__.py", "part/inner.py", "user.py"]
    assert (found.module.y, found.module.z) == (2, 3)
    assert not {"helper", "part", "part.inner"} & set(sys.modules), "forgotten by name"


def test_two_files_may_import_different_files_of_one_name(write, tmp_path):
    for folder, value in (("a", 1), ("b", 2)):
        write(f"{folder}/helper.py", f"y = {value}\n")
        write(f"{folder}/own.py", "from helper import y\n")
    one, two = (load(name(tmp_path / f / "own.py")) for f in ("a", "b"))
    assert (one.module.y, two.module.y) == (1, 2)
    assert one.sha256 != two.sha256


def test_a_change_beside_it_changes_the_digest(write, own_code):
    user = write("user.py", "from helper import y\n")
    write("helper.py", "y = 2\n")
    before = load(name(user)).sha256
    own_code()
    write("helper.py", "y = 3\n")
    assert load(name(user)).sha256 != before


def test_a_worker_needs_no_disk(write, own_code):
    user = write("user.py", "from helper import y\n")
    helper = write("helper.py", "y = 2\n")
    name(user)
    sent = carried([user])
    before = load(user).sha256
    own_code()
    user.write_text("y = 5\n")
    helper.unlink()
    carry(sent)
    assert (load(user).module.y, load(user).sha256) == (2, before)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = (\n", "bad.py, line 1: SyntaxError: '(' was never closed"),
        ("\n\n1 / 0\n", "bad.py, line 3: ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('a\\nb')\nf()\n", "bad.py, line 2: KeyError: 'a\\\\nb'"),
        ("import no_such_thing\n", "bad.py, line 1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(0)\n", "bad.py, line 1: SystemExit: 0"),
    ],
)
def test_what_a_file_raises_is_one_line_with_its_place(write, text, reason):
    with pytest.raises(UserCodeError) as caught:
        load(name(write("bad.py", text)))
    assert str(caught.value).startswith(reason.replace("\\\\", "\\"))
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None, "the traceback is kept"


def test_the_line_of_a_file_beside_it_is_told(write):
    write("helper.py", "\n1 / 0\n")
    with pytest.raises(UserCodeError, match=r"helper\.py, line 2: ZeroDivisionError"):
        load(name(write("user.py", "import helper\n")))


def test_a_file_may_be_called_as_what_it_imports(write):
    user = write("colorsys.py", "import colorsys\nx = colorsys.rgb_to_hsv(0, 0, 0)\n")
    sys.modules.pop("colorsys", None)
    assert load(name(user)).module.x == (0, 0, 0)
    assert list(load(user).files) == ["colorsys.py"]


@pytest.mark.parametrize("late", ["import late", "__import__('importlib').import_module('late')"])
def test_what_is_imported_later_is_refused(write, monkeypatch, tmp_path, late):
    """It would be executed without being in the digest wherever its folder is searched, too."""
    monkeypatch.syspath_prepend(str(tmp_path))
    write("late.py", "raise AssertionError\n")
    user = load(name(write("user.py", f"def f():\n    {late}\n    import this_is_nowhere\n")))
    with pytest.raises(ImportError, match=r"import late\.py at the top of user\.py") as caught:
        user.module.f()
    assert str(userfile.raised(caught.value)).startswith("user.py, line 2: ImportError")
    write("late.py", "x = 1\n")
    assert importlib.import_module("late").x == 1, "others may"
    del sys.modules["late"]


def test_errors_of_others_are_not_the_users():
    assert userfile.raised(ValueError("x")) is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x = '\x00'"])
def test_what_is_no_python_text_is_one_line(tmp_path, content):
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    with pytest.raises(UserCodeError, match=r"bad\.py"):
        load(name(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(name(tmp_path / "gone.py"))


def test_references():
    assert split("a.py") == ("a.py", "")
    assert split("C:/x/a.py:Head") == ("C:/x/a.py", "Head")
    assert split("series:a.csv") == ("series:a.csv", "")
    assert userfile.is_python("a.py:Head") and not userfile.is_python("transformer")


def test_a_relative_path_is_carried_as_an_absolute_one(write, own_code, monkeypatch, tmp_path):
    """A worker asks by the absolute path, whatever its own folder is."""
    path = write("user.py", "x = 1\n")
    monkeypatch.chdir(tmp_path)
    name("user.py")
    sent = carried([path.relative_to(tmp_path)])
    assert list(sent) == [str(path)]
    own_code()
    carry(sent)
    monkeypatch.chdir(tmp_path.parent)
    assert load(path).module.x == 1
