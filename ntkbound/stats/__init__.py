"""What do many records say? Slopes with intervals, and verdicts on claimed rates.

Torch-free, and knows nothing of disk or screen: records come in as mappings.
"""

from ntkbound.stats.alternatives import compare_floor, compare_growth
from ntkbound.stats.bounds import BoundVerdict, judge_bounds
from ntkbound.stats.check import CheckResult, check
from ntkbound.stats.columns import arm_text, config_of
from ntkbound.stats.companions import Companions, companions
from ntkbound.stats.floor import FloorFit, fit_floors
from ntkbound.stats.inverse import Crossing, crossing
from ntkbound.stats.noise import NoiseFloor
from ntkbound.stats.observations import DEFAULT_AXES, Series, observe
from ntkbound.stats.powerlaw import Fit, PowerLawFit, fit_power_laws
from ntkbound.stats.verdicts import Verdict
from ntkbound.theorems.shallow_transformer.membership.verdict import (
    MembershipVerdict,
    judge_membership,
)

__all__ = [
    "DEFAULT_AXES",
    "BoundVerdict",
    "CheckResult",
    "Companions",
    "Crossing",
    "Fit",
    "FloorFit",
    "MembershipVerdict",
    "NoiseFloor",
    "PowerLawFit",
    "Series",
    "Verdict",
    "arm_text",
    "check",
    "companions",
    "compare_floor",
    "compare_growth",
    "config_of",
    "crossing",
    "fit_floors",
    "fit_power_laws",
    "judge_bounds",
    "judge_membership",
    "observe",
]
