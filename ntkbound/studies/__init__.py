"""Studies: one figure's worth of evidence each, declared in one file of a theorem.

A theorem names the package that holds its studies; a module there that defines ``STUDY`` is one,
and its name is the module's, with hyphens. Adding one is adding a file and its presets: nothing
else names it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from ntkbound.core import userfile
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.registry import named, theorems
from ntkbound.studies.study import Edition, Study

__all__ = ["Edition", "Study", "load", "studies"]


def studies() -> dict[str, Study]:
    """Every study of every theorem by name, sorted.

    Raises ValueError where two theorems have studies of one name.
    """
    found: dict[str, Study] = {}
    for theorem in theorems().values():
        for name, study in _declared(theorem.studies):
            if name in found:
                raise ValueError(f"study {name}: declared by {theorem.name} and by another theorem")
            found[name] = study
    return dict(sorted(found.items()))


def load(name: str, size: str) -> Edition:
    """The study of this name, or of a file of the user's own, at this size: smoke, small or paper.

    Raises InputError naming the nearest study or size, or the defect of its preset or its file.
    """
    if name.endswith(userfile.SUFFIX):
        return _of_file(name).at(Path(name).stem.replace("_", "-"), size)
    known = studies()
    if name not in known:
        accepted = f"accepted: {', '.join(known)}, FILE.py{nearest(name, known)}"
        raise InputError(f"study {name!r} is unknown; {accepted}")
    return known[name].at(name, size)


def _of_file(reference: str) -> Study:
    """``STUDY`` of a file, its theorem found: by name, or as a file beside it."""
    file = userfile.load(userfile.name(reference))
    study = file.attribute("STUDY", "a Study")
    if not isinstance(study, Study):
        raise InputError(f"{file.path.name}: its STUDY is a {type(study).__name__}, no Study")
    theorem = named(study.theorem, file.path.parent)
    beside = {
        size: file.path.parent / one if isinstance(one, Path) else one
        for size, one in study.presets.items()
    }
    return replace(study, theorem=theorem.name, presets=beside)


def _declared(package: str) -> Iterator[tuple[str, Study]]:
    """The studies of one package by name; none where there is no package."""
    if not package:
        return
    for entry in pkgutil.iter_modules(import_module(package).__path__):
        module = import_module(f"{package}.{entry.name}")
        if hasattr(module, "STUDY"):
            yield entry.name.replace("_", "-"), module.STUDY
