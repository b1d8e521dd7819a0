"""An order: one arm below another, paired over seeds.

A paired t-test on the differences; where all values are 0 or 1, McNemar's exact test on the pairs
that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from ntkbound.core.claim import Claim, Order
from ntkbound.stats.columns import Part
from ntkbound.stats.forms.fraction import interval
from ntkbound.stats.forms.spread import Spread, agreeing, spread_lacking
from ntkbound.stats.margins import CHECK_LEVEL, CONFIDENCE
from ntkbound.stats.samples import Pairs, Wanted, pairs
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Against, Said, Verdict, of_evidence
from ntkbound.stats.words import Advice, Wants, more_seeds, within


@dataclass(frozen=True, eq=False)
class Case:
    """An order with what one set of pairs says of it: ``gaps`` (R,), larger − smaller."""

    claim: Order
    pairs: Pairs
    gaps: Spread
    lacking: Advice | None

    @property
    def binary(self) -> bool:
        """Whether every value is 0 or 1."""
        return bool(np.isin([self.pairs.smaller, self.pairs.larger], (0, 1)).all())

    @property
    def discordant(self) -> tuple[int, int]:
        """How many pairs are as claimed, and how many the other way."""
        return int((self.gaps.values > 0).sum()), int((self.gaps.values < 0).sum())

    def p(self) -> float:
        """p-value of "smaller is not larger"."""
        if not self.binary:
            return self.gaps.below(0.0)
        agree, differ = self.discordant
        return float(bdtrc(differ - 1, agree + differ, 0.5)) if differ else 1.0


def evidence(part: Part, claims: Sequence[Claim], selection: Selection) -> list[list[Pairs]]:
    """The pairs of each claim, per cell of all other fields."""
    return [
        pairs(part, Wanted(claim.key, selection), claim.smaller, claim.larger)
        for claim in claims
        if isinstance(claim, Order)
    ]


def prepare(pairs: Sequence[tuple[Order, Pairs]], confidence: float = CONFIDENCE) -> list[Case]:
    cases = []
    for claim, one in pairs:
        gaps = Spread(one.differences, one.deterministic, confidence)
        cases.append(Case(claim, one, gaps, spread_lacking(gaps, one.undrawn)))
    return cases


def conclude(case: Case, p: float | None) -> Verdict:
    """*holds* if the interval of the differences lies above 0."""
    gaps = case.gaps
    if case.lacking is not None:
        return _finish(case, "inconclusive", case.lacking.told, None, case.lacking.wants)
    names = case.claim.said
    agree, differ = case.discordant
    counts = f"{agree} of {len(gaps.values)} pairs agree, {differ} the other way"
    if p is not None and p <= CHECK_LEVEL:
        return _finish(case, "violated", f"claimed {names}; {counts}", p)
    if case.binary:
        low = interval(agree, agree + differ, gaps.confidence)[0] if agree + differ else 0.0
        sure = low > 0.5
    else:
        sure = gaps.interval[0] > 0
    if sure:
        return _finish(case, "holds", f"{names}; {counts}", p)
    told = f"claimed {names}; {counts}"
    if case.binary or gaps.alike:
        told = f"{told}; needs more pairs that differ"
        return _finish(case, "inconclusive", told, p, "" if gaps.exact else "seeds")
    need = more_seeds(gaps.half, len(gaps.values), abs(gaps.mean), gaps.confidence)
    return _finish(case, "inconclusive", f"{told}; {need.told}", p, need.wants)


def _finish(case: Case, verdict: str, reason: str, p: float | None, wants: Wants = "") -> Verdict:
    gaps = case.gaps
    found = (gaps.mean, *gaps.interval)
    told = within("difference", *found) + ("" if case.lacking else agreeing(gaps))
    against = Against(0.0, None, p)
    said = Said(verdict, reason, wants)
    return of_evidence(case.pairs, case.claim, found, told, said, against)
