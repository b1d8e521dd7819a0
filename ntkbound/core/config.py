"""What a user wrote: the flat, frozen configuration of one run, how it is read, and its identity.

Every theorem has its own subclass; options, presets, hashes and one-line errors follow from its
fields. Nothing here imports torch, so that ``ntkbound --help`` and the reports stay quick.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ntkbound.core.errors import InputError, nearest

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

MANY = frozenset({"sweep", "claim"})  # tables of a preset that are about many runs

AnyConfig = TypeVar("AnyConfig", bound="Config")


class Config(BaseModel):
    """One run of one theorem. A subclass narrows ``theorem`` to its own name, with that default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # What the engine has to know of the fields.
    seeds: ClassVar[tuple[str, ...]] = ("seed",)  # runs that differ in these alone are repetitions
    drawn: ClassVar[tuple[str, ...]] = ()  # those of them that the guarantee is a probability over
    implied: ClassVar[frozenset[str]] = frozenset()  # follow from others: not hashed
    exclusive: ClassVar[tuple[tuple[str, str], ...]] = ()  # giving one unsets the other
    precision: ClassVar[str] = ""  # the field that names the dtype trained in
    data: ClassVar[str] = ""  # the field that may name a data file: equal content is equal
    code: ClassVar[tuple[str, ...]] = ()  # fields that may name what a FILE.py defines
    panels: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # options by topic; others come first

    theorem: str = Field(description="the theorem under test")
    seed: Seed = Field(0, description="seed of every random draw")

    def canonical(self, data_digest: str | None) -> dict[str, Any]:
        """The fields that determine the numbers; data and code count by their digests, not by their
        paths."""
        fields = self.model_dump(exclude=set(self.implied))
        return fields | {name: what for name, (_, what) in self.files_of_code().items()}

    def portable(self) -> dict[str, Any]:
        """The fields for a worker in another folder: files by their absolute paths."""
        code = {n: f"{path.absolute()}:{what}" for n, (path, what) in self.files_of_code().items()}
        return self.model_dump() | code

    def files_of_code(self) -> dict[str, tuple[Path, str]]:
        """Field → Python file and what it defines, of the fields that name code."""
        given = {name: str(getattr(self, name)) for name in self.code}
        parts = {name: one.rpartition(":") for name, one in given.items()}
        return {n: (Path(head), what) for n, (head, _, what) in parts.items() if head}

    @classmethod
    def underived(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The resolved ``fields`` of a record without those that were merely derived, so that
        overriding what they follow from does what it says."""
        return dict(fields)


def digest(value: object) -> str:
    """SHA-256 (hex) of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def build(kind: type[AnyConfig], fields: Mapping[str, Any], where: str = "") -> AnyConfig:
    """A resolved config from plain values; every mistake is one line naming the field.

    ``where`` names the file the values came from.
    """
    for name in fields:
        if name not in kind.model_fields:
            accepted = nearest(name, kind.model_fields)
            raise InputError(f"{where or 'config'}: unknown field {name!r}{accepted}")
    try:
        return kind.model_validate(dict(fields))
    except ValidationError as error:
        field, message = first(error)
        told = InputError(message, field=field)
        raise (InputError(f"{where}: {told}") if where else told) from None


def first(error: ValidationError) -> tuple[str, str]:
    """Field (empty: of the whole) and message of the first mistake; a validator of the whole names
    the field of its InputError itself."""
    mistake = error.errors()[0]
    field = str(mistake["loc"][0]) if mistake["loc"] else ""
    raised = mistake.get("ctx", {}).get("error")
    if isinstance(raised, InputError):
        return raised.field or field, str(raised.args[0])
    if raised is not None:
        return field, str(raised)
    message = mistake["msg"]
    return field, f"{message[0].lower()}{message[1:]}, not {mistake['input']!r}"


def load(path: Path) -> tuple[dict[str, Any], bool]:
    """Fields of a run from a TOML file (top level or ``[run]``) or from a record's run.json, and
    whether they are a record's, resolved.

    Raises InputError if the file cannot be read, is not of that form, or declares many runs alone.
    """
    recorded = path.suffix == ".json"
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if recorded else tomllib.loads(text)
    except (OSError, ValueError) as error:
        unread = isinstance(error, OSError | UnicodeDecodeError)
        told = f"cannot be read ({cause(error)})" if unread else cause(error)
        raise InputError(told, field="config", value=path) from None
    try:
        return fields_of(data, "config" if recorded else "run"), recorded
    except InputError as error:
        raise InputError(str(error), field="config", value=path) from None


def fields_of(data: object, name: str) -> dict[str, Any]:
    """The fields of one run, in the table ``name`` or at the top level.

    Raises InputError where they are none, and for a preset that fixes no field.
    """
    fields = data.get(name, data) if isinstance(data, dict) else data
    if not isinstance(fields, dict):
        raise InputError("expected a table of run fields")
    if fields is data and MANY & data.keys():
        raise InputError("has no [run], so it says nothing of a single run: sweep it")
    return fields


def cause(error: Exception) -> str:
    """What went wrong, without the path that an OSError repeats."""
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
