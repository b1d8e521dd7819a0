"""Every error term against the width m."""

from ntkbound.studies.study import Study
from ntkbound.theorems.shallow_transformer.bounds import CLAIMS
from ntkbound.theorems.shallow_transformer.studies.shared import (
    ALIGNED,
    APPROXIMATION,
    COF,
    COF_WORST,
    MIN_MSE,
    PUBLISHED,
    TINY,
    TRAJECTORY,
    WORST,
    seeds,
)

STUDY = Study(
    title="Width",
    question="Do the error terms of the proof shrink with the width m at the claimed rates?",
    reading=(
        "Each slope is fitted over all widths, one per seed. The probes say where in the "
        "projection ball the linearization error was measured: a claim is about the whole ball, so "
        "only `worst` can show that its rate is needed; `trajectory` shows what training meets. "
        "The training error has no claimed rate in m: it stops at what the steps allow."
    ),
    sizes={
        "smoke": {
            "run": TINY,
            "sweep": {"m": {"from": 16, "to": 128, "factor": 2}, "seed": seeds(4)},
        },
        "small": {
            "run": {"n": 256, "T": 8, "d": 4, "tau": 1000, "inputs": "ball"},
            "sweep": {"m": {"from": 16, "to": 256, "factor": 2}, "seed": seeds(5)},
        },
        "paper": {
            "run": PUBLISHED,
            "sweep": {"m": {"from": 8, "to": 256, "factor": 2}, "seed": seeds(10)},
        },
    },
    axis="m",
    measured=(MIN_MSE, APPROXIMATION, WORST, ALIGNED, TRAJECTORY, COF, COF_WORST),
    claims=[claim for claim in CLAIMS if claim.axis == "m"],
)
