"""What every command shares: consoles, recurring options, exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from ntkbound.core import registry, userfile
from ntkbound.core.errors import InputError
from ntkbound.core.glossary import EXIT_CODES, VERDICTS
from ntkbound.core.record import Record
from ntkbound.core.tolerance import REPEATED

BAD_INPUT, INTERRUPTED = 2, 130
INCONCLUSIVE = 3
CRASHED = 70  # a bug, which must not look like a refuted theorem
PIPE_WIDTH = 100  # of a table that goes into a file or a pipe, unless COLUMNS says another

Json = Annotated[bool, typer.Option("--json", help="print machine-readable JSON alone on stdout")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="no progress, no notes: tables and verdicts alone")
]
Threads = Annotated[int | None, typer.Option(min=1, help=r"threads \[all cores]")]
Strict = Annotated[bool, typer.Option("--strict", help="exit 1 or 3 by the verdicts")]
Out = Annotated[Path, typer.Option(help="results folder")]
Code = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE.py",
        help="a file of your own that the runs executed (repeatable): it is executed again",
        callback=lambda paths: [userfile.name(path) for path in paths or ()],
    ),
]
About = Annotated[
    str | None,
    typer.Option(
        "--theorem",
        metavar="FILE.py",
        help="your own theorem that records are of: the file is executed",
        callback=lambda value: value and registry.named(value).name,
    ),
]


def exit_code(verdicts: Iterable[str]) -> int:
    """1 if anything is violated, else 3 if anything is inconclusive, else 0."""
    codes = {EXIT_CODES[VERDICTS[verdict].effect] for verdict in verdicts}
    return 1 if 1 in codes else max(codes, default=0)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # The reader went away (a pager was closed): not an error of ours, and rich would exit 1.
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


def stdout() -> Console:
    return _console(stderr=False)


def stderr() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """As wide as the terminal, or as COLUMNS says."""
    console = _Console(stderr=stderr)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = PIPE_WIDTH
    return console


def writes_unicode() -> bool:
    return (sys.stdout.encoding or "utf-8").lower().startswith("utf")


def print_json(value: Any) -> None:
    """JSON, by escapes where the output has no UTF-8."""
    print(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=not writes_unicode()))


def unknown_theorems(records: Iterable[Record]) -> dict[str, str]:
    """The theorems of these records that are not known here, each with how many records it has and
    why it is not: "2 records of theorem 'x', which is not installed"."""
    every = list(records)
    counts = Counter(record.theorem for record in every)
    of_files = {record.theorem for record in every if "theorem" in record.code}
    names = registry.names()

    def why(name: str) -> str:
        if name in names:
            return "cannot be loaded"
        return "is of a file: add --theorem FILE.py" if name in of_files else "is not installed"

    return {
        name: f"{count} record{'s' * (count > 1)} of theorem {name!r}, which {why(name)}"
        for name, count in counts.items()
        if registry.known(name) is None
    }


def tell(line: str) -> None:
    """A line on stderr, as it is."""
    stderr().print(line, highlight=False, soft_wrap=True, markup=False)


def in_options(error: InputError) -> str:
    """The line of an error, its field as the option that sets it."""
    return error.told(f"--{error.field.replace('_', '-')}")


def check_baseline(baseline: Path | None, tolerance: float, judged: Sequence[Path]) -> None:
    """Raises InputError for a baseline that is among what is judged, which never differs from
    itself, and for a tolerance without one."""
    if baseline is None:
        if tolerance != REPEATED:
            raise InputError("only with a baseline", field="tolerance")
    elif baseline.resolve() in [path.resolve() for path in judged]:
        told = "is what is judged, too; keep what was earlier in a place of its own"
        raise InputError(told, field="baseline", value=baseline)


def fail(message: str, code: int = BAD_INPUT) -> NoReturn:
    """One line on stderr; under torchrun it says which rank it is from."""
    rank = f"rank {os.environ['RANK']}: " if "RANK" in os.environ else ""
    print(f"ntkbound: {rank}{message}", file=sys.stderr)
    sys.exit(code)
