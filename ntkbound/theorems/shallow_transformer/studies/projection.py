"""Projected descent beside plain descent and descent with decay of the same final distance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ntkbound.runs.record import Record, group
from ntkbound.stats import config_of
from ntkbound.stats.inference import t_quantile
from ntkbound.studies.measured import statistic, three
from ntkbound.studies.study import (
    Evidence,
    Finding,
    Judgement,
    Line,
    Panel,
    Quantity,
    Row,
    Study,
    Table,
    Terms,
)
from ntkbound.theorems.shallow_transformer.studies.shared import (
    LOSS_GRADIENT,
    MIN_MSE,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    seeds,
)

Runs = Mapping[int, Row]  # seed → run

FINAL_MSE = Quantity("final MSE", "optimization", "training", "final_mse")
DISTANCE = Quantity("final ‖φ − φ_0‖", "displacement", "final", "distance")
FARTHEST = Quantity("largest √m‖θ_i − θ_i(0)‖", "displacement", "trajectory", "block_max")
BOUNDARY = Quantity("heads on ∂Ω_ρ", "displacement", "final", "boundary_fraction")
FINAL_GRADIENT = Quantity("final ‖∇R̂‖", "gradient", "final", "loss_gradient_norm")
COMPARED = (MIN_MSE, FINAL_MSE, LOSS_GRADIENT, FINAL_GRADIENT, DISTANCE)
SEARCHED = [round(0.001 * 2 ** (k / 2), 6) for k in range(20)]  # decays; one is chosen per ρ


def derive(record: Record) -> Terms:
    """How far the parameters went, and the last gradient.

    distance: ‖φ_τ − φ_0‖ over all parameters. block_max: the largest scaled displacement of any
    head's block at any step, to be compared with ρ. boundary_fraction: of the block that has most
    heads on the boundary, for projected descent alone.
    """
    initial, final = group(record.params, "initial"), group(record.params, "final")
    squared = sum(float(((final[b].astype(float) - initial[b]) ** 2).sum()) for b in initial)
    fractions = record.terms["gradient"]["boundary_fraction"].values()
    projected = record.data["config"]["method"] == "projgd"
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
            "final": {"loss_gradient_norm": float(record.trace["loss_gradient_norm"][-1])}
        },
    }


def judge(evidence: Evidence) -> Judgement:
    """Per radius: compare paired seeds with GD and the chosen decay, demand equality if free."""
    runs: dict[str, dict[float, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in evidence.rows:
        config = config_of(row)
        key = config["rho"] if config["method"] == "projgd" else config["decay"] or 0.0
        runs[config["method"]][key][config["seed"]] = row
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
        [f"{decay:g}", three(_median(rows, DISTANCE)), ", ".join(chosen[decay])]
        for decay, rows in sorted(searched.items())
    ]
    columns = ("decay", DISTANCE.label, "closest to ProjGD's at ρ")
    table = Table("Search for the decay of the same final distance", columns, lines)
    panels = [_against_distance(quantity, runs) for quantity in (FINAL_MSE, FINAL_GRADIENT)]
    return Judgement(findings, tables=[table], panels=panels)


def _against_distance(quantity: Quantity, runs: Mapping[str, Mapping[float, Runs]]) -> Panel:
    """Medians over seeds: a curve over ρ, one over the decays, and the point of plain descent."""
    lines = []
    for method, by_strength in sorted(runs.items()):
        ends = [by_strength[strength] for strength in sorted(by_strength)]
        x, y = ([_median(rows, q) for rows in ends] for q in (DISTANCE, quantity))
        lines.append(Line(method, x, y))
    return Panel(f"{quantity.label} against distance", DISTANCE.label, "", lines)


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
        pairs = [(_number(first[s], quantity), _number(second[s], quantity)) for s in shared]
        ratios = np.log([a / b for a, b in pairs])
        half = t_quantile(len(shared)) * ratios.std(ddof=1) / len(shared) ** 0.5
        low, middle, high = (three(float(np.exp(ratios.mean() + k * half))) for k in (-1, 0, 1))
        parts.append(f"{quantity.label} {middle} [{low}, {high}]")
    return [Finding(f"{title}, ratios", "not-defined", ", ".join(parts))]


def _closest(projected: Runs, searched: Mapping[float, Runs]) -> float:
    """The searched decay whose median final distance is closest to ProjGD's."""
    wanted = _median(projected, DISTANCE)
    return min(searched, key=lambda decay: abs(np.log(_median(searched[decay], DISTANCE) / wanted)))


def _median(rows: Runs, quantity: Quantity) -> float:
    return float(np.median([_number(row, quantity) for row in rows.values()]))


def _number(row: Row, quantity: Quantity) -> float:
    value = statistic(row, quantity)
    assert value is not None
    return value


def _methods(radii: Sequence[float], decays: Sequence[float], count: int) -> list[dict[str, Any]]:
    """ProjGD at every radius; the baselines, which know no ρ, once, with the largest."""
    apart = {"rho": [max(radii)], "seed": seeds(count)}
    return [
        {"rho": list(radii), "seed": seeds(count), "method": ["projgd"]},
        {**apart, "method": ["gd"]},
        {**apart, "method": ["decay"], "decay": list(decays)},
    ]


STUDY = Study(
    title="Projection",
    question="What does projecting onto Ω_ρ change, where it binds and where it does not?",
    reading=(
        "Every method starts from the same heads on the same data. GD and decay know no ρ: they "
        "are run once and shown at the largest. The decay compared with ProjGD at some ρ is the "
        "one of a search (its table is below) whose final distance from φ_0 is closest. Ratios are "
        "paired by seed. The fraction on the boundary says whether the projection did anything."
    ),
    sizes={
        "smoke": {
            "run": {**TINY, **NO_SEARCH, "m": 32, "tau": 200, "eta_scale": 4},
            "sweep": _methods([0.1, 4.0], [0.1, 1.0], 3),
        },
        "small": {
            "run": {
                **{"m": 64, "n": 128, "T": 8, "d": 4, "tau": 1000, "inputs": "ball"},
                **{"eta_scale": 4, "dtype": "float64"},
                **NO_SEARCH,
            },
            "sweep": _methods([0.1, 0.3, 1.0, 4.0], SEARCHED, 5),
        },
        "paper": {
            "run": {**PUBLISHED, "m": 64},
            "sweep": _methods([0.3, 1.0, 3.0], SEARCHED, 10),
        },
    },
    axis="rho",
    arms=("method", "decay"),
    measured=(MIN_MSE, FINAL_MSE, FINAL_GRADIENT, DISTANCE, FARTHEST, BOUNDARY),
    derive=derive,
    judge=judge,
    save=True,
)
