"""What do many records say? Slopes with intervals, and verdicts on what is claimed of them.

Torch-free, and knows nothing of disk, of screen or of any theorem: what a theorem says of its
fields and numbers is looked up where it declares it (`stats.declared`).
"""

from ntkbound.stats.alternatives import compare_floor, compare_growth
from ntkbound.stats.bounds import BoundVerdict, judge_bounds
from ntkbound.stats.changes import Changes, compare_records, compare_tables
from ntkbound.stats.check import CheckResult, check
from ntkbound.stats.claims import claims_of, judge_claims
from ntkbound.stats.columns import UNSET, Table, arm_text, config_of, read_table, tabulate
from ntkbound.stats.companions import Companions, companions
from ntkbound.stats.floor import FloorFit, fit_floors
from ntkbound.stats.inverse import Crossing, crossing
from ntkbound.stats.noise import NoiseFloor
from ntkbound.stats.observations import Series, observe
from ntkbound.stats.powerlaw import Fit, PowerLawFit, fit_power_laws
from ntkbound.stats.selection import selected
from ntkbound.stats.verdicts import Verdict, whole
from ntkbound.stats.words import number, two

__all__ = [
    "UNSET",
    "BoundVerdict",
    "Changes",
    "CheckResult",
    "Companions",
    "Crossing",
    "Fit",
    "FloorFit",
    "NoiseFloor",
    "PowerLawFit",
    "Series",
    "Table",
    "Verdict",
    "arm_text",
    "check",
    "claims_of",
    "companions",
    "compare_floor",
    "compare_growth",
    "compare_records",
    "compare_tables",
    "config_of",
    "crossing",
    "fit_floors",
    "fit_power_laws",
    "judge_bounds",
    "judge_claims",
    "number",
    "observe",
    "read_table",
    "selected",
    "tabulate",
    "two",
    "whole",
]
