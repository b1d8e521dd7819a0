"""Commands about single runs: ``train``, ``show``, ``verify``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import (
    INCONCLUSIVE,
    About,
    Code,
    Json,
    Out,
    Quiet,
    Strict,
    Threads,
    exit_code,
    print_json,
    stderr,
    stdout,
    tell,
    unknown_theorems,
    writes_unicode,
)
from ntkbound.cli.options import Given, config_options, theorem_of
from ntkbound.core.errors import InputError
from ntkbound.core.registry import find, known

if TYPE_CHECKING:
    from ntkbound.core.record import Record
    from ntkbound.core.tools import Progress

RecordPaths = Annotated[
    list[Path], typer.Argument(metavar="RECORD…", help="a record's folder or its run.json")
]
SaveParams = Annotated[
    bool,
    typer.Option(" /--no-save-params", show_default=False, help="keep no parameters, no inputs"),
]
SaveInputs = Annotated[
    bool, typer.Option(" /--no-save-inputs", show_default=False, help="keep no inputs")
]
RECORD = "results/least-squares-s0-0123456789ab"


def register(app: typer.Typer, name: str) -> None:
    """``train`` has the options of the theorem of this name; where there is none it says so."""
    theorem = known(name)
    if theorem is None:
        anything = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command("train", add_help_option=False, context_settings=anything)(_refusal(name))
    else:
        example = "Example: ntkbound train --theorem least-squares --seed 1"
        app.command(epilog=f"Options of {theorem.name}: {theorem.source}\n\n{example}")(
            config_options(train, theorem.config)
        )
    app.command(epilog=f"Example: ntkbound show {RECORD}")(show)
    app.command(epilog=f"Example: ntkbound verify {RECORD}")(verify)


def _refusal(name: str) -> Callable[..., None]:
    """``train`` of a theorem that is not known here: a line that names what asked for it."""

    def refuse(
        theorem: Annotated[str | None, typer.Option()] = None,
        config: Annotated[str | None, typer.Option()] = None,
    ) -> None:
        if theorem is None and config is not None:
            theorem_of({"theorem": name}, config)
        find(name)

    return refuse


def train(
    given: Given,
    out: Out = Path("results"),
    threads: Threads = None,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="where to train")] = "cpu",
    save_params: SaveParams = True,
    save_inputs: SaveInputs = True,
    force: Annotated[
        bool, typer.Option("--force", help="run again although the record exists")
    ] = False,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run one experiment: train, measure every term, put the proved bounds beside them.

    The record goes to results/ID and is reused when the same config is asked for again. Another
    theorem has other options: ntkbound train --theorem NAME --help. Started by torchrun
    (torchrun --nproc-per-node 2 -m -- ntkbound train …), the work is divided over ranks.
    """
    from ntkbound.machine.ranks import joined
    from ntkbound.runs.execute import Audience, Execution, check_device, run_on_ranks

    check_device(device)
    how = Execution(out, threads, device, save_params, save_inputs, force)
    told: list[Record] = []

    def notice(line: str) -> None:
        if not quiet:
            tell(line)

    with joined(device) as ranks:
        quiet = quiet or ranks.index > 0
        with _progress(quiet) as progress:
            audience = Audience(progress, told.append, notice)
            made = run_on_ranks(given.config, how, ranks, audience)
    for record in made:  # one; none on other ranks than the first, which tells
        _tell(record, bool(told), as_json, quiet)
        if strict:
            verdicts = [check.verdict for check in record.checks]
            raise typer.Exit(exit_code([*verdicts, *([] if record.complete else ["inconclusive"])]))


def _tell(record: Record, reused: bool, as_json: bool, quiet: bool) -> None:
    from ntkbound.report.run_table import print_run

    if as_json:
        print(_run_json(record), end="")
    else:
        print_run(stdout(), record, notes=not quiet)
    if not quiet:
        word = "reused (--force runs it again)" if reused else "written"
        tell(f"record {word}: {record.path}")


def show(
    paths: RecordPaths,
    levels: Annotated[
        bool, typer.Option("--levels", help="also every proved bound, level by level")
    ] = False,
    theorem: About = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the table of a record again; several records are a line each.

    Of results/* what is no record is passed over.
    """
    from ntkbound.report.run_table import print_levels, print_run
    from ntkbound.report.runs_table import print_runs
    from ntkbound.runs.record import read
    from ntkbound.runs.store import records_among

    records = [read(path) for path in records_among(paths)]
    if as_json:
        data = [_run_json(record) for record in records]
        print(data[0] if len(data) == 1 else f"[{','.join(data)}]", end="")
    elif len(records) > 1 and not levels:
        print_runs(stdout(), records)
    else:
        for record in records:
            print_run(stdout(), record, notes=not quiet)
            if levels:
                print_levels(stdout(), record)


def verify(
    paths: RecordPaths,
    theorem: About = None,
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Recompute a record's numbers by an independent path; exit 1 if they differ.

    Of results/* what is no record is passed over.
    """
    from ntkbound.report.run_table import print_verification
    from ntkbound.runs.record import read
    from ntkbound.runs.store import records_among
    from ntkbound.runs.verify import verify as recompute

    records = [read(path) for path in records_among(paths)]
    unknown = unknown_theorems(records)
    for line in unknown.values():
        tell(f"{line}: not verified")
    found, lost = {}, 0
    for record in records:
        if record.theorem in unknown:
            continue
        try:
            found[record.id] = recompute(record)
        except InputError as error:
            if len(records) == 1:
                raise
            lost += 1
            tell(f"{error}: not verified")
    if as_json:
        print_json(
            {
                identifier: [{**vars(row), "agrees": row.agrees} for row in rows]
                for identifier, rows in found.items()
            }
        )
    else:
        print_verification(stdout(), found, lost)
    if not all(row.agrees for rows in found.values() for row in rows):
        raise typer.Exit(1)
    if unknown or lost:
        raise typer.Exit(INCONCLUSIVE)


def _run_json(record: Record) -> str:
    """run.json to the letter, checksum included; by escapes where the output has no UTF-8."""
    from ntkbound.runs.record import RUN

    text = (record.folder / RUN).read_text(encoding="utf-8")
    return text if writes_unicode() else json.dumps(json.loads(text), indent=1) + "\n"


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """A live bar (step, loss, ETA) on a terminal; nothing elsewhere."""
    console = stderr()
    if quiet or not console.is_terminal:
        yield lambda step, steps, loss: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("preparing", total=None)

        def advance(step: int, steps: int, loss: float) -> None:
            text = "measuring" if step == steps else f"loss {loss:.3e}"
            bar.update(task, completed=step, total=steps, description=text)

        yield advance
