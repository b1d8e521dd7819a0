"""Studies: one figure's worth of evidence each, declared in one file of this package.

A module that defines ``STUDY`` is a study; its name is the module's, with hyphens. Adding one is
adding a file: nothing else names it.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from ntkbound.core.errors import InputError, nearest
from ntkbound.studies.study import Study

__all__ = ["Study", "load", "studies"]


def studies() -> dict[str, Study]:
    """Every study by name, sorted."""
    found = {}
    package = import_module("ntkbound.theorems.shallow_transformer.studies")
    for entry in pkgutil.iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{entry.name}")
        if hasattr(module, "STUDY"):
            found[entry.name.replace("_", "-")] = module.STUDY
    return dict(sorted(found.items()))


def load(name: str) -> Study:
    """The study of this name. Raises InputError naming the nearest."""
    known = studies()
    if name not in known:
        raise InputError(
            f"study: {name!r} is unknown; accepted: {', '.join(known)}{nearest(name, known)}"
        )
    return known[name]
