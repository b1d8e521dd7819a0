"""The proof of arXiv 2601.16514 put to the test link by link: what holds, and what each link loses.

``replay`` trains a run again; ``links`` asserts every equality and inequality of the chain at every
audited step; ``decompose`` splits bound/measured into one factor per link (docs/audit.md).
"""

from ntkbound.theorems.audit.constants import (
    Constant,
    Constants,
    TargetConstants,
    constants,
    final_bound,
    target_constants,
)
from ntkbound.theorems.audit.decomposition import Share, decompose
from ntkbound.theorems.audit.links import Link, links, links_without_target
from ntkbound.theorems.audit.replay import LEVELS, Audit, replay
from ntkbound.theorems.audit.run import Run, weights

__all__ = [
    "LEVELS",
    "Audit",
    "Constant",
    "Constants",
    "Link",
    "Run",
    "Share",
    "TargetConstants",
    "constants",
    "decompose",
    "final_bound",
    "links",
    "links_without_target",
    "replay",
    "target_constants",
    "weights",
]
