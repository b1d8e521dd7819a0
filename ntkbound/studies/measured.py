"""Medians over seeds of a study's quantities, along its axis and in each of its arms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkbound.stats import arm_text, config_of
from ntkbound.stats.columns import RATIO
from ntkbound.studies.study import Arms, Evidence, Line, Panel, Quantity, Row, Study, Table

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """The runs of one arm at one axis value."""

    arm: str
    x: float
    rows: Sequence[Row]
    diverged: int

    def values(self, quantity: Quantity) -> Array:
        """(seeds,) what these runs measured, without those that have no such number."""
        found = [statistic(row, quantity) for row in self.rows]
        return np.array([value for value in found if value is not None])


def statistic(row: Row, quantity: Quantity) -> float | None:
    """One number of a run, None where it was not measured."""
    probes = row["terms"].get(quantity.term, {})
    value = probes.get(quantity.probe, {}).get(quantity.statistic)
    return None if value is None else float(value)


def axis_value(row: Row, axis: str) -> float:
    """Where a run lies along the axis; ``rho/nu`` is the smallest ratio of a block."""
    if axis == RATIO:
        rho: Mapping[str, float] = row["config"]["rho"]
        nu: Mapping[str, float] = row["config"]["nu"]
        # Blocks in the same order: a recurrent student's w stands where its teacher has W.
        return round(min(r / v for r, v in zip(rho.values(), nu.values(), strict=True)), 12)
    return float(config_of(row)[axis])


def arm_of(row: Row, arms: Arms) -> str:
    """The arm of a run in words: "decay, decay 0.1"; empty without arms."""
    if callable(arms):
        return arms(row)
    config = config_of(row)
    values = [(name, config[name]) for name in arms if config.get(name) is not None]
    return ", ".join(v if isinstance(v, str) else f"{name} {arm_text(v)}" for name, v in values)


def cells(evidence: Evidence, axis: str, arms: Arms) -> list[Cell]:
    """One per arm and axis value, in order."""
    groups: dict[tuple[str, float], list[Row]] = defaultdict(list)
    diverged: dict[tuple[str, float], int] = defaultdict(int)
    order: dict[str, None] = {}
    for row in evidence.all:
        arm = arm_of(row, arms)
        place = (arm, axis_value(row, axis))
        order.setdefault(arm)
        if row["status"] == "complete":
            groups[place].append(row)
        else:
            diverged[place] += 1
    ranks = {arm: rank for rank, arm in enumerate(sorted(order, key=_natural))}
    places = sorted({*groups, *diverged}, key=lambda place: (ranks[place[0]], place[1]))
    return [Cell(arm, x, groups[arm, x], diverged[arm, x]) for arm, x in places]


def measured_table(study: Study, found: Sequence[Cell]) -> Table:
    """Medians; a column for diverged runs where there are any."""
    lost = any(cell.diverged for cell in found)
    columns = [*(["arm"] if study.arms else []), study.axis, "seeds"]
    columns += [*(["diverged"] if lost else []), *(q.label for q in study.measured)]
    rows = []
    for cell in found:
        line = [cell.arm] if study.arms else []
        line += [f"{cell.x:g}", str(len(cell.rows)), *([str(cell.diverged)] if lost else [])]
        rows.append(line + [three(_median(cell.values(q))) for q in study.measured])
    return Table("Measured (medians over seeds)", columns, rows)


def measured_panels(study: Study, found: Sequence[Cell]) -> list[Panel]:
    """One per quantity, a line per arm, smallest and largest seed around it, bounds dashed.

    An arm at a single axis value is no line: it has its row in the table.
    """
    panels = []
    for quantity in study.measured:
        lines = []
        for arm in dict.fromkeys(cell.arm for cell in found):
            own = [cell for cell in found if cell.arm == arm and cell.values(quantity).size]
            if len(own) < 2:
                continue
            values = [cell.values(quantity) for cell in own]
            x = [cell.x for cell in own]
            lines.append(
                Line(
                    arm or "median",
                    x,
                    [_median(v) for v in values],
                    [float(v.min()) for v in values],
                    [float(v.max()) for v in values],
                )
            )
            bounds = [_bound(cell, quantity) for cell in own] if quantity.bound else []
            if sum(map(math.isfinite, bounds)) > 1:
                lines.append(Line(f"bound {arm}".strip(), x, bounds, dashed=True))
        if lines:
            panels.append(Panel(quantity.label, study.axis, quantity.label, lines))
    return panels


def three(value: float) -> str:
    """Three significant digits; a dash where there is no number."""
    return f"{value:.3g}" if math.isfinite(value) else "–"


def _median(values: Array) -> float:
    return float(np.median(values)) if values.size else math.nan


def _bound(cell: Cell, quantity: Quantity) -> float:
    key = (quantity.term, quantity.probe, quantity.statistic)
    found = [
        check["bound"]
        for row in cell.rows
        for check in row["checks"]
        if (check["term"], check["probe"], check["statistic"]) == key and check["bound"] is not None
    ]
    return float(np.median(found)) if found else math.nan


def _natural(arm: str) -> list[tuple[bool, float, str]]:
    """Words as words and numbers as numbers."""
    return [_part(word) for word in arm.replace(",", "").split()]


def _part(word: str) -> tuple[bool, float, str]:
    try:
        return (True, float(word), "")
    except ValueError:
        return (False, 0.0, word)


def with_terms(row: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A row with further terms beside its own."""
    terms = {term: dict(probes) for term, probes in row["terms"].items()}
    for term, probes in more.items():
        terms[term] = {**terms.get(term, {}), **probes}
    return {**row, "terms": terms}
