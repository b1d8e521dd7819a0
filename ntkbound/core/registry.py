"""Which theorems are there? Those of this package, of installed ones, and of files that were named.

A name never leads to a file that was not named on this command line (``userfile``): nothing that a
record says causes code to run.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from traceback import FrameSummary
from typing import Any

from ntkbound.core import userfile
from ntkbound.core.declared import defect, of_file
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.theorem import Theorem

DEFAULT = "shallow-transformer"
PACKAGE = "ntkbound.theorems"
GROUP = "ntkbound.theorems"  # of the entry points of installed packages
OBJECT = "THEOREM"

_files: dict[str, Theorem] = {}  # name → of a file that was named


def names() -> list[str]:
    """The names of all theorems, sorted; none is imported. A module ``_…`` is none."""
    return sorted({*_own(), *_installed(), *_files})


def theorems() -> dict[str, Theorem]:
    """Every theorem that can be loaded by name, sorted."""
    return {name: one for name in names() if (one := known(name)) is not None}


def broken() -> dict[str, str]:
    """The theorems that cannot be used, by name, with the reason."""
    reasons = {}
    for name in names():
        try:
            find(name)
        except InputError as error:
            reasons[name] = str(error.args[0])
    for name in set(_own()) & set(_installed()):
        told = f"entry point {_told(_installed()[name])} is not used: the name is taken"
        reasons[f"{name} ({_installed()[name].value})"] = told
    return reasons


def known(name: str) -> Theorem | None:
    """The theorem of this name, or None where there is none here, or none that can be loaded."""
    try:
        return find(name)
    except InputError:
        return None


def find(name: str) -> Theorem:
    """The theorem of this name.

    Raises InputError naming the nearest, and for one that cannot be loaded with what is wrong.
    """
    if name in _files:
        return _files[name]
    module = f"{PACKAGE}.{name.replace('-', '_')}"
    found = getattr(sys.modules.get(module), OBJECT, None)
    if isinstance(found, Theorem) and found.name == name:
        return found  # asked for once a record: the folder is not listed again
    if name in _own():
        return _checked(name, lambda: getattr(import_module(module), OBJECT, None))
    if name in _installed():
        return _of_package(name)
    accepted = names()
    told = f"accepted: {', '.join(accepted)}, FILE.py{nearest(name, accepted)}"
    raise InputError(f"{name!r} is unknown; {told}", field="theorem")


def named(reference: str, folder: Path | None = None) -> Theorem:
    """The theorem that the user asks for, by name or as ``FILE.py``, which is executed for that; a
    relative path is of ``folder``, or of the current one.

    Raises InputError as ``find`` does, and for a file that defines no theorem, or one of a name
    that is taken.
    """
    if not reference.endswith(userfile.SUFFIX):
        return find(reference)
    file = userfile.load(userfile.name(reference, folder))
    found = file.attribute(OBJECT, "a Theorem")
    if not isinstance(found, Theorem):
        told = f"{file.path.name}: its {OBJECT} is a {type(found).__name__}, no Theorem"
        raise InputError(told, field="theorem")
    if reason := defect(found):
        raise InputError(f"{file.path.name}: {reason}", field="theorem")
    earlier = _files.get(found.name)
    other = None if earlier is None else earlier.file
    if earlier is not None and other is file:
        return earlier
    elsewhere = other is not None and other.path != file.path  # else it came anew with a task
    if elsewhere or found.name in {*_own(), *_installed()}:
        taken = "another file" if elsewhere else "a theorem that is installed"
        told = f"{file.path.name}: its name {found.name!r} is that of {taken}; give it its own"
        raise InputError(told, field="theorem")
    _files[found.name] = of_file(found, file)
    return _files[found.name]


def origin(theorem: Theorem) -> str:
    """Where a theorem comes from: a file, a package with its version, or ntkbound itself."""
    if theorem.file is not None:
        return str(theorem.file.path)
    point = None if theorem.name in _own() else _installed().get(theorem.name)
    return "ntkbound" if point is None else _told(point)


def configure(fields: Mapping[str, Any], where: str = "") -> Any:
    """A resolved config of whichever theorem ``fields`` name, the default one if none.

    Raises InputError naming ``where`` and the field.
    """
    name = fields.get("theorem", DEFAULT)
    try:
        theorem = find(str(name))
    except InputError as error:
        raise (InputError(f"{where}: {error}") if where else error) from None
    return theorem.configure(fields, where)


def with_code(fields: Mapping[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """Fields that the user wrote, in which Python files may be executed from now on: ``theorem`` as
    ``FILE.py`` becomes the name of what that file defines, and the others that may name code
    (``Config.code``) stand as given from here. Relative paths are of ``folder``.

    Raises InputError as ``named`` does.
    """
    found = dict(fields)
    theorem = named(str(fields.get("theorem", DEFAULT)), folder)
    if "theorem" in fields:
        found["theorem"] = theorem.name
    for field in theorem.config.code:
        reference = fields.get(field)
        if isinstance(reference, str) and userfile.is_python(reference):
            path, name = userfile.split(reference)
            userfile.name(path, folder)
            found[field] = f"{(folder or Path()) / path}:{name}"
    return found


def raised(error: Exception) -> str:
    """In one line what an import raised, and in which file; a SyntaxError says itself where."""
    return userfile.told(error, _of_a_theorem)


def _of_a_theorem(frame: FrameSummary) -> bool:
    """A frame of a theorem, not of the engine or of Python's own import."""
    engine, theorems = str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "theorems")
    inside = frame.filename.startswith(engine) and not frame.filename.startswith(theorems)
    return not inside and "importlib" not in frame.filename


def _own() -> list[str]:
    package = import_module(PACKAGE)
    modules = (entry.name for entry in pkgutil.iter_modules(package.__path__))
    return [name.replace("_", "-") for name in modules if not name.startswith("_")]


@cache
def _installed() -> dict[str, EntryPoint]:
    """Of every installed package, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


@cache
def _of_package(name: str) -> Theorem:
    point = _installed()[name]

    def load() -> Any:
        found = point.load()
        return found if isinstance(found, Theorem) else getattr(found, OBJECT, None)

    return _checked(name, load)


def _told(point: EntryPoint) -> str:
    package = "" if point.dist is None else f" of {point.dist.name}"
    return f"{point.name} = {point.value}{package}"


def _checked(name: str, load: Callable[[], Any]) -> Theorem:
    """What is loaded, if it is a theorem of this name."""
    try:
        found = load()
    except Exception as error:  # whatever its file raises
        raise InputError(f"{name!r} cannot be loaded: {raised(error)}", field="theorem") from error
    if not isinstance(found, Theorem):
        told = f"its module defines no {OBJECT}"
        raise InputError(f"{name!r} cannot be loaded: {told}", field="theorem")
    if reason := defect(found):
        raise InputError(f"{name!r} cannot be loaded: {reason}", field="theorem")
    if found.name != name:
        told = f"its {OBJECT} is called {found.name!r}; the name follows from that of the module"
        raise InputError(f"{name!r} cannot be loaded: {told}", field="theorem")
    return found
