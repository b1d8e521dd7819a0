"""The command ``diff``, and the comparison that ``check`` makes with a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import (
    About,
    Json,
    Quiet,
    check_baseline,
    print_json,
    stdout,
    tell,
    unknown_theorems,
)
from ntkbound.cli.tables import Asked, Pattern, SeedColumn, Value
from ntkbound.core.claim import Claim
from ntkbound.core.config import digest
from ntkbound.core.errors import InputError, StaleError
from ntkbound.core.preset import load_preset, understand_names
from ntkbound.core.record import Record
from ntkbound.core.tolerance import REPEATED

if TYPE_CHECKING:
    from ntkbound.stats import Changes

CHANGED = 1
Tolerance = Annotated[
    float, typer.Option(min=0, help="relative change of one number that is not reported")
]
Baseline = Annotated[
    Path | None,
    typer.Option(metavar="RESULTS", help="earlier results: exit 1 where anything changed since"),
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound diff results-main/ results-branch/")(diff)


def diff(
    old: Annotated[Path, typer.Argument(metavar="A", help="a results folder, a record, a table")],
    new: Annotated[Path, typer.Argument(metavar="B", help="the same runs, made later")],
    claims: Annotated[
        str | None, typer.Option(help="preset whose claims to judge, a file or a shipped name")
    ] = None,
    theorem: About = None,
    tolerance: Tolerance = REPEATED,
    seed_column: SeedColumn = None,
    value: Value = None,
    pattern: Pattern = None,
    markdown: Annotated[Path | None, typer.Option(help="write a Markdown summary")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what changed between the same runs made twice: exit 0 nothing, 1 something.

    Compares config, numbers, bounds, and the verdicts of claims and bounds, or two tables of your
    own. Runs are matched by their theorem and config, not by id. A change is not a violation. The
    Markdown summary also goes to $GITHUB_STEP_SUMMARY where that is set.
    """
    from ntkbound.report.changes import as_markdown, print_changes
    from ntkbound.report.summary import write_markdown

    asked = Asked([new], seed=seed_column, values=value or [], pattern=pattern)
    if asked.about_tables:
        wanted = load_preset(claims).claims if claims else ()
        found = asked.changes(old, asked.read(wanted), wanted, tolerance)
    else:
        found = _of_records(old, new, claims, tolerance)
    write_markdown(as_markdown(found), markdown)
    if as_json:
        print_json(found.as_json())
    else:
        print_changes(stdout(), found)
    if found.found:
        raise typer.Exit(CHANGED)


def _of_records(old: Path, new: Path, claims: str | None, tolerance: float) -> Changes:
    """What changed between records; claims are the preset's, or those of their theorems."""
    from ntkbound.stats import claims_of, compare_records

    before, after = read_side(old), read_side(new)
    lines = unknown_theorems(after)
    for line in lines.values():
        tell(f"{line}: compared by raw names, not judged")
    known = [record for record in after if record.theorem not in lines]
    wanted: list[Claim] = []
    if claims is not None and known:
        preset = load_preset(claims)
        understand_names(preset, {record.theorem for record in known})
        wanted = list(preset.claims)
    return compare_records(before, after, wanted or claims_of(known), tolerance)


def read_baseline(baseline: Path | None, tolerance: float, judged: Path) -> list[Record] | None:
    """The earlier records; None without a baseline. Raises InputError where it is what is
    `judged`, which never differs from itself, and for a tolerance without one."""
    check_baseline(baseline, tolerance, [judged])
    return None if baseline is None else read_side(baseline)


def changes_since(
    old: Sequence[Record] | None, new: Sequence[Record], claims: Sequence[Claim], tolerance: float
) -> Changes | None:
    """What changed since the baseline; None where there is none."""
    from ntkbound.stats import compare_records

    return None if old is None else compare_records(old, new, claims, tolerance)


def read_side(path: Path) -> list[Record]:
    """The records of a results folder, or one record; damaged and failed ones are named.

    Of a run made by several versions of its theorem the last is taken. Raises InputError where
    there is no complete record.
    """
    from ntkbound.runs.record import RUN, read_run_json
    from ntkbound.runs.store import survey

    if path.name == RUN or (path / RUN).is_file():
        return [read_run_json(path if path.name == RUN else path / RUN, current=False)]
    found = survey(path)
    for identifier, reason in (found.damaged | found.failed).items():
        tell(f"left out {identifier} of {path}: {reason}")
    records = [*found.complete.values(), *found.unknown.values()]
    for identifier in found.stale:
        try:
            records.append(read_run_json(path / identifier / RUN, current=False))
        except StaleError as error:  # of another schema
            tell(f"left out {identifier} of {path}: {error.reason}")
    if not records:
        raise InputError(f"{path}: no complete records; make some with ntkbound sweep PRESET")
    records.sort(key=lambda record: record.version)
    latest = {digest([record.theorem, dict(record.config)]): record for record in records}
    return list(latest.values())
