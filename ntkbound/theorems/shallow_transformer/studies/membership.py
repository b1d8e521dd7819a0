"""The smallest loss against ρ/ν: where the student's ball becomes large enough for the target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ntkbound.stats import Series
from ntkbound.stats.inference import t_quantile
from ntkbound.stats.margins import CHECK_LEVEL, MIN_SEEDS
from ntkbound.stats.segmented import Bend, fit_bend
from ntkbound.studies.measured import Cell, cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Line, Panel, Quantity, Row, Study
from ntkbound.theorems.shallow_transformer.studies.shared import (
    MIN_MSE,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    seeds,
)

BLOCKS = ("c", "U", "W")
WIDE = 4.0  # radius over ν of the blocks that are not being narrowed


def arm(row: Row) -> str:
    """ν, and the block that is narrowed: "ν = 1, all blocks"."""
    rho, nu = row["config"]["rho"], row["config"]["nu"]
    ratios = {block: rho[block] / nu[block] for block in rho}
    smallest = min(ratios.values())
    narrow = [block for block, ratio in ratios.items() if math.isclose(ratio, smallest)]
    which = "all blocks" if len(narrow) == len(ratios) else f"block {', '.join(narrow)}"
    return f"ν = {max(nu.values()):g}, {which}"


def judge(evidence: Evidence) -> Judgement:
    """The bend of the smallest RMSE against ρ/ν, per arm; at or below 1 is what is provable."""
    found = cells(evidence, AXIS, arm)
    findings, lines = [], []
    for name in dict.fromkeys(cell.arm for cell in found):
        series = _series([cell for cell in found if cell.arm == name])
        if series is None:
            continue
        bend = fit_bend(series)
        findings.append(_threshold(name, bend, len(series.seeds)))
        x, y = series.points.tolist(), series.values.mean(axis=0).tolist()
        lines.append(Line(f"{name}: bend {three(bend.x)}", x, y))
        if math.isfinite(bend.x):
            lines.append(Line("", [bend.x, bend.x], [min(y), max(y)],
                              dashed=True))  # fmt: skip
    panel = Panel(f"{MIN_RMSE.label} and its bend", AXIS, "", lines)
    return Judgement(findings, panels=[panel] if lines else [])


def _series(own: Sequence[Cell]) -> Series | None:
    """Smallest errors of the seeds that have a run at every ratio."""
    by_ratio = [
        {row["config"]["seed"]: row["terms"]["optimization"]["training"]["min_rmse"]
         for row in cell.rows}
        for cell in own
    ]  # fmt: skip
    shared = sorted(set.intersection(*(set(values) for values in by_ratio)))
    if not shared:
        return None
    values = np.array([[values[seed] for values in by_ratio] for seed in shared])
    names = tuple(map(str, shared))
    points = np.array([cell.x for cell in own])
    return Series(
        AXIS, MIN_RMSE.term, MIN_RMSE.probe, MIN_RMSE.statistic, (), points, values, names
    )


def _threshold(name: str, bend: Bend, count: int) -> Finding:
    """Holds if the interval ends at or below 1, violated if it is above 1 beyond doubt."""
    statement = f"{name}: the error stops falling at ρ/ν ≤ 1"
    if not math.isfinite(bend.x) or count < MIN_SEEDS:
        told = f"{count} seeds: needs at least five ratios and {MIN_SEEDS} seeds"
        return Finding(statement, "inconclusive", told)
    told = (
        f"bend at ρ/ν = {three(bend.x)} [{three(bend.low)}, {three(bend.high)}], slopes "
        f"{bend.before:.2g} before and {bend.after:.2g} after".replace("-", "−")
    )
    if bend.before >= 0 or bend.after < bend.before / 2:
        return Finding(statement, "inconclusive", f"{told}: no bend worth the name")
    if bend.high <= 1:
        return Finding(statement, "holds", told)
    spread = float(bend.seed_bends.std(ddof=1)) / math.sqrt(count)
    beyond = 1 + t_quantile(count, 1 - 2 * CHECK_LEVEL) * spread
    return Finding(statement, "violated" if bend.x > beyond else "inconclusive", told)


def _narrowed(ratios: Sequence[float]) -> list[dict[str, float]]:
    """Radii over ν = 1 with one block at each ratio and the others wide."""
    return [
        {b: (ratio if b == narrow else WIDE) for b in BLOCKS}
        for narrow in BLOCKS
        for ratio in ratios
    ]


AXIS = "rho/nu"
MIN_RMSE = Quantity("min RMSE", "optimization", "training", "min_rmse")
RATIOS = [0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0]
MORE = {"rho": [0.5 * r for r in RATIOS], "nu": [0.5]}, {"rho": [2 * r for r in RATIOS], "nu": [2]}

STUDY = Study(
    title="Membership",
    question="From which projection radius ρ on can training reach a target of norm ν?",
    reading=(
        "The teacher moves every head by exactly ν, so a student with ρ ≥ ν contains the target up "
        "to the approximation error. What is provable is a threshold at or below ρ/ν = 1: two "
        "heads may share what one is told to do. The threshold is the bend of two straight lines "
        "through RMSE against ρ/ν (a student that goes a share ρ/ν of the way leaves the rest as "
        "error), one bend per seed; for a narrowed block the others are wide."
    ),
    sizes={
        "smoke": {
            "run": {**TINY, **NO_SEARCH, "m": 32, "tau": 300, "eta_scale": 6},
            "sweep": {"rho": [0.25, 0.5, 0.7, 1.0, 1.4], "nu": [1], "seed": seeds(3)},
        },
        "small": {
            "run": {"m": 64, "n": 128, "T": 8, "d": 4, "tau": 2000, "inputs": "ball",
                    "eta_scale": 10, **NO_SEARCH},
            "sweep": [
                {"rho": RATIOS, "nu": [1], "seed": seeds(5)},
                *({**more, "seed": seeds(5)} for more in MORE),
                {"rho": _narrowed(RATIOS), "nu": [1], "seed": seeds(5)},
            ],
        },
        "paper": {
            "run": {**{k: v for k, v in PUBLISHED.items() if k not in ("nu", "rho")}, "m": 64},
            "sweep": [
                {"rho": [3 * r for r in RATIOS], "nu": [3], "seed": seeds(10)},
                {"rho": RATIOS, "nu": [1], "seed": seeds(10)},
            ],
        },
    },
    axis=AXIS,
    arms=arm,
    measured=(MIN_MSE, MIN_RMSE),
    judge=judge,
)  # fmt: skip
