"""The command ``check``: claims and bounds as a gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import (
    INCONCLUSIVE,
    Json,
    Out,
    Quiet,
    check_baseline,
    exit_code,
    print_json,
    stdout,
    tell,
)
from ntkbound.cli.diff import CHANGED, Baseline, Tolerance, changes_since, read_baseline
from ntkbound.cli.judging import Axis, Checked, ClaimsOf, claims_for, judge, known_theorems, load
from ntkbound.cli.looks import MaxSeeds, UntilDecided, look_until_decided, most_seeds
from ntkbound.cli.report import Report, check_output, write_check
from ntkbound.cli.sweeps import BaseSeed, Jobs, Place, Scheduler, run_missing
from ntkbound.cli.tables import Asked, Pattern, SeedColumn, Value, judge_table
from ntkbound.core.errors import InputError
from ntkbound.core.preset import SUFFIX, Preset, is_preset, load_preset, preset_names, understand
from ntkbound.core.record import Record, converged
from ntkbound.core.registry import DEFAULT, named
from ntkbound.core.tolerance import REPEATED
from ntkbound.core.userfile import is_python

if TYPE_CHECKING:
    from ntkbound.stats import Changes
    from ntkbound.stats.levels import Levels


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound check smoke --junit check.xml")(check)


def check(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PRESET|RESULTS|FILE",
            help="a TOML preset, a shipped one's name, a folder, or a table of your own",
        ),
    ] = None,
    theorem: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.py",
            help="run this theorem's own smoke preset; beside RESULTS: your own that they are of",
        ),
    ] = None,
    out: Out = Path("results"),
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    base_seed: BaseSeed = 0,
    until_decided: UntilDecided = False,
    max_seeds: MaxSeeds = None,
    claims: ClaimsOf = None,
    axis: Axis = None,
    seed_column: SeedColumn = None,
    value: Value = None,
    pattern: Pattern = None,
    junit: Annotated[Path | None, typer.Option(help="write a JUnit report")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write a Markdown summary")] = None,
    report: Report = None,
    baseline: Baseline = None,
    tolerance: Tolerance = REPEATED,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge claimed rates and proved bounds: exit 0 holds, 1 violated, 3 inconclusive.

    On a preset the missing runs are done first; only the preset's own runs are judged, by its
    claims. --until-decided runs more of its seeds, up to --max-seeds, while a claim is open for
    want of them; the error rates are those of one check. A table is judged by the claims of a file.
    The Markdown summary also goes to $GITHUB_STEP_SUMMARY where that is set. With a baseline, any
    change since then exits 1, too (ntkbound diff).
    """
    check_output(report)
    reference = _what(path, theorem)
    wanted = load_preset(claims) if claims else None
    own = Asked([Path(reference)], axis or [], seed_column, value or [], pattern)
    grows = not own.about_tables and is_preset(reference)
    most = most_seeds(until_decided, max_seeds, grows)
    if own.about_tables:
        if jobs or scheduler or base_seed:
            raise InputError("--jobs, --scheduler and --base-seed: only for a preset, which is run")
        if wanted is None or not wanted.claims:
            raise InputError("a table is judged by a TOML file with [[claim]]", field="claims")
        check_baseline(baseline, tolerance, own.paths)
        table = own.read(wanted.claims)
        moved = own.changes(baseline, table, wanted.claims, tolerance) if baseline else None
        result = judge_table(table, wanted.claims, unclaimed=False, quiet=quiet)
        write_check(Checked(result), reference, report)
        raise typer.Exit(_told(Checked(result), (junit, markdown), as_json, quiet, moved))
    if axis:
        raise InputError("is for tables only; the claims name their axes", field="axis")
    old = read_baseline(baseline, tolerance, out if grows else Path(reference))
    if grows:
        preset = _preset(reference)
        understand(wanted or preset, preset.configs(base_seed))
        place, silent = Place(out, jobs, scheduler), quiet or as_json

        def look(grown: Preset, levels: Levels | None = None) -> Checked:
            progress = run_missing(grown, place, silent, base_seed)
            return _checked(progress.records(out), wanted or preset, progress.failed, levels)

        checked = look_until_decided(preset, most, look, quiet) if most else look(preset)
    else:
        if jobs or scheduler or base_seed:
            raise InputError("--jobs, --scheduler and --base-seed: only for a preset, which is run")
        checked = _checked(load([Path(reference)]), wanted)
    write_check(checked, reference, report)
    changes = changes_since(old, list(checked.records), list(checked.claims), tolerance)
    raise typer.Exit(_told(checked, (junit, markdown), as_json, quiet, changes))


def _checked(
    records: list[Record],
    claims: Preset | None,
    failed: Mapping[str, str] = MappingProxyType({}),
    levels: Levels | None = None,
) -> Checked:
    """The check of records by the claims of a preset, where it has any, beside runs that failed."""
    everything = records
    records, unknown = known_theorems(records, "not judged")
    judged = claims_for(records, claims)
    records, diverged = converged(records)
    result = judge(records, judged, unclaimed=False, levels=levels)
    others = {name: f"{len(own)} records of this theorem" for name, own in unknown.items()}
    return Checked(result, {**failed, **diverged}, others, everything, judged)


def _told(
    checked: Checked,
    summaries: tuple[Path | None, Path | None],
    as_json: bool,
    quiet: bool,
    changes: Changes | None = None,
) -> int:
    """Prints a check and writes its JUnit and Markdown summaries; its exit code. changes: since a
    baseline, where there is one."""
    from ntkbound.report import rates_table as report
    from ntkbound.report.changes import print_changes
    from ntkbound.report.summary import write_summaries

    result, failed, unknown = checked.result, dict(checked.failed), dict(checked.unknown)
    write_summaries(result, *summaries, failed | unknown, changes)
    if as_json:
        told = {"changes": changes.as_json()} if changes else {}
        print_json(result.as_json() | {"failed": failed, "unknown": unknown} | told)
    else:
        if changes is not None:
            print_changes(stdout(), changes)
        report.print_rates(stdout(), result, result.fits, notes=not quiet)
        report.print_whole(stdout(), result)
    for identifier, reason in failed.items():
        tell(f"failed {identifier}: {reason}")
    code = exit_code([result.verdict])
    if changes is not None and changes.found:
        return CHANGED
    return INCONCLUSIVE if code == 0 and (failed or unknown) else code


def _what(path: str | None, theorem: str | None) -> str:
    """The preset or folder to check; a theorem's own smoke preset where a theorem is named alone.

    A file beside a preset or a folder is that of a theorem that they are about.
    """
    name = None if theorem is None else named(theorem).name
    if path is not None and (theorem is None or is_python(theorem)):
        return path
    if name is None or path is not None:
        raise InputError("check: give a preset, a results folder or --theorem NAME, one of them")
    return "smoke" if name == DEFAULT else f"{name}/smoke"


def _preset(reference: str) -> Preset:
    """The preset to check. Raises InputError, for a name that is none of what a check takes too."""
    try:
        return load_preset(reference)
    except InputError as error:
        if PurePath(reference).suffix == SUFFIX or reference in preset_names():
            raise
        raise InputError(f"{error}, a results folder (there is none of this name)") from None
