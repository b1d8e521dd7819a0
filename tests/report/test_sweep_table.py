"""A sweep of any theorem: the plan, the counts, the state of a folder."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from ntkbound.report.sweep_table import duration, live_table, print_plan, print_status
from ntkbound.runs.store import Survey
from ntkbound.runs.sweep import Counts
from tests.report.made_up import printed, record

ODD = "ls-[red]-[/]-:smile:"


@dataclass(frozen=True)
class Row:
    """What a plan is printed from."""

    identifier: str
    seconds: float


def test_the_plan_names_every_run_and_the_sum():
    lines = printed(print_plan, 5, [Row(ODD, 90.0), Row("ls-1", 0.5)])
    assert [line.split() for line in lines[:3]] == [
        ["run", "estimated"],
        [ODD, "1:30"],
        ["ls-1", "0.5", "s"],
    ]
    assert lines[3].startswith("5 runs, 3 complete, 2 to do: about 1:30 on one thread")
    assert printed(print_plan, 5, [])[-1].startswith("5 runs, 5 complete, 0 to do: about 0.0 s")


def test_the_state_of_a_folder():
    complete = {"a": record(), "b": record(status="diverged")}
    found = Survey(complete, {ODD: f"because {ODD}"}, {"c": "torn"}, ("d",), {"e": "version 6"})
    assert printed(print_status, found, width=40) == [
        "2 complete (1 of them diverged), 1",
        "failed, 1 damaged, 1 of another version,",
        "1 missing",
        f"failed {ODD}: because",
        f"       {ODD}",
        "damaged c: torn",
        "another version e: version 6",
        "missing d",
    ]


def test_one_plain_line_per_event_where_there_is_no_terminal():
    stream = io.StringIO()
    with live_table(Console(file=stream, width=40), ODD, quiet=False) as tell:
        tell(Counts(("a", "b", "c"), done=1, running=1), f"done {ODD}")
    assert stream.getvalue() == f"[1/3] done {ODD}\n"
    with live_table(Console(file=stream), ODD, quiet=True) as tell:
        tell(Counts(("a",)), "never seen")
    assert "never seen" not in stream.getvalue()


def test_a_live_table_shows_the_title_as_it_is():
    stream = io.StringIO()
    console = Console(file=stream, width=90, force_terminal=True, color_system=None)
    with live_table(console, ODD, quiet=False) as tell:
        tell(Counts(("a", "b"), done=1, running=1, cost_left=1.0, cost_done=1.0), "done a")
    assert ODD in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (7.31, "7.3 s"), (60, "1:00"), (245, "4:05"), (7384, "2:03:04")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
