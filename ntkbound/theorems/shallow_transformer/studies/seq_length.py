"""Every term against the number of tokens T: the Transformer, and the recurrence beside it."""

from __future__ import annotations

from collections import defaultdict

from ntkbound.core.record import Record
from ntkbound.studies.growth import Growth, growth, series_of
from ntkbound.studies.study import Evidence, Finding, Judgement, Study
from ntkbound.theorems.shallow_transformer.statement import (
    APPROXIMATION,
    FEATURE_NORM,
    LOSS_GRADIENT,
    MIN_MSE,
    NAME,
    TRAJECTORY,
    WORST,
)

ELSEWHERE = (
    "the published statement, exponential growth, is about AR(L): tokens here are independent"
)


def judge(evidence: Evidence) -> Judgement:
    """How the recurrence's gradients grow with T, one ω at a time: observed, never judged.

    What is published of the recurrence is about AR(L) sequences, the subject of the study ``lag``.
    """
    by_omega: dict[float, list[Record]] = defaultdict(list)
    for record in evidence.complete:
        if record.config["model"] == "indrnn":
            by_omega[record.config["omega"]].append(record)
    return Judgement(
        [
            _growing(omega, growth(series))
            for omega, records in sorted(by_omega.items())
            for _, series in series_of(records, "T", [FEATURE_NORM])
        ]
    )


def _growing(omega: float, form: Growth) -> Finding:
    statement = f"IndRNN, ω = {omega:g}: growth of the largest ‖∇f‖ with T: {form.word}"
    return Finding(statement, "not-defined", f"{form.reason}; {ELSEWHERE}")


STUDY = Study(
    title="Sequence length",
    question="What grows with the number of tokens T, for the Transformer and for a recurrence?",
    reading=(
        "No bound of the Transformer contains T, so each of its terms is claimed not to grow. The "
        "recurrent network (`model indrnn`) learns the labels of the same teacher; its bound is "
        "exponential in T where |w|σ1 > 1. How its gradients really grow is told by AICc between "
        "an exponential, a power and a logarithm over the same seeds, and is an observation: the "
        "published statement, exponential growth, is about AR(L) sequences, while tokens here are "
        "independent. The worst case of the recurrence is searched only briefly."
    ),
    theorem=NAME,
    axis="T",
    arms=("model", "omega"),
    measured=(FEATURE_NORM, LOSS_GRADIENT, MIN_MSE, APPROXIMATION, WORST, TRAJECTORY),
    judge=judge,
)
