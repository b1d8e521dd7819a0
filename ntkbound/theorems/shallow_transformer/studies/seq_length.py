"""Every term against the number of tokens T: the Transformer, and the recurrence beside it."""

from __future__ import annotations

from ntkbound.core.claim import Claim
from ntkbound.stats import observe
from ntkbound.studies.growth import growth
from ntkbound.studies.study import Evidence, Finding, Judgement, Quantity, Study
from ntkbound.theorems.shallow_transformer.studies.shared import (
    APPROXIMATION,
    COF,
    COF_WORST,
    FEATURE_NORM,
    LOSS_GRADIENT,
    MIN_MSE,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    TRAJECTORY,
    WORST,
    seeds,
)

OMEGAS = [0.9, 1.0, 1.1, 1.5]
PUBLISHED_OMEGA = 1.5  # the recurrent weights of the published comparison


def judge(evidence: Evidence) -> Judgement:
    """How the recurrence's gradients grow with T, one ω at a time.

    The published statement, exponential growth, was made at ω = 1.5 and is judged there; at the
    other ω the form of growth is reported.
    """
    rows = [row for row in evidence.rows if row["config"]["model"] == "indrnn"]
    findings = []
    for series in observe(rows, axes=("T",)):
        if (series.term, series.statistic) != (FEATURE_NORM.term, FEATURE_NORM.statistic):
            continue
        omega = float(dict(series.arm)["omega"])
        form = growth(series)
        name = f"IndRNN, ω = {omega:g}: largest ‖∇f‖"
        if omega != PUBLISHED_OMEGA:
            findings.append(Finding(f"{name} against T: {form.word}", "not-defined", form.reason))
            continue
        verdict = "violated" if form.not_exponential else "inconclusive"
        verdict = "holds" if form.word == "exponential" else verdict
        findings.append(Finding(f"{name} grows exponentially in T", verdict, form.reason))
    return Judgement(findings)


def _no_growth(quantity: Quantity) -> Claim:
    return Claim(
        term=quantity.term,
        probe=quantity.probe,
        statistic=quantity.statistic,
        axis="T",
        kind="upper",
        exponent=0.0,
        model="transformer",
        label=quantity.label,
    )


# No claim is about the worst case of the recurrence: its search is kept short.
SHORT_SEARCH = {name: [value] for name, value in NO_SEARCH.items()}

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
    sizes={
        "smoke": {
            "run": {**TINY, "m": 16, "tau": 40},
            "sweep": [
                {"T": {"from": 4, "to": 32, "factor": 2}, "seed": seeds(3)},
                {"T": {"from": 4, "to": 32, "factor": 2}, "seed": seeds(3), "model": ["indrnn"],
                 "omega": [0.9, 1.5], **SHORT_SEARCH},
            ],
        },
        "small": {
            "run": {"m": 32, "n": 96, "d": 8, "tau": 200, "records": 12, "search_samples": 4,
                    "search_restarts": 2, "search_steps": 15},
            "sweep": [
                {"T": {"from": 8, "to": 128, "factor": 2}, "seed": seeds(5)},
                {"T": {"from": 8, "to": 128, "factor": 2}, "seed": seeds(5), "model": ["indrnn"],
                 "omega": OMEGAS, **SHORT_SEARCH},
            ],
        },
        "paper": {
            "run": {**PUBLISHED, "m": 64},
            "sweep": [
                {"T": [16, 32, 64, 128], "seed": seeds(10)},
                {"T": [16, 32, 64, 128], "seed": seeds(10), "model": ["indrnn"], "omega": OMEGAS,
                 **SHORT_SEARCH},
            ],
        },
    },
    axis="T",
    arms=("model", "omega"),
    measured=(FEATURE_NORM, LOSS_GRADIENT, MIN_MSE, APPROXIMATION, WORST, TRAJECTORY),
    claims=[
        _no_growth(quantity)
        for quantity in (FEATURE_NORM, LOSS_GRADIENT, MIN_MSE, APPROXIMATION, WORST, TRAJECTORY,
                         COF, COF_WORST)
    ],
    judge=judge,
)  # fmt: skip
