"""Gradients and training against the size B_x of the tokens, which the theorem takes as 1."""

from __future__ import annotations

from ntkbound.claims import Claim
from ntkbound.runs.record import Record
from ntkbound.studies.measured import Cell, cells, three
from ntkbound.studies.shared import (
    FEATURE_NORM,
    LOSS_GRADIENT,
    MIN_MSE,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    TRAJECTORY,
    seeds,
)
from ntkbound.studies.study import Evidence, Finding, Judgement, Quantity, Study, Terms

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
    found = cells(evidence, "input_norm", ())
    broken = [cell for cell in found if _broken(cell)]
    silent = [cell for cell in found if cell.rows and not any(map(_has_bound, cell.rows))]
    parts = [
        f"B_x = {cell.x:g}: {cell.diverged} diverged, final loss "
        f"{three(float(max(cell.values(LEFT), default=float('nan'))))} of the initial one at most"
        for cell in found
    ]
    where = _places(broken) or "nowhere measured"
    said = _places(silent) or "nowhere measured"
    return Judgement(
        [
            Finding(f"training breaks (a run diverges or ends above its first loss): {where}",
                    "not-defined", "; ".join(parts)),
            Finding(f"the training bound is void (ηL² ≥ 1 or undefined): {said}", "not-defined",
                    f"{len(silent)} of {len(found)} values of B_x"),
        ]
    )  # fmt: skip


def _broken(cell: Cell) -> bool:
    return cell.diverged > 0 or bool((cell.values(LEFT) > 1).any())


def _has_bound(row: object) -> bool:
    assert isinstance(row, dict)
    return row["bounds"]["training_rmse"] is not None


def _places(found: list[Cell]) -> str:
    return ", ".join(f"B_x = {cell.x:g}" for cell in found)


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
            "sweep": {"input_norm": [0.1, 0.3, 1.0, 3.0, 10.0], "seed": seeds(3)},
        },
        "small": {
            "run": {"m": 64, "n": 256, "T": 16, "d": 8, "tau": 1000, **NO_SEARCH},
            "sweep": {"input_norm": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0], "seed": seeds(5)},
        },
        "paper": {
            "run": {**PUBLISHED, "m": 64},
            "sweep": {"input_norm": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0], "seed": seeds(10)},
        },
    },
    axis="input_norm",
    measured=(FEATURE_NORM, LOSS_GRADIENT, MIN_MSE, LEFT, TRAJECTORY),
    claims=(GRADIENT,),
    derive=derive,
    judge=judge,
)
