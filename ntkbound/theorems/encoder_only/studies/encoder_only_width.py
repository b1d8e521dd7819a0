"""The width that is needed against the width that the theorems ask for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.studies.measured import three
from ntkbound.studies.study import Evidence, Judgement, Study, TextTable
from ntkbound.theorems.encoder_only.curves import sized
from ntkbound.theorems.encoder_only.statement import CONDITION, LOSS_RATIO, RATIO_MIN, STEP

REACHED = 1e-2
ONE, INIT = CONDITION["prop1_one"], CONDITION["prop1_init"]
SHOWN = tuple((f"({name[-1]}), {told}", probe[name])
              for told, probe in (("C = 1", ONE), ("C = norms", INIT))
              for name in ("ratio2", "ratio3"))  # fmt: skip


def widths(evidence: Evidence) -> Judgement:
    """Two tables: the width that was needed, and where (2) and (3) would be met."""
    asked = [one for one in evidence.all if one.config["tau"] == 1]
    trained = [one for one in evidence.all if one.config["tau"] > 1]
    return Judgement(tables=[_needed(trained), _extrapolated(asked)])


def _needed(records: Sequence[Record]) -> TextTable:
    """Of every seed the smallest width with ℓ_T/ℓ_0 below 1e-2, their median over seeds."""
    tried: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for one in records:
        config = one.config
        place = (f"{config['init']} {config['scaling']}", config["N"], config["init_seed"])
        ratio = one.number(LOSS_RATIO.key)
        enough = one.complete and ratio is not None and ratio < REACHED
        tried[place].append(config["dm"] if enough else 0)
    by_arm: dict[tuple[str, int], list[float]] = defaultdict(list)
    for (name, N, _), dms in tried.items():
        by_arm[name, N].append(min((dm for dm in dms if dm), default=math.inf))
    widest = max((one.config["dm"] for one in records), default=0)
    rows = []
    for (name, N), found in sorted(by_arm.items()):
        middle = float(np.median(found))
        told = f"{middle:g}" if math.isfinite(middle) else f"> {widest}"
        rows.append([name, str(N), told, str(N), str(N**2), str(N**3)])
    columns = ["arm", "N", "width needed", "N (Thm 2)", "N² (Thm 1, one)", "N³ (Thm 1, half)"]
    return TextTable(f"Smallest dm with ℓ_T/ℓ_0 below {REACHED:g}", columns, rows)


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
    measured=(LOSS_RATIO, RATIO_MIN, STEP, ONE["ratio2"], ONE["ratio3"]),
    judge=widths,
)
