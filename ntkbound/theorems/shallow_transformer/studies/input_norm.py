"""Gradients and training against the size B_x of the tokens, which the theorem takes as 1."""

from __future__ import annotations

import math

from ntkbound.core.claim import Claim
from ntkbound.runs.record import Record
from ntkbound.studies.measured import Cell, cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Quantity, Row, Study, Terms
from ntkbound.theorems.shallow_transformer.studies.shared import (
    FEATURE_NORM,
    LOSS_GRADIENT,
    MIN_MSE,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    TRAJECTORY,
    seeds,
)

ARMS = ("method",)
LEFT = Quantity("final MSE / initial", "optimization_left", "training", "final")
GRADIENT = Claim(
    term=FEATURE_NORM.term,
    probe=FEATURE_NORM.probe,
    statistic=FEATURE_NORM.statistic,
    axis="input_norm",
    kind="none",
    label="growth of the largest ‖∇f‖ in B_x",
)


def derive(record: Record) -> Terms:
    """The final loss as a share of the initial one: 1 is no training at all."""
    final = float(record.terms["optimization"]["training"]["final_mse"])
    return {LEFT.term: {LEFT.probe: {LEFT.statistic: final / float(record.trace["mse"][0])}}}


def judge(evidence: Evidence) -> Judgement:
    """At which B_x training no longer lowers the loss, and at which the bound says nothing."""
    findings = []
    found = cells(evidence, "input_norm", ARMS)
    for method in dict.fromkeys(cell.arm for cell in found):
        own = [cell for cell in found if cell.arm == method]
        where = _places([cell for cell in own if _broken(cell)])
        parts = [
            f"{cell.x:g}: {three(float(max(cell.values(LEFT), default=math.nan)))}"
            + (f" and {cell.diverged} diverged" if cell.diverged else "")
            for cell in own
        ]
        told = f"largest final over initial loss at B_x = {', '.join(parts)}"
        statement = f"{method}: a run diverges or ends above its first loss at {where}"
        findings.append(Finding(statement, "not-defined", told))
    covered = [cell for cell in found if cell.arm == "projgd"]
    silent = [cell for cell in covered if not any(map(_has_bound, cell.rows))]
    statement = f"projgd: the training bound is void (ηL² ≥ 1) at {_places(silent)}"
    told = f"{len(silent)} of {len(covered)} values of B_x"
    return Judgement([*findings, Finding(statement, "not-defined", told)])


def _broken(cell: Cell) -> bool:
    return cell.diverged > 0 or bool((cell.values(LEFT) > 1).any())


def _has_bound(row: Row) -> bool:
    return row["bounds"]["training_rmse"] is not None


def _places(found: list[Cell]) -> str:
    return f"B_x = {', '.join(f'{cell.x:g}' for cell in found)}" if found else "no B_x measured"


METHODS = {"method": ["projgd", "gd"]}

STUDY = Study(
    title="Input norm",
    question="How do gradients and training depend on the size B_x of the tokens?",
    reading=(
        "Tokens are drawn in a ball of radius B_x, and the query is the last token. The bounds "
        "are drawn with their own scaling in B_x: L² holds a constant, B_x² and B_x⁴B_q² with "
        "B_q = B_x, so ‖∇f‖ may grow at most like B_x³. Training breaks where a run diverges or "
        "ends above the loss that it started from."
    ),
    sizes={
        "smoke": {
            "run": {**TINY, **NO_SEARCH, "m": 32},
            "sweep": {"input_norm": [0.1, 1.0, 10.0], "seed": seeds(3), **METHODS},
        },
        "small": {
            "run": {"m": 64, "n": 128, "T": 8, "d": 4, "tau": 1000, **NO_SEARCH},
            "sweep": {
                "input_norm": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
                "seed": seeds(5),
                **METHODS,
            },
        },
        "paper": {
            "run": {**PUBLISHED, "m": 64},
            "sweep": {
                "input_norm": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
                "seed": seeds(10),
                **METHODS,
            },
        },
    },
    axis="input_norm",
    arms=ARMS,
    measured=(FEATURE_NORM, LOSS_GRADIENT, MIN_MSE, LEFT, TRAJECTORY),
    claims=(GRADIENT,),
    derive=derive,
    judge=judge,
)
