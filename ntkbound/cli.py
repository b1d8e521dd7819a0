"""The command line: parse, call, print."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ntkbound.config import RunConfig
from ntkbound.errors import InputError, nearest
from ntkbound.options import config_options

if TYPE_CHECKING:
    from ntkbound.runs.record import Record

BAD_INPUT, INTERRUPTED = 2, 130
PIPE_WIDTH = 100
EXIT_CODES = {"violated": 1, "bound-violated": 1, "inconclusive": 3}

app = typer.Typer(
    name="ntkbound",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Turns convergence theorems about Transformers into tests: measures every error term of "
        "the proof, puts the proved bound and the claimed rate beside each, and says what holds."
        "\n\n"
        "Start with: [bold]ntkbound train --m 256 --tau 4000[/bold]"
    ),
    epilog=(
        "Exit codes: 0 all holds, 1 a bound or rate is violated, 2 bad usage or input, "
        "3 inconclusive, 130 interrupted."
    ),
)

Json = Annotated[bool, typer.Option("--json", help="print machine-readable JSON alone on stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print errors only (and --json)")]
RecordPath = Annotated[Path, typer.Argument(metavar="RECORD", help="a record's folder or run.json")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ntkbound {version('ntkbound')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: ntkbound train --m 256 --tau 4000 --rho c=3,W=1")
@config_options
def train(
    config: RunConfig,
    out: Annotated[Path, typer.Option(help="results folder")] = Path("results"),
    threads: Annotated[int | None, typer.Option(min=1, help="threads [all cores]")] = None,
    device: Annotated[str, typer.Option(help="where to train")] = "cpu",
    save_params: Annotated[bool, typer.Option(help="keep the parameters")] = True,
    save_inputs: Annotated[bool, typer.Option(help="keep X, q and y with them")] = True,
    force: Annotated[bool, typer.Option(help="run again although the record exists")] = False,
    strict: Annotated[bool, typer.Option(help="exit 1 or 3 by the verdicts")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run one experiment: train, measure the four error terms, put the proved bounds beside them.

    The record goes to results/ID and is reused when the same config is asked for again.
    """
    from ntkbound.report.run_table import print_run
    from ntkbound.runs.execute import Execution, run

    how = Execution(out, threads, device, save_params, save_inputs, force)
    told: list[Record] = []
    with _progress(config, quiet) as progress:
        record = run(config, how, progress, reused=told.append)
    if as_json:
        _print_json(record.data)
    elif not quiet:
        print_run(_stdout(), record.data)
    if not quiet:
        word = "reused (--force runs it again)" if told else "written"
        _stderr().print(f"record {word}: {record.path}", highlight=False, soft_wrap=True)
    if strict:
        raise typer.Exit(_exit_code(record))


@app.command(epilog="Example: ntkbound show results/st-m256-tau4000-n512-s0-0123456789ab")
def show(path: RecordPath, as_json: Json = False) -> None:
    """Print the table of a record again."""
    from ntkbound.report.run_table import print_run
    from ntkbound.runs.record import read

    record = read(path)
    if as_json:
        _print_json(record.data)
    else:
        print_run(_stdout(), record.data)


@app.command(epilog="Example: ntkbound verify results/st-m256-tau4000-n512-s0-0123456789ab")
def verify(path: RecordPath, as_json: Json = False, quiet: Quiet = False) -> None:
    """Recompute a record's terms from its saved parameters by torch.func; exit 1 if they differ."""
    from ntkbound.report.run_table import print_verification
    from ntkbound.runs.record import read
    from ntkbound.runs.verify import verify as recompute

    rows = recompute(read(path))
    if as_json:
        _print_json([{**vars(row), "agrees": row.agrees} for row in rows])
    elif not quiet:
        print_verification(_stdout(), rows)
    if not all(row.agrees for row in rows):
        raise typer.Exit(1)


def _exit_code(record: Record) -> int:
    codes = {EXIT_CODES.get(check["verdict"], 0) for check in record.checks}
    if record.data["status"] != "complete":
        codes.add(3)
    return 1 if 1 in codes else max(codes, default=0)


def _stdout() -> Console:
    return _console(stderr=False)


def _stderr() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """As wide as the terminal; where there is none (a pipe, a log), wide enough for every table."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PIPE_WIDTH)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False))


@contextmanager
def _progress(config: RunConfig, quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """A live bar (step, loss, ETA) on a terminal; nothing elsewhere."""
    console = _stderr()
    if quiet or not console.is_terminal:
        yield lambda step, loss: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("labels", total=config.tau)

        def advance(step: int, loss: float) -> None:
            text = "measuring" if step == config.tau else f"loss {loss:.3e}"
            bar.update(task, completed=step, description=text)

        yield advance


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: one clear line for bad input, 130 when interrupted."""
    try:
        code = app(args=arguments, prog_name="ntkbound", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except InputError as error:
        _fail(str(error))
    except typer.Abort:
        _interrupted()
    except KeyboardInterrupt:
        _interrupted()
    except BrokenPipeError:
        # The reader went away (a pager was closed): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if not hasattr(error, "format_message"):  # not one of the parser's own
            raise
        _fail(_usage_line(error))


def _usage_line(error: Any) -> str:
    message = " ".join(error.format_message().split())
    name = getattr(error, "option_name", None)
    if name is not None:
        accepted = [option for p in error.ctx.command.params for option in p.opts]
        message = f"{name}: no such option{nearest(name, accepted)}"
    command = getattr(error.ctx, "command_path", "ntkbound") if error.ctx else "ntkbound"
    return f"{message.rstrip('.')} (see {command} --help)"


def _fail(message: str) -> None:
    print(f"ntkbound: {message}", file=sys.stderr)
    sys.exit(BAD_INPUT)


def _interrupted() -> None:
    print("ntkbound: interrupted; nothing was written", file=sys.stderr)
    sys.exit(INTERRUPTED)
