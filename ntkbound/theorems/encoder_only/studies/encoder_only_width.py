"""The width that is needed against the width that the theorems ask for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.studies.measured import three
from ntkbound.studies.study import Evidence, Judgement, Line, Panel, Study, TextTable
from ntkbound.theorems.encoder_only.curves import sized
from ntkbound.theorems.encoder_only.statement import CONDITION, LOSS_RATIO

REACHED = 1e-2
ONE, INIT = CONDITION["prop1_one"], CONDITION["prop1_init"]
SHOWN = tuple((f"({name[-1]}), {told}", probe[name])
              for told, probe in (("C = 1", ONE), ("C = norms", INIT))
              for name in ("ratio2", "ratio3"))  # fmt: skip


def widths(evidence: Evidence) -> Judgement:
    """The width that was needed, as a table and drawn; and where (2) and (3) would be met."""
    asked = [one for one in evidence.all if one.config["tau"] == 1]
    trained = [one for one in evidence.all if one.config["tau"] > 1]
    needed = _needed(trained)
    panel = Panel("Width needed", "N", "smallest dm", list(_lines(needed)))
    found = [panel] if panel.lines else []
    return Judgement(tables=[_tabled(needed, trained), _extrapolated(asked)], panels=found)


def _needed(records: Sequence[Record]) -> dict[tuple[str, int], float]:
    """By arm and N the median over seeds of the smallest width with ℓ_T/ℓ_0 below 1e-2; ∞ where
    none was enough."""
    tried: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    for one in records:
        config = one.config
        place = (f"{config['init']} {config['scaling']}", config["N"], config["init_seed"])
        ratio = one.number(LOSS_RATIO.key)
        enough = one.complete and ratio is not None and ratio < REACHED
        tried[place].append(config["dm"] if enough else math.inf)
    seeds: dict[tuple[str, int], list[float]] = defaultdict(list)
    for (name, N, _), found in tried.items():
        seeds[name, N].append(min(found))
    return {place: float(np.median(found)) for place, found in sorted(seeds.items())}


def _lines(needed: Mapping[tuple[str, int], float]) -> Iterator[Line]:
    """Needed widths against N where there are two, and what the theorems ask for, dashed."""
    for name in dict.fromkeys(name for name, _ in needed):
        known = {N: dm for (own, N), dm in needed.items() if own == name and math.isfinite(dm)}
        if len(known) > 1:
            yield Line(name, list(known), list(known.values()))
    samples = sorted({N for _, N in needed})
    if len(samples) > 1:
        for power, told in ((1, "N"), (2, "N²"), (3, "N³")):
            yield Line(told, samples, [float(N**power) for N in samples], role="reference")


def _tabled(needed: Mapping[tuple[str, int], float], records: Sequence[Record]) -> TextTable:
    widest = max((one.config["dm"] for one in records), default=0)
    rows = [
        [name, str(N), f"{dm:g}" if math.isfinite(dm) else f"> {widest}", *_asked_by_theorems(N)]
        for (name, N), dm in needed.items()
    ]
    columns = ["arm", "N", "width needed", "N (Thm 2)", "N² (Thm 1, one)", "N³ (Thm 1, half)"]
    return TextTable(f"Smallest dm with ℓ_T/ℓ_0 below {REACHED:g}", columns, rows)


def _asked_by_theorems(N: int) -> list[str]:
    return [str(N), str(N**2), str(N**3)]


def _extrapolated(records: Sequence[Record]) -> TextTable:
    """Of every condition its value at the largest width, its slope, and where it would be 1."""
    groups: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for one in records:
        groups[f"{one.config['init']} {one.config['scaling']}", one.config["N"]].append(one)
    rows = [
        [name, str(N), told, *_line(group, quantity)]
        for (name, N), group in sorted(groups.items())
        for told, quantity in SHOWN
    ]
    columns = ["arm", "N", "condition", "at dm", "its left over its right", "slope", "met at dm"]
    return TextTable("Conditions of Proposition 1, extrapolated", columns, rows)


def _line(records: Iterable[Record], quantity: Quantity) -> list[str]:
    """The line of log ratio on log dm through geometric means over seeds."""
    values: dict[int, list[float]] = defaultdict(list)
    for one in records:
        number = one.number(quantity.key)
        if number is not None and number > 0:
            values[one.config["dm"]].append(math.log(number))
    if len(values) < 2:
        return ["–"] * 4
    at = np.array(sorted(values))
    y = np.array([np.mean(values[dm]) for dm in at])
    slope, start = np.polyfit(np.log(at), y, 1)
    met = three(math.exp(min(-start / slope, 700))) if slope > 0 else "never"
    return [str(at[-1]), three(math.exp(y[-1])), three(float(slope)), met]


STUDY = Study(
    title="Width needed",
    question="How wide must the model be to converge, and how wide do the theorems ask it to be?",
    reading="Adaptive steps: the smallest width that brings the loss to 1e-2 of its start, by "
    "initialisation, scaling and N. Beside it the two conditions of Proposition 1 at the start "
    "(sum pooling, summed loss), with the width at which their trend would reach 1.",
    theorem="encoder-only",
    axis="dm",
    arms=sized,
    measured=(),
    judge=widths,
)
