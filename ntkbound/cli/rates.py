"""Commands about rates: ``slopes`` reports them, ``check`` judges them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import (
    INCONCLUSIVE,
    Json,
    Out,
    Quiet,
    exit_code,
    print_json,
    stderr,
    stdout,
)
from ntkbound.cli.diff import CHANGED, Baseline, Tolerance, read_baseline
from ntkbound.cli.sweeps import BaseSeed, Jobs, Place, Scheduler, run_missing
from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.core.preset import Preset, is_preset, load_preset, understand, understand_names
from ntkbound.core.record import Record
from ntkbound.core.theorem import DEFAULT, find
from ntkbound.core.tolerance import REPEATED

if TYPE_CHECKING:
    from ntkbound.stats import CheckResult

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
        numbers = {
            name
            for record in records
            for name, value in record.config.items()
            if isinstance(value, int | float | dict) and not isinstance(value, bool)
        }
        parts = [name for axis in self.axes for name in axis.split("/")]
        _known("axis", parts, numbers)
        _known("term", self.terms, {name for record in records for name in record.terms})

    def admit(self, axis: str, term: str) -> bool:
        return (not self.axes or axis in self.axes) and (not self.terms or term in self.terms)


ALL = Limits([], [])


def slopes(
    paths: Annotated[list[Path], typer.Argument(metavar="RESULTS…", help="results folders")],
    axis: Axis = None,
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
    strict: Annotated[bool, typer.Option(help="exit 1 or 3 by the verdicts")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit log-log slopes of every term along every axis that varies, beside the claimed rates."""
    from ntkbound.report import rates_table as report

    formats = {"csv": csv, "markdown": markdown, "latex": latex}
    chosen = [name for name, wanted in formats.items() if wanted]
    if len(chosen) + as_json > 1:
        raise InputError("--json, --csv, --markdown and --latex exclude each other")
    records, diverged = _converged(_select(_load(paths), where or []))
    limits = Limits(axis or [], term or [])
    wanted = _claims(records, load_preset(claims) if claims else None)
    result = _judge(records, wanted, unclaimed=True, limits=limits)
    shown = (
        list(result.fits) if every else report.headlines(result.fits, {r.theorem for r in records})
    )
    if plot is not None:
        from ntkbound.report.figures import plot_rates

        claimed = [fit for fit in shown if fit.claim is not None]
        plot_rates(plot, shown if every or not claimed else claimed, records)
    for identifier, status in diverged.items():
        stderr().print(f"left out {identifier}: {status}", highlight=False, soft_wrap=True)
    if not result.fits:
        stderr().print("no fits: nothing varies along these axes but seeds", highlight=False)
    if as_json:
        print_json({"fits": [fit.as_json() for fit in result.fits]})
    elif chosen:
        print(report.as_text(shown, chosen[0]), end="")
    elif not quiet:
        report.print_rates(stdout(), result, shown)
        if details:
            report.print_companions(stdout(), shown)
    if strict:
        raise typer.Exit(exit_code([result.verdict]))


