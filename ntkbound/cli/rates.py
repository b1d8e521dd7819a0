"""Commands about rates: ``slopes`` reports them, ``check`` judges them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import (
    INCONCLUSIVE,
    Json,
    Out,
    Quiet,
    Strict,
    exit_code,
    print_json,
    stdout,
    tell,
    unknown_theorems,
)
from ntkbound.cli.diff import CHANGED, Baseline, Tolerance, changes_since, read_baseline
from ntkbound.cli.looks import Checked, MaxSeeds, UntilDecided, look_until_decided, most_seeds
from ntkbound.cli.selecting import select
from ntkbound.cli.sweeps import BaseSeed, Jobs, Place, Scheduler, run_missing
from ntkbound.cli.tables import Asked, Pattern, SeedColumn, Value
from ntkbound.core.claim import Claim, axis_of
from ntkbound.core.errors import InputError
from ntkbound.core.preset import (
    SUFFIX,
    Preset,
    is_preset,
    load_preset,
    preset_names,
    understand,
    understand_names,
)
from ntkbound.core.record import Record
from ntkbound.core.theorem import DEFAULT, find
from ntkbound.core.tolerance import REPEATED

if TYPE_CHECKING:
    from ntkbound.runs.sweep import Counts
    from ntkbound.stats import Changes, CheckResult, Verdict
    from ntkbound.stats.levels import Levels

Unknown = dict[str, list[Record]]  # theorem → its records

NAMED = 5  # damaged records named one by one
Axis = Annotated[
    list[str] | None,
    typer.Option(help="only these axes (repeatable): config fields, or the ratio a/b of two"),
]
Term = Annotated[list[str] | None, typer.Option(help="only these terms (repeatable)")]
Where = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="only records with this config value")
]
ClaimsOf = Annotated[
    str | None, typer.Option(help="preset whose claims to judge, a file or a shipped name")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound slopes results/ --axis n --plot slopes.pdf")(slopes)
    app.command(epilog="Example: ntkbound check smoke --junit check.xml")(check)


@dataclass(frozen=True)
class Limits:
    """What a table of slopes is limited to; empty: everything."""

    axes: list[str]
    terms: list[str]

    def check(self, records: list[Record]) -> None:
        """Raises InputError for an axis or a term that no record has."""
        parts = [name for axis in self.axes for name in axis.split("/")]
        _known("axis", parts, set(_numeric(records)))
        _known("term", self.terms, {name for record in records for name in record.terms})

    def admit(self, axis: str, term: str) -> bool:
        return (not self.axes or axis in self.axes) and (not self.terms or term in self.terms)


ALL = Limits([], [])


def slopes(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS…|FILE…", help="results folders, or tables of your own"),
    ],
    axis: Axis = None,
    seed_column: SeedColumn = None,
    value: Value = None,
    pattern: Pattern = None,
    term: Term = None,
    where: Where = None,
    claims: ClaimsOf = None,
    plot: Annotated[Path | None, typer.Option(help="log-log panels: FILE.pdf|svg|png")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print a Markdown table")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="print a LaTeX tabular")] = False,
    every: Annotated[bool, typer.Option("--all", help="show every statistic")] = False,
    details: Annotated[
        bool, typer.Option("--details", help="bootstrap, Theil–Sen, curvature, local slopes")
    ] = False,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit log-log slopes of every term along every axis that varies, beside the claimed rates."""
    from ntkbound.report import rates_table as report

    formats = {"csv": csv, "markdown": markdown, "latex": latex}
    chosen = [name for name, wanted in formats.items() if wanted]
    if len(chosen) + as_json > 1:
        raise InputError("--json, --csv, --markdown and --latex exclude each other")
    preset = load_preset(claims) if claims else None
    own = Asked(paths, axis or [], seed_column, value or [], pattern, where or [])
    if own.about_tables:
        if term:
            raise InputError("is for records; a table has columns to choose by value", field="term")
        result = own.judged(preset.claims if preset else (), unclaimed=True, quiet=quiet)
        fitted = _Fitted(result, list(result.fits))
    else:
        records, diverged = _converged(select(_load(paths), where or []))
        for identifier, status in diverged.items():
            tell(f"left out {identifier}: {status}")
        fitted = _fitted(records, preset, Limits(axis or [], term or []), every)
    result, shown = fitted.result, fitted.shown
    if plot is not None:
        from ntkbound.report.verdict_panels import plot_verdicts

        claimed = [fit for fit in shown if fit.claim is not None]
        plot_verdicts(plot, shown if every or not claimed else claimed, fitted.records)
    if not result.fits:
        tell("no fits: nothing varies along these axes but seeds")
    if as_json:
        print_json({"fits": [fit.as_json() for fit in result.fits]})
    elif chosen:
        print(report.as_text(shown, chosen[0]), end="")
    elif not quiet:
        report.print_rates(stdout(), result, shown)
        if details:
            report.print_companions(stdout(), shown)
    if strict:
        raise typer.Exit(exit_code([result.verdict, *["inconclusive" for _ in fitted.unknown]]))


