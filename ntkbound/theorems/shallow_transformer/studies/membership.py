"""The smallest loss against ρ/ν: where the student's ball becomes large enough for the target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ntkbound.core.record import Record
from ntkbound.stats import Series
from ntkbound.stats.inference import t_quantile
from ntkbound.stats.margins import CHECK_LEVEL, MIN_SEEDS
from ntkbound.stats.segmented import Bend, fit_bend
from ntkbound.studies.measured import Cell, cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Line, Panel, Study
from ntkbound.theorems.shallow_transformer.statement import (
    MIN_MSE,
    MIN_RMSE,
    NAME,
)

AXIS = "rho/nu"


def arm(record: Record) -> str:
    """ν, and the block that is narrowed: "ν = 1, all blocks"."""
    rho, nu = record.config["rho"], record.config["nu"]
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
    panel = Panel(f"{MIN_RMSE.title} and its bend", AXIS, "", lines)
    return Judgement(findings, panels=[panel] if lines else [])


def _series(own: Sequence[Cell]) -> Series | None:
    """Smallest errors of the seeds that have a run at every ratio."""
    by_ratio = [
        {record.config["seed"]: record.number(MIN_RMSE.key) for record in cell.records}
        for cell in own
    ]
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
    theorem=NAME,
    axis=AXIS,
    arms=arm,
    measured=(MIN_MSE, MIN_RMSE),
    judge=judge,
)
