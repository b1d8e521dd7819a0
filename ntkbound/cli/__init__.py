"""The command line: parse, call, print."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Collection, Sequence
from functools import cache
from importlib.metadata import version
from inspect import cleandoc
from typing import Annotated, Any, NoReturn

import typer
from typer.models import CommandInfo

from ntkbound.cli import (
    check,
    diff,
    explain,
    new,
    report,
    runs,
    slopes,
    studies,
    sweeps,
    theorems,
)
from ntkbound.cli.common import BAD_INPUT, CRASHED, INCONCLUSIVE, INTERRUPTED, fail, in_options
from ntkbound.cli.options import theorem_asked_for
from ntkbound.core import registry, userfile
from ntkbound.core.errors import InputError, RankLostError, nearest
from ntkbound.core.theorem import Command
from ntkbound.machine.garbage import collect_rarely
from ntkbound.report.letters import write_readably

__all__ = ["build", "main"]

DEBUG = "--debug"  # anywhere: the traceback of what code of the user's own raised


@cache
def build(name: str, *, everything: bool = False) -> typer.Typer:
    """The commands, with the options of one theorem where runs are configured.

    Of the commands that theorems bring, those of this one and of the default; ``everything``: of
    all of them, which all have to be imported for that. Of a theorem that is unknown or cannot be
    loaded only ``train`` says so.
    """
    app = typer.Typer(
        name="ntkbound",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        help=(
            "Turns convergence theorems into tests: trains what they are about, measures every "
            "term of the proof, puts the proved bound and the claimed rate beside each, and says "
            "what holds.\n\n"
            "Start with: [bold]ntkbound train[/bold], and [bold]ntkbound theorems[/bold]"
        ),
        epilog=(
            "Exit codes: 0 all holds, 1 a bound or rate is violated, 2 bad usage or input, "
            "3 inconclusive, 130 interrupted."
        ),
    )
    runs.register(app, name)
    for part in (sweeps, slopes, check, report, diff, studies, theorems, explain, new):
        part.register(app)
    first = dict.fromkeys((name, registry.DEFAULT))
    _bring(app, list(first), registry.names() if everything else [])
    for info in app.registered_commands:
        if info.callback is not None and info.help is None:
            info.help = _paragraphs(info.callback.__doc__ or "")
    app.callback()(_root)
    return app


def _bring(app: typer.Typer, first: Sequence[str], others: Collection[str]) -> None:
    """The commands that theorems have of their own. One that several have is that of the earliest
    in ``first``; where it is of none of these, it says that a theorem has to be named.

    Raises InputError where the first of all has one that the engine has, too.
    """
    engine = {_name(info) for info in app.registered_commands}
    found: dict[str, list[tuple[str, Command]]] = {}
    for name in dict.fromkeys((*first, *others)):
        theorem = registry.known(name)
        for command in () if theorem is None else theorem.commands:
            if command.name not in engine:
                found.setdefault(command.name, []).append((name, command))
            elif name == first[0]:
                told = f"brings a command {command.name!r}, which ntkbound has itself"
                raise InputError(f"theorem {name} {told}")
    for word, brought in found.items():
        (name, command), *more = brought
        if more and name not in first:
            several = " and of ".join(one for one, _ in brought)
            refusal = InputError(f"{word} is a command of {several}; add --theorem NAME")
            _refusing(app, word, refusal)
            continue
        try:
            function = command.function
        except Exception as error:  # whatever its file raises
            told = f"{word}, a command of {name}, cannot be loaded: {registry.raised(error)}"
            _refusing(app, word, InputError(told))
        else:
            epilog = f"Of the theorem {name}. Example: {command.example}"
            app.command(word, epilog=epilog)(function)


def _refusing(app: typer.Typer, word: str, refusal: InputError) -> None:
    """A command that says why there is none, whatever is asked of it."""

    def refuse() -> None:
        raise refusal

    anything = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(
        word,
        add_help_option=False,
        context_settings=anything,
        help="Cannot be used: call it to see why.",
    )(refuse)


def _name(info: CommandInfo) -> str:
    """How a command is called."""
    return info.name or (info.callback.__name__ if info.callback else "")


def _paragraphs(text: str) -> str:
    """A docstring whose paragraphs are one line each: the terminal breaks them."""
    return "\n\n".join(" ".join(part.split()) for part in cleandoc(text).split("\n\n"))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ntkbound {version('ntkbound')}")
        raise typer.Exit


def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="anywhere: the traceback of what your own file raised")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: one clear line for bad input, 130 when interrupted.

    Typer's own entry point boxes messages over several lines, and gives an interruption and a
    closed pipe exit codes of its own: the parser is called directly instead.
    """
    collect_rarely()
    write_readably()
    asked = sys.argv[1:] if arguments is None else arguments
    given = [argument for argument in asked if argument != DEBUG]
    try:
        command = _command(theorem_asked_for(given), given)
        with command.make_context("ntkbound", list(given)) as c:
            command.invoke(c)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _interrupted()
    except BaseException as error:
        of_user = userfile.raised(error)
        if of_user is None:
            _end(error)
        raised = of_user.__cause__  # None: nothing was, its numbers are at fault
        if raised is not None and DEBUG in asked:
            traceback.print_exception(raised)
        hint = "" if raised is None or DEBUG in asked else f" ({DEBUG} shows the traceback)"
        fail(in_options(of_user) + hint)
    sys.exit(0)


def _end(error: BaseException) -> NoReturn:
    """Exits as is right for what ended a command."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, InputError):
        fail(in_options(error))
    if isinstance(error, RankLostError):
        fail(f"{error}; no record was written", INCONCLUSIVE)
    if isinstance(error, typer.Exit):
        sys.exit(error.exit_code)
    if isinstance(error, typer.Abort):
        _interrupted()
    if isinstance(error, BrokenPipeError):
        # The reader went away (a pager was closed): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    if isinstance(error, OSError):
        fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
    if not hasattr(error, "format_message"):  # not one of the parser's own: a bug of ours
        traceback.print_exception(error)
        sys.exit(CRASHED)
    if not error.format_message():  # no command: the help has been printed
        sys.exit(BAD_INPUT)
    fail(_usage_line(error))


def _interrupted() -> NoReturn:
    print("ntkbound: interrupted; no partial record was left", file=sys.stderr)
    sys.exit(INTERRUPTED)


def _command(theorem: str, arguments: list[str]) -> Any:
    """The parser; with the commands of every theorem where a command is none of the usual."""
    known: Any = typer.main.get_command(build(theorem))
    if not arguments or arguments[0].startswith("-") or arguments[0] in known.commands:
        return known
    return typer.main.get_command(build(theorem, everything=True))


def _usage_line(error: Any) -> str:
    message = " ".join(error.format_message().split())
    context = error.ctx
    if type(error).__name__ == "NoSuchOption" and context is not None:
        accepted = [option for p in context.command.params for option in p.opts]
        message = f"{error.option_name}: no such option{nearest(error.option_name, accepted)}"
    where = "ntkbound" if context is None else context.command_path
    return f"{message.rstrip('.')} (see {where} --help)"
