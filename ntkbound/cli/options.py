"""Command-line options that mirror a theorem's config, made from its fields."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from ntkbound.core.config import Config, build
from ntkbound.core.errors import InputError
from ntkbound.core.preset import fields_of_run
from ntkbound.core.registry import DEFAULT, find, named, with_code
from ntkbound.core.theorem import Theorem
from ntkbound.core.userfile import is_python

RUN = "Run"  # the panel of fields that a config puts into none


@dataclass(frozen=True)
class Given:
    """What was asked for: the fields that options named, and the resolved config of them all."""

    fields: Mapping[str, Any]  # of options and file, before anything is derived
    config: Any


def config_options(
    command: Callable[..., None], kind: type[Config], panels: Collection[str] | None = None
) -> Callable[..., None]:
    """Gives ``command(given, …)`` one option per field of a config, and ``--config FILE``.

    ``panels`` limits the options to those that a command uses; none is taken and then ignored.
    The command receives ``Given``: the file first, options over it.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    file = inspect.Parameter(
        "config_file",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                "--config",
                help="a TOML file, a preset's name or a record's run.json; options override it",
            ),
        ],
    )
    fields = [
        _option(kind, name, panel)
        for panel, members in _panels(kind).items()
        if panels is None or panel in panels
        for name in members
    ]

    @functools.wraps(command)
    def wrapped(config_file: str | None = None, **options: Any) -> None:
        asked = {name: options.pop(name) for name in list(options) if name in kind.model_fields}
        asked = _with_code(kind, {n: value for n, value in asked.items() if value is not None})
        base = {} if config_file is None else _from_file(kind, config_file)
        for one, other in kind.exclusive:
            for name, replaced in ((one, other), (other, one)):
                if name in asked:  # either replaces whichever of the two the file holds
                    base.pop(replaced, None)
        fields = {**base, **asked}
        command(Given(fields, build(kind, fields)), **options)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own[1:], file, *fields]]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def theorem_asked_for(arguments: list[str]) -> str:
    """The theorem whose options the arguments are: of ``--theorem``, else of ``--config FILE``.

    What cannot be read or is unknown is told later, where the command itself looks at it.
    """
    values = {"--theorem": "", "--config": ""}
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in values:
            values[name] = value if equals else "".join(arguments[position + 1 : position + 2])
    if not values["--theorem"] and values["--config"]:
        try:
            fields, _ = fields_of_run(values["--config"])
        except InputError:
            return DEFAULT
        return str(fields.get("theorem", DEFAULT))
    asked = values["--theorem"] or DEFAULT
    return named(asked).name if is_python(asked) else asked


def _with_code(kind: type[Config], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of options, with the Python files that they name read."""
    found = with_code({"theorem": kind.model_fields["theorem"].default, **asked})
    return {name: found[name] for name in asked}


def _from_file(kind: type[Config], reference: str) -> dict[str, Any]:
    """Fields of a preset or a record, checked as they stand; without what was merely derived."""
    fields, recorded = fields_of_run(reference)
    theorem = theorem_of(fields, reference)
    if theorem.config is not kind:
        raise InputError(f"is about the theorem {theorem.name}", field="config", value=reference)
    if recorded:
        fields = kind.underived(fields)
    build(kind, fields, f"--config {reference}")
    return fields


def theorem_of(fields: Mapping[str, Any], reference: str) -> Theorem:
    """The theorem whose fields a file holds. Raises InputError naming the file."""
    try:
        return find(str(fields.get("theorem", DEFAULT)))
    except InputError as error:
        raise InputError(str(error), field="config", value=reference) from None


def _panels(kind: type[Config]) -> dict[str, tuple[str, ...]]:
    """The config's own panels, and one of the fields that are in none."""
    placed = {name for members in kind.panels.values() for name in members}
    rest = tuple(name for name in kind.model_fields if name not in placed)
    return {**({RUN: rest} if rest else {}), **kind.panels}


def _option(kind: type[Config], name: str, panel: str) -> inspect.Parameter:
    field = kind.model_fields[name]
    plain = _plain_type(field.annotation)
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if plain is bool else flag
    default = field.default
    shown = isinstance(default, int | float | str) and not isinstance(default, bool)
    text = f"{field.description} [{default}]" if shown else str(field.description)
    option = typer.Option(
        declaration,
        help=text.replace("[", r"\["),  # rich would take it for markup
        rich_help_panel=panel,
        show_default=False,
        metavar=_choices(field.annotation),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[plain | None, option],
    )


def _choices(annotation: Any) -> str | None:
    """``a|b|c`` for a field that accepts a few names."""
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Literal and len(get_args(part)) > 1:
            return "|".join(get_args(part))
    return None


def _plain_type(annotation: Any) -> type:
    """int, float, bool or str: the rest is checked by the config itself, in one line."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (types.UnionType,) or type(None) in get_args(annotation):
        return _plain_type(next(a for a in get_args(annotation) if a is not type(None)))
    return annotation if annotation in (int, float, bool) else str
