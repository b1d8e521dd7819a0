"""The command ``study``: one figure's worth of evidence, judged, drawn and written down."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ntkbound.cli.common import Json, Out, Quiet, Strict, exit_code, print_json, stdout, tell
from ntkbound.cli.figures import Dpi, Width
from ntkbound.cli.report import Report, check_output, write_study_page
from ntkbound.cli.sweeps import Jobs, Place, Scheduler, run_missing
from ntkbound.core.errors import InputError


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound study width --size small --out studies/")(study)


def study(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE.py", help="see --list; or a file of your own")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="list the studies, run nothing")] = False,
    size: Annotated[str, typer.Option(help="smoke, small or paper")] = "small",
    out: Out = Path("results"),
    figure_format: Annotated[str, typer.Option(help="pdf, svg or png")] = "pdf",
    width: Width = "text",
    dpi: Dpi = 200,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    report: Report = None,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a study: what is missing is run, its claims are judged, its figure is drawn.

    Records, figure and the Markdown page NAME.md go to --out; a second call reuses the records.
    """
    from ntkbound.report.study_figure import FORMATS
    from ntkbound.report.study_files import Drawing, write_study
    from ntkbound.report.study_page import print_evaluation, print_studies
    from ntkbound.report.style import Layout
    from ntkbound.studies import load, studies
    from ntkbound.studies.evaluate import evaluate, read_records

    if listed:
        known = studies()
        if as_json:
            print_json([{"name": n, "question": s.question} for n, s in known.items()])
        else:
            print_studies(stdout(), known)
        return
    if name is None:
        raise InputError("study: give a NAME; ntkbound study --list names them")
    chosen = load(name, size)
    if figure_format not in FORMATS:
        told = f"{figure_format!r} is unknown; accepted: {', '.join(FORMATS)}"
        raise InputError(told, field="figure-format")
    check_output(report)
    drawing = Drawing(figure_format, Layout(width, dpi))
    place = Place(out, jobs, scheduler, chosen.study.save)
    progress = run_missing(chosen.preset, place, quiet or as_json)
    finished = [run for run in progress.identifiers if run not in progress.failed]
    evaluation = evaluate(chosen, read_records(out, finished), progress.failed)
    command = shlex.join(["ntkbound", "study", name, "--size", size, "--out", str(out)])
    page = write_study(evaluation, out, drawing, command)
    write_study_page(evaluation, command, report)
    if as_json:
        print_json(evaluation.as_json())
    else:
        print_evaluation(stdout(), evaluation)
    if not quiet:
        tell(f"page and figure: {page}")
    for identifier, reason in evaluation.lost.items():
        tell(f"left out {identifier}: {reason}")
    if strict:
        raise typer.Exit(exit_code([evaluation.verdict]))
