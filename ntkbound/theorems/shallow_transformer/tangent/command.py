"""Commands about the linearized model: ``kernel`` of a record, ``membership`` of labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ntkbound.cli.common import Json, Quiet, exit_code, print_json, stderr, stdout
from ntkbound.cli.options import config_options
from ntkbound.core.errors import InputError
from ntkbound.theorems.shallow_transformer.config import RunConfig

RECORD = "results/st-m256-tau4000-n512-s0-0123456789ab"
Threads = Annotated[int | None, typer.Option(min=1, help=r"threads \[all cores]")]


def register(app: typer.Typer) -> None:
    app.command(epilog=f"Example: ntkbound kernel {RECORD} --curve curve.pdf")(kernel)
    app.command(epilog="Example: ntkbound membership --task digits --n 400 --m 1024")(membership)


def kernel(
    path: Annotated[
        Path, typer.Argument(metavar="RECORD", help="a record's folder or its run.json")
    ],
    tolerance: Annotated[
        float, typer.Option(min=0, help="relative difference at which the curves have parted")
    ] = 0.05,
    infinite_heads: Annotated[
        int, typer.Option(min=0, help="fresh heads of the infinite-width kernel; 0: leave it out")
    ] = 4096,
    matrix_free: Annotated[
        bool | None,
        typer.Option(
            "--matrix-free/--dense", help=r"hold no n × n matrix \[for large n]", show_default=False
        ),
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(help="draw both loss curves: FILE.png|pdf|svg")
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show a record's tangent kernel, its drift, and the loss that linearized descent predicts."""
    from ntkbound.machine.parallel import Workers
    from ntkbound.report.figures import check_figure
    from ntkbound.runs.record import read
    from ntkbound.theorems.shallow_transformer.tangent.figure import plot_curve
    from ntkbound.theorems.shallow_transformer.tangent.report import kernel_report
    from ntkbound.theorems.shallow_transformer.tangent.table import print_kernel

    if curve is not None:
        check_figure("--curve", curve)
    report = kernel_report(
        read(path),
        tolerance=tolerance,
        infinite_heads=infinite_heads,
        matrix_free=matrix_free,
        workers=Workers(threads),
    )
    if curve is not None:
        plot_curve(curve, report)
    if as_json:
        print_json(report.as_json())
    elif not quiet:
        print_kernel(stdout(), report)


@partial(config_options, panels=("Model", "Data", "Seeds"))
def membership(
    config: RunConfig,
    labels: Annotated[
        str, typer.Option(help="task, or random: N(0, 1) labels on the same inputs")
    ] = "task",
    seeds: Annotated[int, typer.Option(min=1, help="seeds, from --seed on")] = 5,
    ridges: Annotated[
        str, typer.Option(help="ridges relative to the mean eigenvalue; the first is judged")
    ] = "0,1e-6,1e-4,1e-2",
    strict: Annotated[bool, typer.Option(help="exit 3 if the verdict is inconclusive")] = False,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether labels lie in the target class F_ν, and for which ν.

    The norm that they require is measured against n and m; nothing is written.
    """
    from ntkbound.machine.parallel import Workers
    from ntkbound.stats import judge_membership
    from ntkbound.theorems.shallow_transformer.membership.requirements import requirements
    from ntkbound.theorems.shallow_transformer.membership.table import print_membership

    def progress(line: str) -> None:
        if not quiet and stderr().is_terminal:
            stderr().print(line, highlight=False)

    found = requirements(
        config,
        labels=labels,
        seeds=seeds,
        ridges=_numbers(ridges),
        workers=Workers(threads),
        progress=progress,
    )
    verdict = judge_membership(found.at_first_ridge())
    if as_json:
        print_json(verdict.as_json() | found.as_json())
    elif not quiet:
        what = f"{config.task} labels" if labels == "task" else f"random labels on {config.task}"
        title = f"{what}, {config.activation}, query {config.query}, medians over {seeds} seeds"
        print_membership(stdout(), title, found, verdict)
    if strict:
        raise typer.Exit(exit_code([verdict.verdict]))


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--ridges: {text!r} is not numbers separated by commas") from None
