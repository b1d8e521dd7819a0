"""Gradients and training against the size B_x of the tokens, which the theorem takes as 1."""

from __future__ import annotations

import math

from ntkbound.core.outcome import Terms
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.studies.growth import unclaimed
from ntkbound.studies.measured import Cell, cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Study
from ntkbound.theorems.shallow_transformer.statement import (
    FEATURE_NORM,
    LOSS_GRADIENT,
    MIN_MSE,
    NAME,
    TRACED_MSE,
    TRAJECTORY,
)

ARMS = ("method",)
LEFT = Quantity("optimization_left", "training", "final", "R̂(φ_τ)/R̂(φ_0)")


def derive(record: Record) -> Terms:
    """The final loss as a share of the initial one: 1 is no training at all."""
    final = float(record.terms["optimization"]["training"]["final_mse"])
    return {
        LEFT.term: {
            LEFT.probe: {LEFT.statistic: final / float(record.trace[TRACED_MSE.key.column][0])}
        }
    }


def judge(evidence: Evidence) -> Judgement:
    """At which B_x training no longer lowers the loss, and at which the bound says nothing; the
    slope of ‖∇f‖ in B_x, of which nothing is claimed."""
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
    silent = [cell for cell in covered if not any(map(_has_bound, cell.records))]
    statement = f"projgd: the training bound is void (ηL² ≥ 1) at {_places(silent)}"
    told = f"{len(silent)} of {len(covered)} values of B_x"
    findings.append(Finding(statement, "not-defined", told))
    return Judgement(findings, unclaimed(evidence.complete, "input_norm", FEATURE_NORM))


def _broken(cell: Cell) -> bool:
    return cell.diverged > 0 or bool((cell.values(LEFT) > 1).any())


def _has_bound(record: Record) -> bool:
    return record.bounds["training_rmse"] is not None


def _places(found: list[Cell]) -> str:
    return f"B_x = {', '.join(f'{cell.x:g}' for cell in found)}" if found else "no B_x measured"


STUDY = Study(
    title="Input norm",
    question="How do gradients and training depend on the size B_x of the tokens?",
    reading=(
        "Tokens are drawn in a ball of radius B_x, and the query is the last token. The bounds "
        "are drawn with their own scaling in B_x: L² holds a constant, B_x² and B_x⁴B_q² with "
        "B_q = B_x, so ‖∇f‖ may grow at most like B_x³. Training breaks where a run diverges or "
        "ends above the loss that it started from."
    ),
    theorem=NAME,
    axis="input_norm",
    arms=ARMS,
    measured=(FEATURE_NORM, LOSS_GRADIENT, MIN_MSE, LEFT, TRAJECTORY),
    derive=derive,
    judge=judge,
)
