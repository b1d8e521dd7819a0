"""Projected descent beside plain descent and descent with decay of the same final distance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Terms
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.stats import config_of
from ntkbound.studies.measured import paired_ratio, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Line, Panel, Study, TextTable
from ntkbound.theorems.shallow_transformer.statement import (
    FINAL_MSE,
    LOSS_GRADIENT,
    MIN_MSE,
    NAME,
    TRACED_GRADIENT,
)

Runs = Mapping[int, Record]  # seed → run

DISTANCE = Quantity("displacement", "final", "distance", "‖φ_τ − φ_0‖")
FARTHEST = Quantity("displacement", "trajectory", "block_max", "largest √m‖θ_i − θ_i(0)‖")
BOUNDARY = Quantity("displacement", "final", "boundary_fraction", "heads on ∂Ω_ρ")
FINAL_GRADIENT = Quantity("gradient", "final", "loss_gradient_norm", "‖∇R̂(φ_τ)‖")
COMPARED = (MIN_MSE, FINAL_MSE, LOSS_GRADIENT, FINAL_GRADIENT, DISTANCE)


def derive(record: Record) -> Terms:
    """How far the parameters went, and the last gradient.

    distance: ‖φ_τ − φ_0‖ over all parameters. block_max: the largest scaled displacement of any
    head's block at any step, to be compared with ρ. boundary_fraction: of the block that has most
    heads on the boundary, for projected descent alone.
    """
    initial, final = record.array_group("initial"), record.array_group("final")
    squared = sum(float(((final[b].astype(float) - initial[b]) ** 2).sum()) for b in initial)
    fractions = record.terms["gradient"]["boundary_fraction"].values()
    projected = record.config["method"] == "projgd"
    farthest = max(record.terms["gradient"]["reach"].values())
    return {
        "displacement": {
            "final": {
                "distance": squared**0.5,
                **({"boundary_fraction": float(max(fractions))} if projected else {}),
            },
            "trajectory": {"block_max": farthest},
        },
        "gradient": {
            "final": {"loss_gradient_norm": float(record.trace[TRACED_GRADIENT.key.column][-1])}
        },
    }


def judge(evidence: Evidence) -> Judgement:
    """Per radius: compare paired seeds with GD and the chosen decay, demand equality if free."""
    runs: dict[str, dict[float, dict[int, Record]]] = defaultdict(lambda: defaultdict(dict))
    for record in evidence.complete:
        config = config_of(record)
        key = config["rho"] if config["method"] == "projgd" else config["decay"] or 0.0
        runs[config["method"]][key][config["seed"]] = record
    plain, searched = runs["gd"][0.0], runs["decay"]
    findings: list[Finding] = []
    chosen: dict[float, list[str]] = defaultdict(list)
    for rho, projected in sorted(runs["projgd"].items()):
        findings.append(same_where_free(rho, projected, plain))
        findings += _compared(f"ρ = {rho:g}: ProjGD over GD", projected, plain)
        if searched:
            decay = _closest(projected, searched)
            chosen[decay].append(f"{rho:g}")
            title = f"ρ = {rho:g}: ProjGD over decay {decay:g}"
            findings += _compared(title, projected, searched[decay])
    lines = [
        [f"{decay:g}", three(_median(own, DISTANCE)), ", ".join(chosen[decay])]
        for decay, own in sorted(searched.items())
    ]
    columns = ("decay", DISTANCE.title, "closest to ProjGD's at ρ")
    table = TextTable("Search for the decay of the same final distance", columns, lines)
    panels = [_against_distance(quantity, runs) for quantity in (FINAL_MSE, FINAL_GRADIENT)]
    return Judgement(findings, tables=[table], panels=panels)


def _against_distance(quantity: Quantity, runs: Mapping[str, Mapping[float, Runs]]) -> Panel:
    """Medians over seeds: a curve over ρ, one over the decays, and the point of plain descent."""
    lines = []
    for method, by_strength in sorted(runs.items()):
        ends = [by_strength[strength] for strength in sorted(by_strength)]
        x, y = ([_median(own, q) for own in ends] for q in (DISTANCE, quantity))
        lines.append(Line(method, x, y))
    return Panel("", DISTANCE.title, quantity.title, lines)


def same_where_free(rho: float, projected: Runs, plain: Runs) -> Finding:
    """A projection that never moves anything leaves plain descent unchanged, bit for bit."""
    statement = f"ρ = {rho:g}: ProjGD is GD in runs whose heads stay inside Ω_ρ"
    free = [s for s in plain if s in projected and _number(plain[s], FARTHEST) < rho]
    if not free:
        told = "plain descent leaves Ω_ρ in every run: the projection binds"
        return Finding(statement, "condition-not-met", told)
    same = sum(_number(projected[s], FINAL_MSE) == _number(plain[s], FINAL_MSE) for s in free)
    told = f"equal final loss in {same} of {len(free)} runs whose plain descent stays inside Ω_ρ"
    return Finding(statement, "holds" if same == len(free) else "violated", told)


def _compared(title: str, first: Runs, second: Runs) -> list[Finding]:
    """Paired ratios of losses and gradient norms: geometric mean, Student's t over seeds."""
    shared = sorted(first.keys() & second.keys())
    if len(shared) < 2:
        return []
    parts = []
    for quantity in COMPARED:
        above, below = ({s: _number(runs[s], quantity) for s in shared} for runs in (first, second))
        parts.append(f"{quantity.title} {paired_ratio(above, below)}")
    return [Finding(f"{title}, ratios", "not-defined", ", ".join(parts))]


def _closest(projected: Runs, searched: Mapping[float, Runs]) -> float:
    """The searched decay whose median final distance is closest to ProjGD's."""
    wanted = _median(projected, DISTANCE)
    return min(searched, key=lambda decay: abs(np.log(_median(searched[decay], DISTANCE) / wanted)))


def _median(own: Runs, quantity: Quantity) -> float:
    return float(np.median([_number(record, quantity) for record in own.values()]))


def _number(record: Record, quantity: Quantity) -> float:
    """What was measured. Raises InputError where this run has no such number."""
    value = record.number(quantity.key)
    if value is None:
        raise InputError(f"{record.id}: has no {quantity.key}")
    return value


STUDY = Study(
    title="Projection",
    question="What does projecting onto Ω_ρ change, where it binds and where it does not?",
    reading=(
        "Every method starts from the same heads on the same data. GD and decay know no ρ: they "
        "are run once and shown at the largest. The decay compared with ProjGD at some ρ is the "
        "one of a search (its table is below) whose final distance from φ_0 is closest. Ratios are "
        "paired by seed. The fraction on the boundary says whether the projection did anything."
    ),
    theorem=NAME,
    axis="rho",
    arms=("method", "decay"),
    measured=(MIN_MSE, FINAL_MSE, FINAL_GRADIENT, DISTANCE, FARTHEST, BOUNDARY),
    derive=derive,
    judge=judge,
    save=True,
)
