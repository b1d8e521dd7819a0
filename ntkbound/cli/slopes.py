"""The command ``slopes``: fitted rates beside the claimed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import About, Json, Quiet, Strict, exit_code, print_json, stdout, tell
from ntkbound.cli.figures import Dpi, Width
from ntkbound.cli.judging import (
    Axis,
    ClaimsOf,
    Limits,
    claims_for,
    judge,
    known_theorems,
    load,
    numeric_fields,
)
from ntkbound.cli.selecting import select
from ntkbound.cli.tables import Asked, Pattern, SeedColumn, Value, judge_table
from ntkbound.core.errors import InputError
from ntkbound.core.preset import Preset, load_preset
from ntkbound.core.record import Record, converged

if TYPE_CHECKING:
    from ntkbound.stats import CheckResult, Verdict

Term = Annotated[list[str] | None, typer.Option(help="only these terms (repeatable)")]
Where = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="only records with this config value")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound slopes results/ --axis n --plot slopes.pdf")(slopes)


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
    theorem: About = None,
    plot: Annotated[Path | None, typer.Option(help="log-log panels: FILE.pdf|svg|png")] = None,
    width: Width = "text",
    dpi: Dpi = 200,
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
    from ntkbound.report.style import Layout

    layout = Layout(width, dpi)
    formats = {"csv": csv, "markdown": markdown, "latex": latex}
    chosen = [name for name, wanted in formats.items() if wanted]
    if len(chosen) + as_json > 1:
        raise InputError("--json, --csv, --markdown and --latex exclude each other")
    preset = load_preset(claims) if claims else None
    own = Asked(paths, axis or [], seed_column, value or [], pattern, where or [])
    if own.about_tables:
        if term:
            raise InputError("is for records; a table has columns to choose by value", field="term")
        about = preset.claims if preset else ()
        result = judge_table(own.read(about), about, unclaimed=True, quiet=quiet)
        fitted = _Fitted(result, list(result.fits))
    else:
        records, diverged = converged(select(load(paths), where or []))
        for identifier, status in diverged.items():
            tell(f"left out {identifier}: {status}")
        if not records:
            raise InputError("every run diverged: there is nothing to fit")
        fitted = _fitted(records, preset, Limits(axis or [], term or []), every)
    result, shown = fitted.result, fitted.shown
    if plot is not None:
        from ntkbound.report.verdict_panels import plot_verdicts

        claimed = [fit for fit in shown if fit.claim is not None]
        plot_verdicts(plot, shown if every or not claimed else claimed, fitted.records, layout)
    if not result.fits:
        tell("no fits: nothing varies along these axes but seeds")
    if as_json:
        print_json({"fits": [fit.as_json() for fit in result.fits]})
    elif chosen:
        print(report.as_text(shown, chosen[0]), end="")
    else:
        report.print_rates(stdout(), result, shown, notes=not quiet)
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
    records, unknown = known_theorems(records, "shown by raw names, not judged")
    result = judge(records, claims_for(records, preset), unclaimed=True, limits=limits)
    named = {record.theorem for record in records}
    shown = list(result.fits) if every else report.headlines(result.fits, named)
    for name, others in unknown.items():
        raw = _raw(name, others, limits)
        result, shown = replace(result, fits=result.fits + raw), [*shown, *raw]
        records = [*records, *others]
    return _Fitted(result, shown, records, list(unknown))


def _raw(theorem: str, records: list[Record], limits: Limits) -> tuple[Verdict, ...]:
    """What is fitted without a claim along every number of the config that varies, or those that
    are asked for; the theorem, which is not known, would name some."""
    along = replace(limits, axes=limits.axes or numeric_fields(records))
    fits = judge(records, [], unclaimed=True, limits=along).fits
    return tuple(replace(fit, reason=f"{fit.reason}; of theorem {theorem!r}") for fit in fits)
