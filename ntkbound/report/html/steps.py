"""The section on trajectories: what runs recorded step by step, whatever theorem they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkbound.core.claim import STEP
from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.report.html.material import Material
from ntkbound.report.html.page import Block, Gallery, Lines, Section
from ntkbound.report.html.pictures import Pictures
from ntkbound.studies.study import Line, Panel

MOST_SERIES = 6  # of one theorem
MOST_RUNS = 5  # read at one place of the axis
MOST_STEPS = 120  # of one line

Array = NDArray[np.float64]
Trace = Mapping[str, Any]


def trajectories(material: Material, pictures: Pictures) -> Section:
    """A figure per series: at each of a few places of the axis a median and a range."""
    blocks: list[Block] = []
    for name in material.parts:
        places, unread = _read(material, name)
        names = dict.fromkeys(n for traces in places.values() for t in traces for n in t)
        chosen = [n for n in _ranked(name, names) if n.rpartition("/")[2] != STEP]
        panels = [_panel(series, places) for series in chosen]
        kept = [panel for panel in panels if panel is not None]
        drawn = pictures.of_panels(kept[:MOST_SERIES])
        blocks += [Gallery(drawn)] if drawn else []
        left = [panel.title for panel in kept[MOST_SERIES:]]
        lines = [f"Recorded, and not drawn here: {', '.join(left)}."] if left else []
        if unread:
            more = ", …" * (len(unread) > MOST_RUNS)
            named = ", ".join(unread[:MOST_RUNS])
            lines.append(f"No trace can be read of {len(unread)} runs: {named}{more}.")
        blocks += [Lines(lines)] if lines else []
    lead = (
        f"Recorded series against the step: the median over at most {MOST_RUNS} runs at each "
        "place of the axis, whatever else varies, and their range."
    )
    nothing = [Lines(["These runs recorded no series, or none is drawn."])]
    return Section("trajectories", "Trajectories", lead, blocks or nothing)


def _read(material: Material, name: str) -> tuple[dict[str, list[Trace]], list[str]]:
    """Place on the axis, in words → traces of a few of its runs; ids of runs without one."""
    axis, found, unread = material.axis(name), dict[str, list[Trace]](), list[str]()
    for value, records in material.groups(name).items():
        place = "median" if value is None else f"{axis} = {value:g}"
        for record in records[:MOST_RUNS]:
            trace = _trace(record)
            if trace is None:
                unread.append(record.id)
            elif trace:
                found.setdefault(place, []).append(trace)
    return found, unread


def _trace(record: Record) -> Trace | None:
    try:
        return dict(record.trace)
    except InputError:  # its file is gone, or not as it was written
        return None


def _ranked(theorem: str, names: Mapping[str, None]) -> list[str]:
    """The names of series: one of every probe first, that of a headline quantity where there is."""
    declared = known(theorem)

    def plain(name: str) -> bool:
        parts = name.split("/")
        return declared is None or len(parts) != 3 or not declared.quantity(Key(*parts)).headline

    places: dict[str, int] = {}
    ranks = {}
    for name in sorted(names, key=plain):
        probe = name.rpartition("/")[0]
        ranks[name] = places[probe] = places.get(probe, 0) + 1
    return sorted(ranks, key=lambda name: ranks[name])


def _panel(series: str, places: Mapping[str, Sequence[Trace]]) -> Panel | None:
    """None where no run recorded numbers at two steps."""
    lines = []
    for place, traces in places.items():
        runs = [run for trace in traces if (run := _series(trace, series)) is not None]
        line = _median(place, runs)
        lines += [line] if line is not None else []
    return Panel(series, STEP, series, lines) if lines else None


def _series(trace: Trace, name: str) -> tuple[Array, Array] | None:
    """(K,) steps and values of one series; None where it is none."""
    own = f"{name.rpartition('/')[0]}/{STEP}"
    steps = trace.get(own, trace.get(STEP))
    values = trace.get(name)
    if steps is None or values is None or values.ndim != 1 or steps.shape != values.shape:
        return None
    if values.dtype.kind not in "fiu" or steps.dtype.kind not in "fiu" or len(values) < 2:
        return None
    return np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)


def _median(label: str, runs: Sequence[tuple[Array, Array]]) -> Line | None:
    """Over runs, at the steps that all of them recorded."""
    if not runs:
        return None
    shared = runs[0][0]
    for steps, _ in runs[1:]:
        shared = np.intersect1d(shared, steps)
    if len(shared) < 2:
        return None
    if len(shared) > MOST_STEPS:
        shared = shared[np.linspace(0, len(shared) - 1, MOST_STEPS).round().astype(np.intp)]
    values = np.array([value[np.searchsorted(steps, shared)] for steps, value in runs])
    ends = (values.min(axis=0).tolist(), values.max(axis=0).tolist()) if len(runs) > 1 else ()
    return Line(label, shared.tolist(), np.median(values, axis=0).tolist(), *ends)
