"""A fraction: the share of runs that are a success, by exact binomial tests.

The interval is Clopper and Pearson's. Of "all" (share = 1, lower) and "none" (share = 0, upper) one
counter-example is a violation; without one the verdict says how many of all runs that speaks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import bdtr, bdtrc, betaincinv

from ntkbound.core.claim import Claim, Fraction
from ntkbound.stats.columns import Part
from ntkbound.stats.forms.spread import all_runs, no_runs
from ntkbound.stats.margins import CHECK_LEVEL, CONFIDENCE, FRACTION_MARGIN, MIN_SEEDS
from ntkbound.stats.samples import Sample, Wanted, samples
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Against, Said, Verdict, of_evidence
from ntkbound.stats.words import Advice, Wants, three, within


@dataclass(frozen=True, eq=False)
class Case:
    """A share with what one cell says of it: ``successes`` of ``runs``."""

    claim: Fraction
    sample: Sample
    successes: int
    runs: int
    lacking: Advice | None
    confidence: float

    def p(self) -> float:
        """p-value of "the share is at least (at most) the claimed one"."""
        k, n, share = self.successes, self.runs, self.claim.share
        if self.claim.kind == "upper":
            return float(bdtrc(k - 1, n, share)) if k else 1.0
        return float(bdtr(k, n, share)) if k < n else 1.0


def evidence(part: Part, claims: Sequence[Claim], selection: Selection) -> list[list[Sample]]:
    """The cells of each claim's number."""
    return [samples(part, Wanted(claim.key, selection)) for claim in claims]


def prepare(pairs: Sequence[tuple[Fraction, Sample]], confidence: float = CONFIDENCE) -> list[Case]:
    return [_case(claim, sample, confidence) for claim, sample in pairs]


def conclude(case: Case, p: float | None) -> Verdict:
    """*holds* if the interval excludes every share worse than the claim by `FRACTION_MARGIN`."""
    claim, share = case.claim, case.claim.share
    if case.lacking is not None:
        return _finish(case, "inconclusive", case.lacking.told, None, case.lacking.wants)
    told = f"{case.successes} of {case.runs} runs"
    word = "at most" if claim.kind == "upper" else "at least"
    target = f"{word} {three(share)}"
    if p is not None and p <= CHECK_LEVEL:
        return _finish(case, "violated", f"{told}, claimed {target}", p)
    low, high = interval(case.successes, case.runs, case.confidence)
    if claim.kind == "upper":
        met, against = high <= share + FRACTION_MARGIN, low > share
    else:
        met, against = low >= share - FRACTION_MARGIN, high < share
    if share in (0, 1) and not against and case.successes == share * case.runs:
        said = (all_runs if share else no_runs)(case.runs, case.confidence)
        return _finish(case, "holds", said, p)
    if met and not against:
        return _finish(case, "holds", f"{told}: {target}, within {FRACTION_MARGIN:g}", p)
    more = _more_runs(case)
    told = f"{told}, claimed {target}; {more.told}"
    return _finish(case, "inconclusive", told, p, more.wants)


def interval(successes: int, runs: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share at this confidence."""
    tail = (1 - confidence) / 2
    k, n = successes, runs
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


MOST_RUNS = 1000


def _more_runs(case: Case) -> Advice:
    """How many runs would decide it if the share stayed what it is."""
    claim, share = case.claim, case.successes / case.runs
    for runs in range(case.runs + 1, MOST_RUNS + 1):
        k = round(share * runs)
        low, high = interval(k, runs, case.confidence)
        p = replace(case, successes=k, runs=runs).p()
        met = high <= claim.share + FRACTION_MARGIN
        if claim.kind == "lower":
            met = low >= claim.share - FRACTION_MARGIN
        if met or p <= CHECK_LEVEL / 10:
            return Advice(f"needs about {runs - case.runs} more seeds", "seeds")
    return Advice(f"not within reach of {MOST_RUNS} seeds", "seeds")


def _case(claim: Fraction, sample: Sample, confidence: float) -> Case:
    values = sample.values
    success = values == 1
    lacking = None
    if claim.above is not None:
        success = values > claim.above
    elif claim.below is not None:
        success = values < claim.below
    elif not np.isin(values, (0, 1)).all():
        odd = three(float(values[~np.isin(values, (0, 1))][0]))
        told = f"{odd} is neither 0 nor 1: say above or below which number a success is"
        lacking = Advice(told)
    if len(values) < MIN_SEEDS and not sample.deterministic:
        lacking = Advice(f"{len(values)} runs: needs at least {MIN_SEEDS}", "seeds")
    return Case(claim, sample, int(success.sum()), len(values), lacking, confidence)


def _finish(case: Case, verdict: str, reason: str, p: float | None, wants: Wants = "") -> Verdict:
    share = case.successes / case.runs
    found = (share, *interval(case.successes, case.runs, case.confidence))
    against = Against(case.claim.share, FRACTION_MARGIN, p)
    told = within("share", *found)
    said = Said(verdict, reason, wants)
    return of_evidence(case.sample, case.claim, found, told, said, against)
