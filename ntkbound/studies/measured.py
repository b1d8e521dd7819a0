"""Medians over seeds of a study's quantities, along its axis and in each of its arms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.stats import Verdict, arm_text, config_of
from ntkbound.stats.columns import in_arm
from ntkbound.stats.curves import curves, median_interval, noted
from ntkbound.stats.inference import t_quantile
from ntkbound.studies.study import Arms, Evidence, Line, Panel, Role, Study, TextTable

Array = NDArray[np.float64]

MEDIAN, BOUND, FITTED, CLAIMED = "median", "bound", "fitted", "claimed"  # in a legend
CURVES: tuple[Role, Role] = ("fitted", "claimed")


@dataclass(frozen=True)
class Cell:
    """The complete runs of one arm at one axis value."""

    arm: str
    x: float
    records: Sequence[Record]
    diverged: int

    def values(self, quantity: Quantity) -> Array:
        """(seeds,) what these runs measured, without those that have no such number."""
        found = [record.number(quantity.key) for record in self.records]
        return np.array([value for value in found if value is not None])


def axis_value(record: Record, axis: str) -> float:
    """Where a run lies along the axis; along a ratio ``a/b`` it is the smallest of a block.

    Raises InputError where the two fields of a ratio have different blocks.
    """
    field, separator, divisor = axis.partition("/")
    if not separator:
        return float(config_of(record)[field])
    above, below = (_blocks(record.config[name]) for name in (field, divisor))
    if above.keys() != below.keys():
        told = f"{', '.join(above)} and {', '.join(below)}"
        raise InputError(f"{record.id}: no ratio of blocks that differ ({told})", field=axis)
    return round(min(above[block] / below[block] for block in above), 12)


def _blocks(value: float | Mapping[str, float]) -> Mapping[str, float]:
    return value if isinstance(value, Mapping) else {"": value}


def arm_of(record: Record, arms: Arms) -> str:
    """The arm of a run in words, fields as the paper calls them: "decay, decay 0.1", "ω 0.9"; empty
    without arms."""
    if callable(arms):
        return arms(record)
    config = config_of(record)
    values = [(name, config[name]) for name in arms if config.get(name) is not None]
    theorem = known(record.theorem)
    return ", ".join(
        v if isinstance(v, str)
        else f"{theorem.symbol(name) if theorem else name} {arm_text(v)}"
        for name, v in values
    )  # fmt: skip


def cells(evidence: Evidence, axis: str, arms: Arms) -> list[Cell]:
    """One per arm and axis value, in order."""
    groups: dict[tuple[str, float], list[Record]] = defaultdict(list)
    diverged: dict[tuple[str, float], int] = defaultdict(int)
    order: dict[str, None] = {}
    for record in evidence.all:
        arm = arm_of(record, arms)
        place = (arm, axis_value(record, axis))
        order.setdefault(arm)
        if record.complete:
            groups[place].append(record)
        else:
            diverged[place] += 1
    ranks = {arm: rank for rank, arm in enumerate(sorted(order, key=_natural))}
    places = sorted({*groups, *diverged}, key=lambda place: (ranks[place[0]], place[1]))
    return [Cell(arm, x, groups[arm, x], diverged[arm, x]) for arm, x in places]


def measured_table(study: Study, found: Sequence[Cell]) -> TextTable:
    """Medians; a column for diverged runs where there are any."""
    lost = any(cell.diverged for cell in found)
    columns = [*(["arm"] if study.arms else []), study.axis, "seeds"]
    columns += [*(["diverged"] if lost else []), *(q.title for q in study.measured)]
    rows = []
    for cell in found:
        line = [cell.arm] if study.arms else []
        line += [f"{cell.x:g}", str(len(cell.records)), *([str(cell.diverged)] if lost else [])]
        rows.append(line + [three(_median(cell.values(q))) for q in study.measured])
    return TextTable("Measured (medians over seeds)", columns, rows)


def measured_panels(
    study: Study, found: Sequence[Cell], fits: Sequence[Verdict] = ()
) -> list[Panel]:
    """One per quantity, a line per arm: seeds, their median and its interval, the bound where the
    runs' checks have one, and what was fitted and is claimed along the study's axis.

    An arm at a single axis value is no line: it has its row in the table.
    """
    theorem = known(study.theorem)
    x = theorem.symbol(study.axis) if theorem else study.axis
    panels = []
    for quantity in study.measured:
        lines: list[Line] = []
        drawn: list[Verdict] = []
        for arm in dict.fromkeys(cell.arm for cell in found):
            own = [cell for cell in found if cell.arm == arm and cell.values(quantity).size]
            if len(own) < 2:
                continue
            label = arm or MEDIAN
            about = [fit for fit in fits if _is_about(fit, study.axis, quantity, own)]
            lines += [_middle(label, own, quantity), *_curves(label, about)]
            drawn += about
            bounds = [_bound(cell, quantity) for cell in own]
            if sum(map(math.isfinite, bounds)) > 1:
                lines.append(Line(BOUND, [cell.x for cell in own], bounds, role="upper", arm=label))
        if lines:
            note = _of_one(lines) + noted(drawn) if drawn else ""
            panels.append(Panel(quantity.title, x, quantity.title, lines, note))
    return panels


def _of_one(lines: Sequence[Line]) -> str:
    """Which arm was fitted, where it is one of several: "sgd: "."""
    measured = {line.label for line in lines if line.role == "measured"}
    fitted = {line.arm for line in lines if line.role == "fitted"}
    return f"{fitted.pop()}: " if len(fitted) == 1 < len(measured) else ""


def _middle(label: str, own: Sequence[Cell], quantity: Quantity) -> Line:
    """Seeds, their median and its interval."""
    values = [cell.values(quantity) for cell in own]
    low, high = zip(*map(median_interval, values), strict=True)
    x, y = [cell.x for cell in own], [_median(v) for v in values]
    return Line(label, x, y, low, high, seeds=[v.tolist() for v in values])


def _is_about(fit: Verdict, axis: str, quantity: Quantity, own: Sequence[Cell]) -> bool:
    """Whether a fit is one of this quantity along this axis, over runs of these cells."""
    records = [record for cell in own for record in cell.records]
    return (fit.axis, fit.key) == (axis, quantity.key) and any(in_arm(r, fit.arm) for r in records)


def _curves(label: str, fits: Sequence[Verdict]) -> list[Line]:
    """The fitted and the claimed curve of each fit."""
    return [line for fit in fits for line in curve_lines(fit, label)]


def curve_lines(fit: Verdict, arm: str = "") -> list[Line]:
    """What was fitted and what is claimed, as lines of the arm with this label."""
    found = curves(fit)
    if found is None:
        return []
    named = {FITTED: found.fitted, CLAIMED: found.claimed}
    return [
        Line(label, found.x.tolist(), y.tolist(), role=role, arm=arm)
        for (label, y), role in zip(named.items(), CURVES, strict=True)
        if y is not None
    ]


def three(value: float) -> str:
    """Three significant digits; a dash where there is no number."""
    return f"{value:.3g}" if math.isfinite(value) else "–"


def paired_ratio(above: Mapping[int, float], below: Mapping[int, float]) -> str:
    """Geometric mean of above/below over the seeds that both have, with its 95 % interval by
    Student's t: "0.7 [0.65, 0.75]"; a dash with fewer than two."""
    shared = sorted(above.keys() & below.keys())
    if len(shared) < 2:
        return "–"
    ratios = np.log([above[seed] / below[seed] for seed in shared])
    half = t_quantile(len(shared)) * ratios.std(ddof=1) / len(shared) ** 0.5
    low, middle, high = (three(float(np.exp(ratios.mean() + k * half))) for k in (-1, 0, 1))
    return f"{middle} [{low}, {high}]"


def _median(values: Array) -> float:
    return float(np.median(values)) if values.size else math.nan


def _bound(cell: Cell, quantity: Quantity) -> float:
    """The median of what the runs' checks have as its bound; NaN where they have none."""
    found = [
        check.bound
        for record in cell.records
        for check in record.checks
        if check.key == quantity.key and check.bound is not None
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
