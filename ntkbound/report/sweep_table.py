"""A sweep as a person follows it: the plan, the live counts, the state of a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from ntkbound.report.tables import Table, print_table, print_text

if TYPE_CHECKING:
    from ntkbound.runs.store import Survey
    from ntkbound.runs.sweep import Counts, Planned


@contextmanager
def live_table(
    console: Console, title: str, quiet: bool
) -> Iterator[Callable[[Counts, str], None]]:
    """A live table of counts with ETA on a terminal, one plain line per event elsewhere."""
    if quiet:
        yield lambda progress, line: None
        return
    if not console.is_terminal:

        def tell(progress: Counts, line: str) -> None:
            finished = progress.total - progress.left - progress.running
            console.print(Text(f"[{finished}/{progress.total}] {line}"), soft_wrap=True)

        yield tell
        return
    started = time.monotonic()
    with Live(console=console, transient=True, refresh_per_second=4) as live:

        def update(progress: Counts, line: str) -> None:
            live.update(_counts(title, progress, time.monotonic() - started))

        yield update


def _counts(title: str, progress: Counts, elapsed: float) -> Grid:
    table = Grid(title=Text(title, style="table.title"), title_justify="left")
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
    table = Table(("run", "estimated"), ("estimated",), folded=("run",))
    for run in todo:
        table.add_row((run.identifier, duration(run.seconds)))
    print_table(console, table)
    seconds = duration(sum(run.seconds for run in todo))
    told = f"{total} runs, {total - len(todo)} complete, {len(todo)} to do: about {seconds} "
    print_text(console, f"{told}on one thread, data and labels not included")


def print_status(console: Console, found: Survey) -> None:
    """Counts of a results folder, then every failed, damaged, stale or missing run."""
    diverged = sum(not record.complete for record in found.complete.values())
    told = f"{len(found.complete)} complete ({diverged} of them diverged), {len(found.failed)} "
    told += f"failed, {len(found.damaged)} damaged, {len(found.stale)} of another version, "
    print_text(console, f"{told}{len(found.missing)} missing")
    groups = {"failed": found.failed, "damaged": found.damaged, "another version": found.stale}
    for word, runs in groups.items():
        for identifier, reason in runs.items():
            print_text(console, f"{identifier}: {reason}", f"{word} ")
    for identifier in found.missing:
        print_text(console, identifier, "missing ")


def duration(seconds: float) -> str:
    """7.3 s, 4:05, 2:03:04."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
