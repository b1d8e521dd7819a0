"""``audit``: the proof's chain of inequalities along a trajectory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ntkbound.cli.common import Json, Out, Quiet, exit_code, print_json, stderr, stdout
from ntkbound.cli.options import config_options
from ntkbound.core.errors import InputError
from ntkbound.theorems.shallow_transformer.config import RunConfig, build


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound audit --m 256 --tau 4000 --figure slack.pdf")(audit)


@config_options
def audit(
    config: RunConfig,
    record: Annotated[
        Path | None, typer.Argument(metavar="[RECORD]", help="a record instead of options")
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="audited steps; τ or more: all of them")] = 64,
    level: Annotated[
        str,
        typer.Option(
            metavar="closed-form|a-posteriori",
            help="constants: the theorem's, or the certificates of this φ_0 and its inputs",
        ),
    ] = "closed-form",
    figure: Annotated[
        Path | None, typer.Option(help="draw where the slack goes: FILE.pdf|svg|png")
    ] = None,
    out: Out = Path("results"),
    threads: Annotated[int | None, typer.Option(min=1, help=r"threads \[all cores]")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Assert every link of the proof along a trajectory, and say where its bound loses.

    The run is trained again (same bits) and evaluated in float64: both sides of every inequality,
    the factor it loses, and bound/measured as a product of one factor per link. Exit 1 if a link is
    violated. Where no constant is known (most of the recurrent baseline's, ε_app of a computed
    transport) the largest measured value stands in and the table says so. No record is written;
    teacher labels are cached in the results folder.
    """
    from ntkbound.report.figures import check_figure, plot_shares
    from ntkbound.runs.execute import check_writable
    from ntkbound.runs.record import read
    from ntkbound.theorems.shallow_transformer.audit.audited import audit as audit_run
    from ntkbound.theorems.shallow_transformer.audit.audited import audit_record
    from ntkbound.theorems.shallow_transformer.audit.table import print_audit

    if figure is not None:
        check_figure("--figure", figure)
    if record is None:
        check_writable(out)
        found = audit_run(config, steps, out / "cache" / "labels", threads, level=level)
    elif config == build({}):
        found = audit_record(read(record), steps, threads, level=level)
    else:
        raise InputError(
            f"{record}: a record fixes the run; leave the run's options out, or give "
            "--config RECORD/run.json to change some"
        )
    if as_json:
        print_json(found.as_json())
    elif not quiet:
        print_audit(stdout(), found)
    if figure is not None:
        plot_shares(figure, found.audit.shares)
    for link in found.audit.links:
        if link.verdict == "violated":
            stderr().print(
                f"violated: {link.step} {link.name}: {link.statement}: {link.reason}",
                highlight=False, soft_wrap=True, style="bold red",
            )  # fmt: skip
    raise typer.Exit(exit_code(link.verdict for link in found.audit.links))
