"""Command-line options that mirror the config, made from its fields."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from ntkbound.theorems.shallow_transformer import config as configs
from ntkbound.theorems.shallow_transformer.config import RunConfig

PANELS = {
    "Model": ("theorem", "model", "omega", "m", "activation", "query"),
    "Data": (
        *("task", "n", "T", "d", "inputs", "input_norm", "target", "rescale", "validation"),
        *("lag", "positions", "query_scale"),
        *("transport", "nu", "teacher_heads"),
    ),
    "Descent": ("tau", "method", "batch", "decay", "eta", "eta_scale", "rho", "dtype"),
    "Measurement": (
        *(
            "bounds",
            "delta",
            "ridge",
            "records",
            "search_samples",
            "search_restarts",
            "search_steps",
        ),
    ),
    "Seeds": ("seed", "data_seed", "teacher_seed", "init_seed"),
}


def config_options(
    command: Callable[..., None], panels: Collection[str] = tuple(PANELS)
) -> Callable[..., None]:
    """Gives ``command(config, …)`` one option per field of RunConfig, and ``--config FILE``.

    ``panels`` limits the options to those that a command uses; none is taken and then ignored.

    The command receives the resolved config: the file first, options over it.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    file = inspect.Parameter(
        "config_file",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            Path | None,
            typer.Option(
                "--config", help="TOML preset or a record's run.json; options override it"
            ),
        ],
    )
    fields = [_option(name, panel) for panel in panels for name in PANELS[panel]]

    @functools.wraps(command)
    def wrapped(config_file: Path | None = None, **options: Any) -> None:
        given = {
            name: options.pop(name) for name in list(options) if name in RunConfig.model_fields
        }
        given = {name: value for name, value in given.items() if value is not None}
        base = {} if config_file is None else configs.load(config_file)
        where = "" if config_file is None else f"--config {config_file}"
        if base:
            configs.build(base, where)
        for name, other in (("eta", "eta_scale"), ("eta_scale", "eta")):
            if name in given:  # either replaces whichever of the two the file holds
                base.pop(other, None)
        command(configs.build({**base, **given}), **options)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own[1:], file, *fields]]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def _option(name: str, panel: str) -> inspect.Parameter:
    field = RunConfig.model_fields[name]
    kind = _plain_type(field.annotation)
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
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
        annotation=Annotated[kind | None, option],
    )


def _choices(annotation: Any) -> str | None:
    """``a|b|c`` for a field that accepts a few names."""
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Literal:
            return "|".join(get_args(part))
    return None


def _plain_type(annotation: Any) -> type:
    """int, float, bool or str: the rest is checked by the config itself, in one line."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (types.UnionType,) or type(None) in get_args(annotation):
        return _plain_type(next(a for a in get_args(annotation) if a is not type(None)))
    return annotation if annotation in (int, float, bool) else str
