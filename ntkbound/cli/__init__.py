"""The command line: parse, call, print."""

from __future__ import annotations

import os
import sys
import traceback
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any

import typer

from ntkbound.cli import diff, explain, rates, runs, studies, sweeps, theorems
from ntkbound.cli.common import BAD_INPUT, CRASHED, INCONCLUSIVE, INTERRUPTED, fail, in_options
from ntkbound.cli.options import theorem_asked_for
from ntkbound.core import theorem as registry
from ntkbound.core.errors import InputError, RankLostError, nearest
from ntkbound.core.theorem import Theorem
from ntkbound.machine.garbage import collect_rarely

__all__ = ["build", "main"]


@cache
def build(name: str, *, everything: bool = False) -> typer.Typer:
    """The commands, with the options of one theorem where runs are configured.

    Of the commands that theorems bring, those of this one and of the default; ``everything``: of
    all of them, which all have to be imported for that. Raises InputError for an unknown theorem.
    """
    theorem = registry.find(name)
    app = typer.Typer(
        name="ntkbound",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        help=(
            "Turns convergence theorems about Transformers into tests: measures every error term "
            "of the proof, puts the proved bound and the claimed rate beside each, and says what "
            "holds.\n\n"
            "Start with: [bold]ntkbound train[/bold], and [bold]ntkbound theorems[/bold]"
        ),
        epilog=(
            "Exit codes: 0 all holds, 1 a bound or rate is violated, 2 bad usage or input, "
            "3 inconclusive, 130 interrupted."
        ),
    )
    runs.register(app, theorem)
    for part in (sweeps, rates, diff, studies, theorems, explain):
        part.register(app)
    brought_by = registry.names() if everything else {registry.DEFAULT: None, name: None}
    for each in brought_by:
        _bring(app, registry.find(each))
    app.callback()(_root)
    return app


def _bring(app: typer.Typer, theorem: Theorem) -> None:
    """The commands that a theorem has of its own."""
    for command in theorem.commands:
        epilog = f"Of the theorem {theorem.name}. Example: {command.example}"
        app.command(command.name, epilog=epilog)(command.function)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ntkbound {version('ntkbound')}")
        raise typer.Exit


def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: one clear line for bad input, 130 when interrupted.

    Typer's own entry point boxes messages over several lines, and gives an interruption and a
    closed pipe exit codes of its own: the parser is called directly instead.
    """
    collect_rarely()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        command = _command(theorem_asked_for(given), given)
        with command.make_context("ntkbound", list(given)) as c:
            command.invoke(c)
        sys.stdout.flush()
        sys.exit(0)
    except InputError as error:
        fail(in_options(error))
    except RankLostError as error:
        fail(f"{error}; no record was written", INCONCLUSIVE)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("ntkbound: interrupted; no partial record was left", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader went away (a pager was closed): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
    except Exception as error:
        if not hasattr(error, "format_message"):  # not one of the parser's own: a bug of ours
            traceback.print_exc()
            sys.exit(CRASHED)
        if not error.format_message():  # no command: the help has been printed
            sys.exit(BAD_INPUT)
        fail(_usage_line(error))


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
