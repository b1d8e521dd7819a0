"""The command ``report``: everything that records say, as one HTML file to send."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import (
    About,
    Json,
    Quiet,
    Strict,
    exit_code,
    print_json,
    stdout,
    unknown_theorems,
)
from ntkbound.cli.judging import Checked, ClaimsOf, claims_for, judge
from ntkbound.core.errors import InputError
from ntkbound.core.preset import Preset, load_preset
from ntkbound.core.record import Record, converged

if TYPE_CHECKING:
    from ntkbound.report.html.material import Material
    from ntkbound.studies.study import Evaluation

PAGE = ".md"  # of a study
NOT_RUN = "was not run"

Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="write an HTML report of it")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound report results/ -o report.html")(report)


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…", help="results folders, single records, or the page NAME.md of a study"
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", help="the page")
    ] = Path("report.html"),
    claims: ClaimsOf = None,
    study: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE.py", help="the page of this study, of its runs alone"),
    ] = None,
    size: Annotated[str, typer.Option(help="of a study: smoke, small or paper")] = "small",
    theorem: About = None,
    title: Annotated[str, typer.Option(help="what the page is called")] = "",
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page on what records say: verdicts, figures, terms, trajectories, assumptions,
    where the numbers come from, and a glossary. It needs no network and no other file.

    Of a study, its own runs at one size are judged as by ntkbound study; nothing is run.
    """
    from ntkbound.report.html.write import check_page, write_report

    check_page("output", output)
    preset = load_preset(claims) if claims else None
    name, folders = _of_a_study(paths, study)
    if name is not None and preset is not None:
        raise InputError("a study brings its own claims", field="claims")
    command = ["ntkbound", "report", *map(str, paths), "--output", str(output)]
    command += ["--claims", claims] if claims else []
    command += ["--study", name, "--size", size] if name else []
    called = title or f"Report on {', '.join(map(str, paths))}"
    found = _found(folders)
    if name is None:
        material = of_check(_checked(found, preset), called, command, found.left_out)
    else:
        material = of_study(_evaluated(name, size, found), title, shlex.join(command))
    write_report(output, material)
    told = {"page": str(output), "runs": len(material.records), "verdict": material.verdict}
    if as_json:
        print_json(told)
    elif not quiet:
        stdout().print(
            f"{output}: {len(material.records)} runs, {material.verdict}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    if strict:
        raise typer.Exit(exit_code([material.verdict]))


def check_output(output: Path | None) -> None:
    """Raises InputError where a report is asked for that cannot be written."""
    if output is not None:
        from ntkbound.report.html.write import check_page

        check_page("report", output)


def write_check(checked: Checked, reference: str, output: Path | None) -> None:
    """The page of a check of a preset, a folder or a table, where one is asked for."""
    if output is not None:
        from ntkbound.report.html.write import write_report

        command = ["ntkbound", "check", reference, "--report", str(output)]
        write_report(output, of_check(checked, f"Check of {reference}", command))


def write_study_page(evaluation: Evaluation, command: str, output: Path | None) -> None:
    """The page of a study, where one is asked for."""
    if output is not None:
        from ntkbound.report.html.write import write_report

        told = f"{command} {shlex.join(['--report', str(output)])}"
        write_report(output, of_study(evaluation, "", told))


@dataclass(frozen=True)
class _Found:
    """What lies at the paths: records, by theorems known or not; id → why a run failed, or is no
    record that counts."""

    records: dict[str, Record] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def of_check(
    checked: Checked, title: str, command: list[str], left_out: dict[str, str] | None = None
) -> Material:
    """A check as a page has it: of all its records those that were judged."""
    from ntkbound.report.html.material import Material

    lost = dict(checked.failed)
    records = [r for r in checked.records if r.id not in lost and r.theorem not in checked.unknown]
    verdict = checked.result.verdict
    if verdict == "holds" and (lost or checked.unknown):
        verdict = "inconclusive"
    others = {**(left_out or {}), **checked.unknown}
    told = shlex.join(command)
    return Material(title, told, checked.result, verdict, records, lost, others)


def of_study(evaluation: Evaluation, title: str, command: str) -> Material:
    """A study as a page has it, with its proved bounds one by one."""
    from ntkbound.report.html.material import Material
    from ntkbound.stats import CheckResult, judge_bounds

    bounds = judge_bounds(evaluation.records) if evaluation.records else ()
    result = CheckResult(tuple(evaluation.fits), bounds, evaluation.verdict)
    called = title or f"Study {evaluation.name} ({evaluation.size})"
    verdict, records, lost = evaluation.verdict, evaluation.records, evaluation.lost
    return Material(called, command, result, verdict, records, lost, study=evaluation)


def _of_a_study(paths: list[Path], study: str | None) -> tuple[str | None, list[Path]]:
    """The study that the page is about, and the folders of its runs: NAME.md lies beside them."""
    pages = [path for path in paths if path.suffix == PAGE]
    if not pages:
        return study, paths
    if len(paths) > 1:
        raise InputError("the page of a study goes alone: one study, one report")
    return study or pages[0].stem, [pages[0].parent]


def _found(paths: list[Path]) -> _Found:
    """Everything at these paths. Raises InputError where there is no record at all."""
    from ntkbound.runs.record import RUN, read_run_json
    from ntkbound.runs.store import survey

    found = _Found()
    for path in paths:
        if (path / RUN).is_file():
            record = read_run_json(path / RUN)
            found.records[record.id] = record
            continue
        seen = survey(path)
        found.records.update(seen.complete | seen.unknown)
        found.failed.update(seen.failed)
        found.left_out.update(seen.damaged | seen.stale)
    if not found.records:
        told = ", ".join(str(path) for path in paths)
        raise InputError(f"{told}: no complete records; make some with ntkbound sweep PRESET")
    return found


def _checked(found: _Found, preset: Preset | None) -> Checked:
    """The check of all records of theorems that are known."""
    records = list(found.records.values())
    unknown = unknown_theorems(records)
    kept, diverged = converged(record for record in records if record.theorem not in unknown)
    claims = claims_for(kept, preset)
    result = judge(kept, claims, unclaimed=False)
    return Checked(result, {**found.failed, **diverged}, unknown, records, claims)


def _evaluated(name: str, size: str, found: _Found) -> Evaluation:
    """A study at one size from its runs among these; those that are not there are lost."""
    from ntkbound.runs.record import read
    from ntkbound.runs.sweep import plan
    from ntkbound.studies import load
    from ntkbound.studies.evaluate import evaluate

    edition = load(name, size)
    planned = [run.identifier for run in plan(edition.preset.configs(0))]
    paths = [found.records[one].folder for one in planned if one in found.records]
    if not paths:
        raise InputError(
            f"no run of study {name} at size {size} is here; other sizes: --size, or run it: "
            f"ntkbound study {name} --size {size}"
        )
    missing = {one: found.failed.get(one, NOT_RUN) for one in planned if one not in found.records}
    return evaluate(edition, [read(path) for path in paths], missing)
