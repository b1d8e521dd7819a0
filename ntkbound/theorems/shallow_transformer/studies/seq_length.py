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

PUBLISHED_OMEGA = 1.5  # the recurrent weights of the published comparison


def judge(evidence: Evidence) -> Judgement:
    """How the recurrence's gradients grow with T, one ω at a time.

    The published statement, exponential growth, was made at ω = 1.5 and is judged there; at the
    other ω the form of growth is reported.
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
    name = f"IndRNN, ω = {omega:g}: largest ‖∇f‖"
    if omega != PUBLISHED_OMEGA:
        return Finding(f"{name} against T: {form.word}", "not-defined", form.reason)
    verdict = "violated" if form.not_exponential else "inconclusive"
    verdict = "holds" if form.word == "exponential" else verdict
    return Finding(f"{name} grows exponentially in T", verdict, form.reason)


STUDY = Study(
    title="Sequence length",
    question="What grows with the number of tokens T, for the Transformer and for a recurrence?",
    reading=(
        "No bound of the Transformer contains T, so each of its terms is claimed not to grow. The "
        "recurrent network (`model indrnn`) learns the labels of the same teacher; its bound is "
        "exponential in T where |w|σ1 > 1. Whether its gradients really grow exponentially is "
        "decided by AICc between an exponential, a power and a logarithm over the same seeds. The "
        "worst case of the recurrence is searched only briefly."
    ),
    theorem=NAME,
    axis="T",
    arms=("model", "omega"),
    measured=(FEATURE_NORM, LOSS_GRADIENT, MIN_MSE, APPROXIMATION, WORST, TRAJECTORY),
    judge=judge,
)
