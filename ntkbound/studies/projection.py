"""Projected descent beside plain descent and descent with decay of the same final distance."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ntkbound.runs.record import Record, group
from ntkbound.stats import config_of
from ntkbound.stats.inference import t_quantile
from ntkbound.studies.measured import statistic, three
from ntkbound.studies.shared import LOSS_GRADIENT, MIN_MSE, NO_SEARCH, PUBLISHED, TINY, seeds
from ntkbound.studies.study import Evidence, Finding, Judgement, Quantity, Row, Study, Table, Terms

FINAL_MSE = Quantity("final MSE", "optimization", "training", "final_mse")
DISTANCE = Quantity("final ‖φ − φ_0‖", "displacement", "final", "distance")
BOUNDARY = Quantity("heads on or beyond ∂Ω_ρ", "displacement", "final", "boundary_fraction")
SEARCHED = [0.003 * 2**k for k in range(9)]  # the decays among which one is chosen

METHODS = ({"method": ["projgd", "gd"]}, {"method": ["decay"], "decay": SEARCHED})


def derive(record: Record) -> Terms:
    """‖φ_τ − φ_0‖ over all parameters, and the largest fraction of heads on a block's boundary."""
    initial, final = group(record.params, "initial"), group(record.params, "final")
    squared = sum(float(((final[b].astype(float) - initial[b]) ** 2).sum()) for b in initial)
    fraction = max(record.terms["gradient"]["boundary_fraction"].values())
    found = {"distance": squared**0.5, "boundary_fraction": float(fraction)}
    return {"displacement": {"final": found}}


def judge(evidence: Evidence) -> Judgement:
    """Per radius: choose the decay, compare paired seeds, demand equality where nothing binds."""
    runs: dict[float, dict[str, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in evidence.rows:
        config = config_of(row)
        name = "decay {:g}".format(config["decay"]) if config["decay"] else config["method"]
        runs[config["rho"]][name][config["seed"]] = row
    findings: list[Finding] = []
    searched: list[list[str]] = []
    for rho, methods in sorted(runs.items()):
        if not {"projgd", "gd"} <= methods.keys():
            continue
        findings.append(_same_where_free(rho, methods["projgd"], methods["gd"]))
        findings += _compared(f"ρ = {rho:g}: ProjGD over GD", methods["projgd"], methods["gd"])
        chosen, lines = _tuned(rho, methods)
        searched += lines
        if chosen:
            title = f"ρ = {rho:g}: ProjGD over {chosen} (closest final distance)"
            findings += _compared(title, methods["projgd"], methods[chosen])
    columns = ("ρ", "decay", DISTANCE.label, "that of ProjGD", "chosen")
    table = Table("Search for the decay of the same final distance", columns, searched)
    return Judgement(findings, tables=[table] if searched else [])


def _same_where_free(rho: float, projected: dict[int, Row], plain: dict[int, Row]) -> Finding:
    """A projection that never moves anything leaves plain descent unchanged, bit for bit."""
    statement = f"ρ = {rho:g}: ProjGD is GD in runs whose heads stay inside Ω_ρ"
    free = [s for s, row in plain.items() if s in projected and not _leaves(row)]
    if not free:
        told = "plain descent leaves Ω_ρ in every run: the projection binds"
        return Finding(statement, "condition-not-met", told)
    same = sum(_number(projected[s], FINAL_MSE) == _number(plain[s], FINAL_MSE) for s in free)
    told = f"equal final loss in {same} of {len(free)} runs whose plain descent stays inside Ω_ρ"
    return Finding(statement, "holds" if same == len(free) else "violated", told)


def _leaves(row: Row) -> bool:
    """Whether the recorded trajectory leaves Ω_ρ, as the record's own checks say."""
    return any(
        check["probe"] == "trajectory" and check["verdict"] == "condition-not-met"
        for check in row["checks"]
    )


def _compared(title: str, first: dict[int, Row], second: dict[int, Row]) -> list[Finding]:
    """Paired ratios of losses and gradient norms: geometric mean, Student's t over seeds."""
    shared = sorted(first.keys() & second.keys())
    if len(shared) < 2:
        return []
    parts = []
    for quantity in (MIN_MSE, FINAL_MSE, LOSS_GRADIENT, DISTANCE):
        ratios = np.log(
            [_number(first[s], quantity) / _number(second[s], quantity) for s in shared]
        )
        half = t_quantile(len(shared)) * ratios.std(ddof=1) / len(shared) ** 0.5
        low, middle, high = (three(float(np.exp(ratios.mean() + k * half))) for k in (-1, 0, 1))
        parts.append(f"{quantity.label} {middle} [{low}, {high}]")
    return [Finding(f"{title}, ratios", "not-defined", ", ".join(parts))]


def _tuned(rho: float, methods: dict[str, dict[int, Row]]) -> tuple[str, list[list[str]]]:
    """The searched decay whose median final distance is closest to ProjGD's, and the search."""
    wanted = _distance(methods["projgd"])
    found = {name: _distance(rows) for name, rows in methods.items() if name.startswith("decay")}
    if not found:
        return "", []
    chosen = min(found, key=lambda name: abs(np.log(found[name] / wanted)))
    lines = [
        [f"{rho:g}", name.removeprefix("decay "), three(value), three(wanted),
         "chosen" if name == chosen else ""]
        for name, value in found.items()
    ]  # fmt: skip
    return chosen, lines


def _distance(rows: dict[int, Row]) -> float:
    return float(np.median([_number(row, DISTANCE) for row in rows.values()]))


def _number(row: Row, quantity: Quantity) -> float:
    value = statistic(row, quantity)
    assert value is not None
    return value


STUDY = Study(
    title="Projection",
    question="What does projecting onto Ω_ρ change, where it binds and where it does not?",
    reading=(
        "Every method starts from the same heads on the same data. The decay is the one of a small "
        "search (its table is below) whose final distance from φ_0 is closest to ProjGD's at the "
        "same ρ; GD and decay do not know ρ and repeat along the axis. Ratios are paired by seed. "
        "The fraction on the boundary says whether the projection did anything."
    ),
    sizes={
        "smoke": {
            "run": {**TINY, **NO_SEARCH, "m": 32, "tau": 200, "eta_scale": 4},
            "sweep": [
                {"rho": [0.1, 4.0], "seed": seeds(3), "method": ["projgd", "gd"]},
                {"rho": [0.1, 4.0], "seed": seeds(3), "method": ["decay"], "decay": [0.1, 1.0]},
            ],
        },
        "small": {
            "run": {"m": 64, "n": 128, "T": 8, "d": 4, "tau": 1000, "inputs": "ball",
                    "eta_scale": 4, "dtype": "float64", **NO_SEARCH},
            "sweep": [
                {"rho": [0.1, 0.3, 1.0, 4.0], "seed": seeds(5), **METHODS[0]},
                {"rho": [0.1, 0.3, 1.0, 4.0], "seed": seeds(5), **METHODS[1]},
            ],
        },
        "paper": {
            "run": {**PUBLISHED, "m": 64},
            "sweep": [
                {"rho": [0.3, 1.0, 3.0], "seed": seeds(10), **METHODS[0]},
                {"rho": [0.3, 1.0, 3.0], "seed": seeds(10), **METHODS[1]},
            ],
        },
    },
    axis="rho",
    arms=("method", "decay"),
    measured=(MIN_MSE, FINAL_MSE, LOSS_GRADIENT, DISTANCE, BOUNDARY),
    derive=derive,
    judge=judge,
    save=True,
)  # fmt: skip
