"""Is a THEOREM what the engine can use? Asked once, when it is loaded, before anything is run."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

from ntkbound.core.claim import Claim
from ntkbound.core.config import Config
from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Quantity
from ntkbound.core.theorem import Command, Prepared, Theorem
from ntkbound.core.userfile import UserCodeError, UserFile

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")  # part of a record's folder, of no path

# Hook → how many arguments it is called with, and what it gives (None: looked at elsewhere).
HOOKS: Mapping[str, tuple[int, Any]] = {
    "run": (2, None),
    "run_together": (2, list),
    "needs": (1, Collection),
    "prepare": (1, Prepared),
    "together": (1, str | None),
    "cost": (1, int | float),
    "ready": (2, None),
    "verify": (1, list),
    "headline": (1, str),
    "facts": (1, list),
    "prefix": (1, str),
    "follows": (1, Mapping),
}


def defect(theorem: Theorem) -> str:
    """The first defect of what a theorem declares, in words; empty where there is none."""
    return next(_defects(theorem), "")


def of_file(theorem: Theorem, file: UserFile) -> Theorem:
    """The theorem as of this file: a hook that gives anything else than it should is a
    UserCodeError with the line where it stands."""
    held = {
        hook: _giving(hook, function, kind, file)
        for hook, (_, kind) in HOOKS.items()
        if kind is not None and (function := getattr(theorem, hook)) is not None
    }
    statement = theorem.statement or file.module.__doc__ or ""
    return replace(theorem, file=file, statement=statement, **held)


def _giving(hook: str, function: Callable[..., Any], kind: Any, file: UserFile) -> Any:
    @wraps(function)
    def call(*arguments: Any) -> Any:
        found = function(*arguments)
        if not isinstance(found, kind):
            told = f"gives a {type(found).__name__}, not a {getattr(kind, '__name__', kind)}"
            raise UserCodeError(f"{file.path.name}, line {line_of(function)}: {hook} {told}")
        return found

    return call


def line_of(function: Callable[..., Any]) -> int:
    """Where a function stands in its file; 1 for what is no plain function."""
    return int(getattr(getattr(function, "__code__", None), "co_firstlineno", 1))


def _defects(theorem: Theorem) -> Iterator[str]:
    name, config = theorem.name, theorem.config
    if not isinstance(name, str) or not NAME.fullmatch(name):
        yield f"its name {name!r}: lower-case letters, digits and single hyphens are accepted"
    if type(theorem.version) is not int:
        yield f"its version {theorem.version!r} is no integer"
    if not (isinstance(config, type) and issubclass(config, Config)):
        yield f"its config {config!r} is no class made from Config"
    default = config.model_fields["theorem"].default
    if default != name:
        yield f"the default of {config.__name__}.theorem is {default!r}; give it the name, {name!r}"
    for field in (*config.code, *config.seeds):
        if field not in config.model_fields:
            yield f"{config.__name__} has no field {field!r}, which its code or seeds name"
    yield from _members(theorem)
    for hook, (count, _) in HOOKS.items():
        function = getattr(theorem, hook)
        if function is not None and not _takes(function, count):
            yield f"its {hook} is no function of {count} argument{'s' * (count > 1)}"
    keys = [quantity.key for quantity in theorem.quantities]
    for key in keys:
        if keys.count(key) > 1:
            yield f"two Quantities are {key}"
    for axis in theorem.axes:
        for field in str(axis).split("/"):
            if field not in config.model_fields:
                yield f"its axes: {field!r} is no field of {config.__name__}"
    for preset, text in theorem.presets.items():
        try:
            tomllib.loads(text if isinstance(text, str) else "")
        except tomllib.TOMLDecodeError as error:
            yield f"its preset {preset!r}: {error}"
    for number, claim in enumerate(theorem.claims, 1):
        try:
            theorem.understand(claim)
        except InputError as error:
            yield f"claim {number}: {error}"


def _members(theorem: Theorem) -> Iterator[str]:
    kinds = {"quantities": Quantity, "claims": Claim, "commands": Command, "axes": str}
    for name, kind in kinds.items():
        members = getattr(theorem, name)
        if not isinstance(members, tuple) or not all(isinstance(one, kind) for one in members):
            yield f"its {name}: a tuple of {kind.__name__} is expected, such as (X,) with a comma"


def _takes(function: object, count: int) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # of a compiled function, which tells nothing
        return True
    return True
