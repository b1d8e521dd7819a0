"""``kernel``: a record's tangent kernel and the loss that linearized descent predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ntkbound.cli.common import Code, Json, Quiet, Threads, print_json, stdout
from ntkbound.cli.figures import Dpi, Width


def command(
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
    width: Width = "column",
    dpi: Dpi = 200,
    threads: Threads = None,
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show a record's tangent kernel, its drift, and the loss that linearized descent predicts."""
    from ntkbound.machine.parallel import Workers
    from ntkbound.report.figures import check_figure
    from ntkbound.report.style import Layout
    from ntkbound.runs.record import read
    from ntkbound.theorems.shallow_transformer.tangent.figure import plot_curve
    from ntkbound.theorems.shallow_transformer.tangent.report import Options, kernel_report
    from ntkbound.theorems.shallow_transformer.tangent.table import print_kernel

    layout = Layout(width, dpi)
    if curve is not None:
        check_figure("curve", curve)
    options = Options(tolerance, infinite_heads, matrix_free)
    report = kernel_report(read(path), options, Workers(threads))
    if curve is not None:
        plot_curve(curve, report, layout)
    if as_json:
        print_json(report.as_json())
    else:
        print_kernel(stdout(), report, notes=not quiet)