@dataclass(frozen=True)
class _Fitted:
    """Everything that was fitted, what of it is shown, the records it is from (none of a table),
    and the theorems of theirs that are not known."""

    result: CheckResult
    shown: list[Verdict]
    records: Sequence[Record] = ()
    unknown: Sequence[str] = ()


def _fitted(records: list[Record], preset: Preset | None, limits: Limits, every: bool) -> _Fitted:
    """The slopes of records; those of theorems that are not known, by raw names."""
    from ntkbound.report import rates_table as report

    limits.check(records)
    records, unknown = _known_theorems(records, "shown by raw names, not judged")
    result = _judge(records, _claims(records, preset), unclaimed=True, limits=limits)
    named = {record.theorem for record in records}
    shown = list(result.fits) if every else report.headlines(result.fits, named)
    for name, others in unknown.items():
        raw = _raw(name, others, limits)
        result, shown = replace(result, fits=result.fits + raw), [*shown, *raw]
        records = [*records, *others]
    return _Fitted(result, shown, records, list(unknown))


def check(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PRESET|RESULTS|FILE",
            help="a TOML preset, a shipped one's name, a folder, or a table of your own",
        ),
    ] = None,
    theorem: Annotated[
        str | None, typer.Option(help="run this theorem's own smoke preset instead")
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
        moved = own.since(baseline, wanted.claims, tolerance)
        result = own.judged(wanted.claims, unclaimed=False, quiet=quiet)
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
            return _checked(_read(progress, out), wanted or preset, progress.failed, levels)

        checked = look_until_decided(preset, most, look, quiet) if most else look(preset)
    else:
        if jobs or scheduler or base_seed:
            raise InputError("--jobs, --scheduler and --base-seed: only for a preset, which is run")
        checked = _checked(_load([Path(reference)]), wanted)
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
    records, unknown = _known_theorems(records, "not judged")
    judged = _claims(records, claims)
    records, diverged = _converged(records)
    result = _judge(records, judged, unclaimed=False, levels=levels)
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
    elif not quiet:
        if changes is not None:
            print_changes(stdout(), changes)
        report.print_rates(stdout(), result, result.fits)
        report.print_whole(stdout(), result)
    for identifier, reason in failed.items():
        tell(f"failed {identifier}: {reason}")
    code = exit_code([result.verdict])
    if changes is not None and changes.found:
        return CHANGED
    return INCONCLUSIVE if code == 0 and (failed or unknown) else code


def _what(path: str | None, theorem: str | None) -> str:
    """The preset or folder to check; a theorem's own smoke preset where a theorem is named."""
    if (path is None) == (theorem is None):
        raise InputError("check: give a preset, a results folder or --theorem NAME, one of them")
    if path is not None:
        return path
    name = find(str(theorem)).name
    return "smoke" if name == DEFAULT else f"{name}/smoke"


def _preset(reference: str) -> Preset:
    """The preset to check. Raises InputError, for a name that is none of what a check takes too."""
    try:
        return load_preset(reference)
    except InputError as error:
        if PurePath(reference).suffix == SUFFIX or reference in preset_names():
            raise
        raise InputError(f"{error}, a results folder (there is none of this name)") from None


def _load(paths: list[Path]) -> list[Record]:
    """Every complete record; damaged ones are named, never averaged over."""
    from ntkbound.runs.store import survey

    records: dict[str, Record] = {}
    for path in paths:
        found = survey(path)
        for identifier, reason in list(found.damaged.items())[:NAMED]:
            tell(f"left out {identifier}: {reason}")
        if len(found.damaged) > NAMED:
            tell(f"… {len(found.damaged)} damaged records in all: ntkbound status {path}")
        for reason, count in Counter(found.stale.values()).items():
            tell(f"left out {count} record{'s' * (count > 1)} of {path}: {reason}")
        records |= found.complete | found.unknown
    if not records:
        told = ", ".join(str(path) for path in paths)
        raise InputError(f"{told}: no complete records; make some with ntkbound sweep PRESET")
    return list(records.values())


def _read(sweep: Counts, out: Path) -> list[Record]:
    """The records of exactly these runs, but for failed ones, whatever else lies in the folder."""
    from ntkbound.runs.record import RUN, read_run_json

    return [
        read_run_json(out / name / RUN) for name in sweep.identifiers if name not in sweep.failed
    ]


def _converged(records: list[Record]) -> tuple[list[Record], dict[str, str]]:
    """Runs that went to their end, and the others by id: a diverged run says nothing of a rate."""
    kept = [record for record in records if record.complete]
    lost = {record.id: record.status for record in records if not record.complete}
    if records and not kept:
        raise InputError("every run diverged: there is nothing to judge")
    return kept, lost


def _known_theorems(records: list[Record], what: str) -> tuple[list[Record], Unknown]:
    """The records of theorems that are known here, and those of others, which a line names and of
    which ``what`` is true."""
    lines = unknown_theorems(records)
    for line in lines.values():
        tell(f"{line}: {what}")
    unknown = {name: [one for one in records if one.theorem == name] for name in lines}
    return [record for record in records if record.theorem not in lines], unknown


def _raw(theorem: str, records: list[Record], limits: Limits) -> tuple[Verdict, ...]:
    """What is fitted without a claim along every number of the config that varies, or those that
    are asked for; the theorem, which is not known, would name some."""
    along = replace(limits, axes=limits.axes or _numeric(records))
    fits = _judge(records, [], unclaimed=True, limits=along).fits
    return tuple(replace(fit, reason=f"{fit.reason}; of theorem {theorem!r}") for fit in fits)


def _numeric(records: list[Record]) -> list[str]:
    """The config fields that hold a number, or one for each block, in some record; sorted."""
    return sorted(
        {
            name
            for record in records
            for name, value in record.config.items()
            if isinstance(value, int | float | dict) and not isinstance(value, bool)
        }
    )


def _claims(records: list[Record], preset: Preset | None) -> list[Claim]:
    """What the preset claims of these records; their theorems' own claims where it has none."""
    from ntkbound.stats import claims_of

    if preset is None or not preset.claims or not records:
        return claims_of(records)
    understand_names(preset, {record.theorem for record in records})
    return list(preset.claims)


def _judge(
    records: list[Record],
    claims: list[Claim],
    *,
    unclaimed: bool,
    limits: Limits = ALL,
    levels: Levels | None = None,
) -> CheckResult:
    from ntkbound.stats import check as judge
    from ntkbound.stats.levels import ONCE

    claims = [claim for claim in claims if limits.admit(axis_of(claim), claim.key.term)]
    axes = limits.axes or None
    result = judge(records, claims, unclaimed=unclaimed, axes=axes, levels=levels or ONCE)
    fits = tuple(fit for fit in result.fits if limits.admit(fit.axis, fit.term))
    return replace(result, fits=fits)


def _known(field: str, names: list[str], accepted: set[str]) -> None:
    for name in names:
        if name not in accepted:
            told = ", ".join(sorted(accepted))
            raise InputError(f"{name!r} is unknown; accepted: {told}", field=field)
