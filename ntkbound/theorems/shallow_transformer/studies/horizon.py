"""The training error against the number of steps τ, with η = 1/√τ."""

from ntkbound.studies.study import Study
from ntkbound.theorems.shallow_transformer.statement import (
    LOSS_GRADIENT,
    MIN_MSE,
    NAME,
    TRAJECTORY,
)

STUDY = Study(
    title="Horizon",
    question="Does the smallest training error fall like τ^{−1/2} with the number of steps τ?",
    reading=(
        "Every point is a training run of its own with step size η = eta_scale/√τ. The claim "
        "declares the form a·τ^b + c, because a finite width leaves a floor. The theorem bounds "
        "the error from above: a steeper slope does not contradict it."
    ),
    theorem=NAME,
    axis="tau",
    measured=(MIN_MSE, LOSS_GRADIENT, TRAJECTORY),
)
