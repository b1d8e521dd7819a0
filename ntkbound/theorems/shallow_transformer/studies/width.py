"""Every error term against the width m."""

from __future__ import annotations

from ntkbound.studies.growth import unclaimed
from ntkbound.studies.study import Evidence, Judgement, Study
from ntkbound.theorems.shallow_transformer.statement import (
    ALIGNED,
    APPROXIMATION,
    COF,
    COF_WORST,
    MIN_MSE,
    NAME,
    TRAJECTORY,
    WORST,
)


def judge(evidence: Evidence) -> Judgement:
    """The slope of the training error, of which nothing is claimed in m."""
    return Judgement(fits=unclaimed(evidence.complete, "m", MIN_MSE))


STUDY = Study(
    title="Width",
    question="Do the error terms of the proof shrink with the width m at the claimed rates?",
    reading=(
        "Each slope is fitted over all widths, one per seed. The probes say where in the "
        "projection ball the linearization error was measured: a claim is about the whole ball, so "
        "only `worst` can show that its rate is needed; `trajectory` shows what training meets. "
        "The training error has no claimed rate in m: it stops at what the steps allow."
    ),
    theorem=NAME,
    axis="m",
    measured=(MIN_MSE, APPROXIMATION, WORST, ALIGNED, TRAJECTORY, COF, COF_WORST),
    judge=judge,
)
