"""Commands about many runs: ``sweep`` and ``status``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import (
    INCONCLUSIVE,
    About,
    Json,
    Out,
    Quiet,
    print_json,
    stderr,
    stdout,
    tell,
    unknown_theorems,
)
from ntkbound.core.errors import InputError
from ntkbound.core.preset import Preset, load_preset

if TYPE_CHECKING:
    from ntkbound.runs.pools import Pool
    from ntkbound.runs.sweep import Counts

PresetName = Annotated[
    str, typer.Argument(metavar="PRESET", help="a TOML preset, or the name of a shipped one")
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help=r"local processes, one CPU thread each \[cores]")
]
BaseSeed = Annotated[int, typer.Option(min=0, help="added to every seed of the preset")]
Scheduler = Annotated[
    str | None, typer.Option(help="address of a running Dask scheduler, tcp://host:port")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound sweep presets/width.toml --jobs 2")(sweep)
    app.command(epilog="Example: ntkbound status results/")(status)


@dataclass(frozen=True)
class Place:
    """Where the runs of a preset are made and kept; ``save``: with parameters and inputs."""

    out: Path
    jobs: int | None = None
    scheduler: str | None = None
    save: bool = False


def sweep(
    preset: PresetName,
    out: Out = Path("results"),
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    base_seed: BaseSeed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the runs, run nothing")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a grid of experiments; only missing or failed runs are done, so it resumes by itself.

    Exits 3 if some runs failed; their reasons stay in the folder and `ntkbound status` tells them.
    """
    loaded = load_preset(preset)
    if dry_run:
        _list_runs(loaded, out, base_seed, as_json)
        return
    progress = run_missing(loaded, Place(out, jobs, scheduler), quiet, base_seed)
    summary = {
        "runs": progress.total,
        "done": progress.done,
        "reused": progress.reused,
        "failed": progress.failed,
    }
    if as_json:
        print_json(summary)
    else:
        stdout().print(
            f"{progress.total} runs: {progress.done} done now, {progress.reused} complete before, "
            f"{len(progress.failed)} failed; records in {out}",
            highlight=False,
        )
    for identifier, reason in progress.failed.items():
        tell(f"failed {identifier}: {reason}")
    if progress.failed:
        raise typer.Exit(INCONCLUSIVE)


def run_missing(preset: Preset, place: Place, quiet: bool, base_seed: int = 0) -> Counts:
    """Completes a preset's records with a live table; for ``check`` and ``study`` too."""
    from ntkbound.machine.share import available_cores, started_by_torchrun
    from ntkbound.report.sweep_table import live_table
    from ntkbound.runs import sweep as sweeps
    from ntkbound.runs.files import check_writable
    from ntkbound.runs.pools import DaskPool, LocalPool

    if started_by_torchrun():
        raise InputError(
            "torchrun divides one run over ranks; many runs take --jobs or --scheduler"
        )
    check_writable(place.out)
    planned = sweeps.plan(preset.configs(base_seed))

    def notice(line: str) -> None:
        if not quiet:
            tell(line)

    def pool() -> Pool:
        if place.scheduler:
            return DaskPool(place.scheduler)
        sweeps.make_ready(planned, notice)
        return LocalPool(place.jobs or available_cores())

    with live_table(stderr(), preset.title, quiet) as report:
        return sweeps.sweep(planned, place.out, pool, report, place.save)


def _list_runs(preset: Preset, out: Path, base_seed: int, as_json: bool) -> None:
    from ntkbound.report.sweep_table import print_plan
    from ntkbound.runs import sweep as sweeps

    planned = sweeps.plan(preset.configs(base_seed))
    todo = sweeps.missing(planned, out)
    if as_json:
        rows = [{"id": run.identifier, "seconds": run.seconds} for run in todo]
        print_json({"runs": len(planned), "missing": rows})
    else:
        print_plan(stdout(), len(planned), todo)


def status(
    folder: Annotated[Path, typer.Argument(metavar="RESULTS", help="a results folder")],
    theorem: About = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell which runs are complete, failed (and why), damaged, missing, or of another version."""
    from ntkbound.report.sweep_table import print_status
    from ntkbound.runs.store import survey

    found = survey(folder, whole=True)
    if as_json:
        print_json(
            {
                "complete": sorted(found.complete),
                "failed": found.failed,
                "damaged": found.damaged,
                "missing": list(found.missing),
                "stale": found.stale,
                "unknown": {name: run.theorem for name, run in sorted(found.unknown.items())},
                "status": dict(Counter(run.status for run in found.complete.values())),
            }
        )
    else:
        print_status(stdout(), found)
        for line in unknown_theorems(found.unknown.values()).values():
            stdout().print(line, highlight=False, soft_wrap=True, markup=False)
    if found.failed or found.damaged or found.missing or found.stale:
        raise typer.Exit(INCONCLUSIVE)
