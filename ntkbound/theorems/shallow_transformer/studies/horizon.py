"""The training error against the number of steps τ, with η = 1/√τ."""

from ntkbound.studies.study import Study
from ntkbound.theorems.shallow_transformer.bounds import CLAIMS
from ntkbound.theorems.shallow_transformer.studies.shared import (
    LOSS_GRADIENT,
    MIN_MSE,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    TRAJECTORY,
    seeds,
)

STUDY = Study(
    title="Horizon",
    question="Does the smallest training error fall like τ^{−1/2} with the number of steps τ?",
    reading=(
        "Every point is a training run of its own with step size η = eta_scale/√τ. The claim "
        "declares the form a·τ^b + c, because a finite width leaves a floor. The theorem bounds "
        "the error from above: a steeper slope does not contradict it."
    ),
    sizes={
        "smoke": {
            "run": {**TINY, **NO_SEARCH, "m": 32},
            "sweep": {"tau": {"from": 50, "to": 800, "factor": 2}, "seed": seeds(4)},
        },
        "small": {
            "run": {"m": 256, "n": 256, "T": 8, "d": 4, "inputs": "ball", **NO_SEARCH},
            "sweep": {"tau": {"from": 200, "to": 3200, "factor": 2}, "seed": seeds(5)},
        },
        "paper": {
            "run": {**PUBLISHED, "m": 256},
            "sweep": {"tau": {"from": 500, "to": 16000, "factor": 2}, "seed": seeds(10)},
        },
    },
    axis="tau",
    measured=(MIN_MSE, LOSS_GRADIENT, TRAJECTORY),
    claims=[claim for claim in CLAIMS if claim.axis == "tau"],
)
