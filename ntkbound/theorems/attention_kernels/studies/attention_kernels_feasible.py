"""Random labels: success beside feasibility, for W_Q alone and with W_K."""

from ntkbound.core.record import Record
from ntkbound.studies.study import Evidence, Judgement, Study
from ntkbound.theorems.attention_kernels.curves import successes
from ntkbound.theorems.attention_kernels.statement import (
    ATTAINABLE,
    EXCESS,
    FEASIBLE,
    REACHED,
    SUCCESS,
    TRAP,
)


def _arm(record: Record) -> str:
    return f"{record.config['kernel']}, {record.config['train']}, H {record.config['H']}"


def figures(evidence: Evidence) -> Judgement:
    """Success against sv, by what is trained, the share of feasible labels dashed."""
    trained = sorted({str(one.config["train"]) for one in evidence.complete})
    return Judgement(panels=[
        successes([one for one in evidence.complete if one.config["train"] == train], "sv",
                  f"{train} trained", _arm)
        for train in trained
    ])  # fmt: skip


STUDY = Study(
    title="Feasible labels",
    question="Is a failure on random labels a trap, or are the labels out of reach?",
    reading="Shares of 1: success, labels feasible, floor reached, stationary above the floor. "
    "sv scales the values and with them what can be attained.",
    theorem="attention-kernels",
    axis="sv",
    arms=_arm,
    measured=(SUCCESS, FEASIBLE, REACHED, TRAP, ATTAINABLE, EXCESS),
    judge=figures,
)
