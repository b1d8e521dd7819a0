"""A sweep as a person follows it: the plan, the live counts, the state of a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from ntkbound.runs.store import Survey
    from ntkbound.runs.sweep import Planned, Progress


@contextmanager
def live_table(
    console: Console, title: str, quiet: bool
) -> Iterator[Callable[[Progress, str], None]]:
    """A live table of counts with ETA on a terminal, one plain line per event elsewhere."""
    if quiet:
        yield lambda progress, line: None
        return
    if not console.is_terminal:

        def tell(progress: Progress, line: str) -> None:
            finished = progress.total - progress.left - progress.running
            console.print(
                f"[{finished}/{progress.total}] {line}", markup=False, highlight=False,
                soft_wrap=True,
            )  # fmt: skip

        yield tell
        return
    started = time.monotonic()
    with Live(console=console, transient=True, refresh_per_second=4) as live:

        def update(progress: Progress, line: str) -> None:
            live.update(_counts(title, progress, time.monotonic() - started))

        yield update


def _counts(title: str, progress: Progress, elapsed: float) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("done", "running", "failed", "left", "elapsed", "ETA"):
        table.add_column(name, justify="right")
    rate = progress.cost_done / elapsed if elapsed > 0 else 0.0
    table.add_row(
        str(progress.done + progress.reused),
        str(progress.running),
        str(len(progress.failed)),
        str(progress.left),
        duration(elapsed),
        duration(progress.cost_left / rate) if rate else "–",
    )
    return table


def print_plan(console: Console, total: int, todo: Sequence[Planned]) -> None:
    """The runs that would be done, longest first, with a rough cost on one thread."""
    from ntkbound.runs.sweep import estimated_seconds

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("estimated", justify="right", no_wrap=True)
    for run in todo:
        table.add_row(run.identifier, duration(estimated_seconds(run)))
    console.print(table)
    seconds = sum(estimated_seconds(run) for run in todo)
    console.print(
        f"{total} runs, {total - len(todo)} complete, {len(todo)} to do: about {duration(seconds)} "
        "on one thread, teacher labels not included",
        highlight=False,
    )


def print_status(console: Console, found: Survey) -> None:
    """Counts of a results folder, then every failed, damaged or missing run."""
    diverged = sum(run["status"] != "complete" for run in found.complete.values())
    console.print(
        f"{len(found.complete)} complete ({diverged} of them diverged), "
        f"{len(found.failed)} failed, {len(found.damaged)} damaged, {len(found.missing)} missing",
        highlight=False,
    )
    for word, runs in (("failed", found.failed), ("damaged", found.damaged)):
        for identifier, reason in runs.items():
            console.print(
                f"{word} {identifier}: {reason}", markup=False, highlight=False, soft_wrap=True
            )
    for identifier in found.missing:
        console.print(f"missing {identifier}", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """7.3 s, 4:05, 2:03:04."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