def check(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="[PRESET|RESULTS]", help="a TOML preset, a shipped one's name, or a folder"
        ),
    ] = None,
    theorem: Annotated[
        str | None, typer.Option(help="run this theorem's own smoke preset instead")
    ] = None,
    out: Out = Path("results"),
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    base_seed: BaseSeed = 0,
    claims: ClaimsOf = None,
    junit: Annotated[Path | None, typer.Option(help="write a JUnit report")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write a Markdown summary")] = None,
    baseline: Baseline = None,
    tolerance: Tolerance = REPEATED,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge claimed rates and proved bounds: exit 0 holds, 1 violated, 3 inconclusive.

    On a preset the missing runs are done first; only the preset's own runs are judged, by its
    claims. The Markdown summary also goes to $GITHUB_STEP_SUMMARY where that is set. With a
    baseline, any change since then exits 1, too (ntkbound diff).
    """
    from ntkbound.report import rates_table as report
    from ntkbound.report.changes import print_changes
    from ntkbound.report.summary import write_summaries
    from ntkbound.stats import compare_records

    reference = _what(path, theorem)
    wanted = load_preset(claims) if claims else None
    judged_in = out if is_preset(reference) else Path(reference)
    old = read_baseline(baseline, tolerance, judged_in)
    failed: dict[str, str] = {}
    if is_preset(reference):
        preset = load_preset(reference)
        wanted = wanted or preset
        understand(wanted, preset.configs(base_seed))
        place = Place(out, jobs, scheduler)
        progress = run_missing(preset, place, quiet or as_json, base_seed)
        failed = progress.failed
        records = _read([name for name in progress.identifiers if name not in failed], out)
    else:
        if jobs or scheduler or base_seed:
            raise InputError("--jobs, --scheduler and --base-seed: only for a preset, which is run")
        records = _load([Path(reference)])
    judged = _claims(records, wanted)
    changes = None if old is None else compare_records(old, records, judged, tolerance)
    records, diverged = _converged(records)
    failed |= diverged
    result = _judge(records, judged, unclaimed=False)
    write_summaries(result, junit, markdown, failed, changes)
    if as_json:
        told = {"changes": changes.as_json()} if changes else {}
        print_json(result.as_json() | {"failed": failed} | told)
    elif not quiet:
        if changes is not None:
            print_changes(stdout(), changes)
        report.print_rates(stdout(), result, result.fits)
        report.print_whole(stdout(), result)
    for identifier, reason in failed.items():
        stderr().print(f"failed {identifier}: {reason}", highlight=False, soft_wrap=True)
    code = exit_code([result.verdict])
    if changes is not None and changes.found:
        code = CHANGED
    raise typer.Exit(INCONCLUSIVE if code == 0 and failed else code)


def _what(path: str | None, theorem: str | None) -> str:
    """The preset or folder to check; a theorem's own smoke preset where a theorem is named."""
    if (path is None) == (theorem is None):
        raise InputError("check: give a preset, a results folder or --theorem NAME, one of them")
    if path is not None:
        return path
    name = find(str(theorem)).name
    return "smoke" if name == DEFAULT else f"{name}/smoke"


def _load(paths: list[Path]) -> list[Record]:
    """Every complete record; damaged ones are named, never averaged over."""
    from ntkbound.runs.store import survey

    records: dict[str, Record] = {}
    for path in paths:
        found = survey(path)
        for identifier, reason in list(found.damaged.items())[:NAMED]:
            stderr().print(f"left out {identifier}: {reason}", highlight=False, soft_wrap=True)
        if len(found.damaged) > NAMED:
            stderr().print(f"… {len(found.damaged)} damaged records in all: ntkbound status {path}")
        records |= found.complete
    if not records:
        told = ", ".join(str(path) for path in paths)
        raise InputError(f"{told}: no complete records; make some with ntkbound sweep PRESET")
    return list(records.values())


def _read(identifiers: list[str], out: Path) -> list[Record]:
    """The records of exactly these runs, whatever else lies in the folder."""
    from ntkbound.runs.record import RUN, read_run_json

    return [read_run_json(out / identifier / RUN) for identifier in identifiers]


def _converged(records: list[Record]) -> tuple[list[Record], dict[str, str]]:
    """Runs that went to their end, and the others by id: a diverged run says nothing of a rate."""
    kept = [record for record in records if record.complete]
    lost = {record.id: record.status for record in records if not record.complete}
    if not kept:
        raise InputError("every run diverged: there is nothing to judge")
    return kept, lost


def _select(records: list[Record], conditions: list[str]) -> list[Record]:
    """Records whose config has the given values; a mapping equals a number if all blocks do."""
    for condition in conditions:
        key, separator, value = condition.partition("=")
        if not separator:
            raise InputError(f"{condition!r} is not KEY=VALUE", field="where")
        if not any(key in record.config for record in records):
            raise InputError(f"no record has the config field {key!r}", field="where")
        records = [record for record in records if _matches(record.config.get(key), value)]
        if not records:
            raise InputError("matches no record", field="where", value=condition)
    return records


def _matches(found: object, wanted: str) -> bool:
    if isinstance(found, dict):
        return all(_matches(number, wanted) for number in found.values())
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(wanted) == float(found)
        except ValueError:
            return False
    return str(found) == wanted


def _claims(records: list[Record], preset: Preset | None) -> list[Claim]:
    """What the preset claims of these records; their theorems' own claims where it has none."""
    from ntkbound.stats import claims_of

    if preset is None or not preset.claims:
        return claims_of(records)
    understand_names(preset, {record.theorem for record in records})
    return list(preset.claims)


def _judge(
    records: list[Record], claims: list[Claim], *, unclaimed: bool, limits: Limits = ALL
) -> CheckResult:
    from ntkbound.stats import check as judge

    limits.check(records)
    claims = [claim for claim in claims if limits.admit(claim.axis, claim.term)]
    result = judge(records, claims, unclaimed=unclaimed, axes=limits.axes or None)
    fits = tuple(fit for fit in result.fits if limits.admit(fit.axis, fit.term))
    return replace(result, fits=fits)


def _known(field: str, names: list[str], accepted: set[str]) -> None:
    for name in names:
        if name not in accepted:
            told = ", ".join(sorted(accepted))
            raise InputError(f"{name!r} is unknown; accepted: {told}", field=field)
