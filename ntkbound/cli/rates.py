"""Commands about rates: ``slopes`` reports them, ``check`` judges them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from ntkbound.cli.sweeps import BaseSeed, Jobs, Scheduler, run_missing
from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.core.preset import load_preset
from ntkbound.theorems.shallow_transformer.config import LATER

if TYPE_CHECKING:
    from ntkbound.stats import CheckResult

NAMED = 5  # damaged records named one by one
Records = list[dict[str, Any]]
Axis = Annotated[
    list[str] | None,
    typer.Option(help="only these axes (repeatable): m, tau, n, T, d, rho, rho/nu"),
]
Term = Annotated[list[str] | None, typer.Option(help="only these terms (repeatable)")]
Where = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="only records with this config value")
]
File = Annotated[Path | None, typer.Option(help="write there")]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound slopes results/ --axis m --plot slopes.pdf")(slopes)
    app.command(epilog="Example: ntkbound check presets/smoke.toml --junit check.xml")(check)


def slopes(
    paths: Annotated[list[Path], typer.Argument(metavar="RESULTS…", help="results folders")],
    axis: Axis = None,
    term: Term = None,
    where: Where = None,
    claims: Annotated[Path | None, typer.Option(help="preset whose claims to compare with")] = None,
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
    result = _judge(records, _claims(records, claims), unclaimed=True, axis=axis, term=term)
    shown = list(result.fits) if every else report.headlines(result.fits)
    if plot is not None:
        from ntkbound.report.figures import plot_rates

        claimed = [fit for fit in shown if fit.claimed is not None]
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
        Path, typer.Argument(metavar="PRESET|RESULTS", help="a TOML preset or a results folder")
    ],
    out: Out = Path("results"),
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    base_seed: BaseSeed = 0,
    claims: Annotated[Path | None, typer.Option(help="preset whose claims to judge")] = None,
    junit: Annotated[Path | None, typer.Option(help="write a JUnit report")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write a Markdown summary")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge claimed rates and proved bounds: exit 0 holds, 1 violated, 3 inconclusive.

    On a preset the missing runs are done first; only the preset's own runs are judged, by its
    claims. The Markdown summary also goes to $GITHUB_STEP_SUMMARY where that is set.
    """
    from ntkbound.report import rates_table as report
    from ntkbound.report.summary import write_summaries

    failed: dict[str, str] = {}
    if path.suffix == ".toml":
        preset = load_preset(path)
        silent = quiet or as_json
        progress = run_missing(preset, out, jobs, scheduler, silent, base_seed)
        failed = progress.failed
        records = _read([name for name in progress.identifiers if name not in failed], out)
        judged = list(load_preset(claims).claims) if claims else list(preset.claims)
        judged = judged or _builtin(records)
    else:
        records = _load([path])
        if jobs or scheduler or base_seed:
            raise InputError("--jobs, --scheduler and --base-seed: only for a preset, which is run")
        judged = _claims(records, claims)
    records, diverged = _converged(records)
    failed |= diverged
    result = _judge(records, judged, unclaimed=False)
    write_summaries(result, junit, markdown, failed)
    if as_json:
        print_json(result.as_json() | {"failed": failed})
    elif not quiet:
        report.print_rates(stdout(), result, result.fits)
        report.print_whole(stdout(), result)
    for identifier, reason in failed.items():
        stderr().print(f"failed {identifier}: {reason}", highlight=False, soft_wrap=True)
    code = exit_code([result.verdict])
    raise typer.Exit(INCONCLUSIVE if code == 0 and failed else code)


def _load(paths: list[Path]) -> Records:
    """run.json of every complete record; damaged ones are named, never averaged over."""
    from ntkbound.runs.store import survey

    records: dict[str, dict[str, Any]] = {}
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


def _read(identifiers: list[str], out: Path) -> Records:
    """The records of exactly these runs, whatever else lies in the folder."""
    from ntkbound.runs.record import RUN, read_run_json

    return [read_run_json(out / identifier / RUN) for identifier in identifiers]


def _converged(records: Records) -> tuple[Records, dict[str, str]]:
    """Runs that reached τ, and the others by id: a diverged run says nothing about a rate."""
    kept = [record for record in records if record["status"] == "complete"]
    lost = {r["id"]: r["status"] for r in records if r["status"] != "complete"}
    if not kept:
        raise InputError("every run diverged: there is nothing to judge")
    return kept, lost


def _select(records: Records, conditions: list[str]) -> Records:
    """Records whose config has the given values; a mapping equals a number if all blocks do."""
    for condition in conditions:
        key, separator, value = condition.partition("=")
        if not separator:
            raise InputError(f"--where: {condition!r} is not KEY=VALUE")
        if not any(key in record["config"] for record in records):
            raise InputError(f"--where: no record has the config field {key!r}")
        records = [record for record in records if _matches(record["config"].get(key), value)]
        if not records:
            raise InputError(f"--where {condition}: matches no record")
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


def _claims(records: Records, path: Path | None) -> list[Claim]:
    return list(load_preset(path).claims) if path else _builtin(records)


def _builtin(records: Records) -> list[Claim]:
    """The theorem's own claims along the axes that vary in these records."""
    from ntkbound.theorems.shallow_transformer.bounds import CLAIMS

    varying = {
        name
        for name in {key for record in records for key in record["config"]}
        if len({str(record["config"].get(name)) for record in records}) > 1
    }
    models = {record["config"].get("model", LATER["model"]) for record in records}
    return [claim for claim in CLAIMS if claim.axis in varying and claim.model in (None, *models)]


def _judge(
    records: Records,
    claims: list[Claim],
    *,
    unclaimed: bool,
    axis: list[str] | None = None,
    term: list[str] | None = None,
) -> CheckResult:
    from dataclasses import replace

    from ntkbound.stats import DEFAULT_AXES
    from ntkbound.stats import check as judge

    numbers = {
        name
        for record in records
        for name, value in record["config"].items()
        if isinstance(value, int | float | dict) and not isinstance(value, bool)
    }
    _known("--axis", axis or [], numbers | {"rho/nu"})
    _known("--term", term or [], {name for record in records for name in record["terms"]})
    claims = [
        claim
        for claim in claims
        if (not axis or claim.axis in axis) and (not term or claim.term in term)
    ]
    axes = tuple(axis) if axis else DEFAULT_AXES
    result = judge(records, claims, unclaimed=unclaimed, axes=axes)
    fits = tuple(
        fit
        for fit in result.fits
        if (not axis or fit.axis in axis) and (not term or fit.term in term)
    )
    return replace(result, fits=fits)


def _known(option: str, names: list[str], accepted: set[str]) -> None:
    for name in names:
        if name not in accepted:
            told = ", ".join(sorted(accepted))
            raise InputError(f"{option}: {name!r} is unknown; accepted: {told}")
