"""A level: the mean over seeds against a number, or against another number of the same runs.

The interval is Student's t over seeds. Where all runs agree to the bit there is no spread to judge
by: what they say is reported for what it is, n equal runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntkbound.core.claim import Claim, Level, Number
from ntkbound.stats.columns import Array, Part
from ntkbound.stats.forms.spread import Spread, agreeing, spread_lacking
from ntkbound.stats.margins import CHECK_LEVEL, CONFIDENCE
from ntkbound.stats.samples import Sample, Wanted, samples
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Against, Said, Verdict, of_evidence
from ntkbound.stats.words import Advice, Wants, more_seeds, three, within


@dataclass(frozen=True, eq=False)
class Case:
    """A level with what one cell says of it: ``gaps`` (R,), value − level of each run."""

    claim: Level
    sample: Sample
    gaps: Spread
    lacking: Advice | None

    def p(self) -> float:
        """p-value of "the mean is where it is claimed to be"."""
        kind, room = self.claim.kind, self.claim.tolerance or 0.0
        if kind == "upper":
            return self.gaps.above(0.0)
        if kind == "lower":
            return self.gaps.below(0.0)
        return min(1.0, 2 * min(self.gaps.above(room), self.gaps.below(-room)))


def evidence(part: Part, claims: Sequence[Claim], selection: Selection) -> list[list[Sample]]:
    """The cells of each claim's number, with the number it is compared with beside."""
    return [
        samples(part, Wanted(claim.key, selection, next(iter(claim.others), None)))
        for claim in claims
    ]


def prepare(pairs: Sequence[tuple[Level, Sample]], confidence: float = CONFIDENCE) -> list[Case]:
    return [_case(claim, sample, confidence) for claim, sample in pairs]


def conclude(case: Case, p: float | None) -> Verdict:
    """*holds* if the whole interval is where the claim says."""
    claim, gaps = case.claim, case.gaps
    if case.lacking is not None:
        return _finish(case, "inconclusive", case.lacking.told, None, case.lacking.wants)
    within_it = "" if claim.tolerance is None else f" ± {three(claim.tolerance)}"
    target = f"the claimed {claim.target}{within_it}"
    if p is not None and p <= CHECK_LEVEL:
        side = "above" if gaps.mean > 0 else "below"
        return _finish(case, "violated", f"{side} {target}{agreeing(gaps)}", p)
    low, high = gaps.interval
    room = claim.tolerance or 0.0
    inside = {
        "upper": high <= 0,
        "lower": low >= 0,
        "equal": -room <= low and high <= room,
    }[claim.kind]
    if inside:
        word = {"upper": "at most", "lower": "at least", "equal": "equal to"}[claim.kind]
        return _finish(case, "holds", f"{word} {target}{agreeing(gaps)}", p)
    ends = {"upper": [0.0], "lower": [0.0], "equal": [-room, room]}[claim.kind]
    away = min(abs(gaps.mean - end) for end in ends)
    told = f"not separated from {target}"
    if gaps.alike:
        return _finish(
            case, "inconclusive", told + agreeing(gaps), p, "" if gaps.exact else "seeds"
        )
    need = more_seeds(gaps.half, len(gaps.values), away, gaps.confidence)
    return _finish(case, "inconclusive", f"{told}; {need.told}", p, need.wants)


def _case(claim: Level, sample: Sample, confidence: float) -> Case:
    levels: Array | float = claim.level if not isinstance(claim.level, Number) else sample.beside
    gaps = Spread(np.asarray(sample.values - levels), sample.deterministic, confidence)
    return Case(claim, sample, gaps, spread_lacking(gaps, sample.undrawn))


def _finish(case: Case, verdict: str, reason: str, p: float | None, wants: Wants = "") -> Verdict:
    beside = isinstance(case.claim.level, Number)
    shown = case.gaps if beside else replace(case.gaps, values=case.sample.values)
    word = "difference" if beside else "mean"
    claimed = 0.0 if isinstance(case.claim.level, Number) else case.claim.level
    told = within(word, shown.mean, *shown.interval)
    found = (shown.mean, *shown.interval)
    against = Against(claimed, case.claim.tolerance, p)
    said = Said(verdict, reason, wants)
    return of_evidence(case.sample, case.claim, found, told, said, against)
