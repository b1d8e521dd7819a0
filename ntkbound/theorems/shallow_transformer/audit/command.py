"""``audit``: the proof's chain of inequalities along a trajectory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import Code, Json, Out, Quiet, exit_code, print_json, stderr, stdout
from ntkbound.cli.figures import Dpi, Width
from ntkbound.cli.options import Given, config_options
from ntkbound.core.errors import InputError
from ntkbound.theorems.shallow_transformer.config import Config

if TYPE_CHECKING:
    from ntkbound.machine.tools import Tools


def audit(
    given: Given,
    context: typer.Context,
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
    width: Width = "text",
    dpi: Dpi = 200,
    out: Out = Path("results"),
    threads: Annotated[int | None, typer.Option(min=1, help=r"threads \[all cores]")] = None,
    code: Code = None,
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
    from ntkbound.report.figures import check_figure
    from ntkbound.report.style import Layout
    from ntkbound.runs.files import check_writable
    from ntkbound.runs.record import read
    from ntkbound.theorems.shallow_transformer.audit.audited import audit as audit_run
    from ntkbound.theorems.shallow_transformer.audit.audited import audit_record
    from ntkbound.theorems.shallow_transformer.audit.figure import plot_shares
    from ntkbound.theorems.shallow_transformer.audit.table import print_audit

    layout = Layout(width, dpi)
    if figure is not None:
        check_figure("figure", figure)
    if record is None:
        check_writable(out)
        found = audit_run(given.config, steps, _tools(out, threads), level)
    else:
        _refuse_beside(context)
        made = read(record)
        found = audit_record(made, steps, _tools(made.folder.parent, threads), level)
    if as_json:
        print_json(found.as_json())
    else:
        print_audit(stdout(), found, notes=not quiet)
    if figure is not None:
        plot_shares(figure, found.audit.shares, layout)
    for link in found.audit.links:
        if link.verdict == "violated":
            stderr().print(
                f"violated: {link.step} {link.name}: {link.statement}: {link.reason}",
                highlight=False, soft_wrap=True, style="bold red",
            )  # fmt: skip
    raise typer.Exit(exit_code(link.verdict for link in found.audit.links))


OF_THE_AUDIT = frozenset(
    {"record", "steps", "level", "figure", "width", "dpi", "threads", "code", "as_json", "quiet"}
)


def _tools(results: Path, threads: int | None) -> Tools:
    """Threads, and the labels cached in a folder of results."""
    from ntkbound.machine.parallel import Workers
    from ntkbound.machine.tools import Tools
    from ntkbound.runs.cache import ArrayCache
    from ntkbound.runs.store import CACHE

    return Tools(Workers(threads), cache=ArrayCache(results / CACHE))


def _refuse_beside(context: typer.Context) -> None:
    """A record fixes the run. Raises InputError for an option of the run that was given beside it,
    whatever its value."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name not in OF_THE_AUDIT:
            raise InputError(
                "a record fixes the run; leave this out, or give the record's run.json as config "
                "to change some",
                field=name.removesuffix("_file"),
            )


command = config_options(audit, Config)
