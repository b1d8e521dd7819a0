"""A whole check: every claim and every explicit bound against the records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ntkbound.core import html
from ntkbound.core.claim import STEP, Along, Claim
from ntkbound.core.glossary import AGREES, REFUTES
from ntkbound.core.record import Record
from ntkbound.stats.applicability import Concern, concerns
from ntkbound.stats.bounds import BoundVerdict, judge_bounds
from ntkbound.stats.claims import judge_concerns
from ntkbound.stats.columns import Table, read_table
from ntkbound.stats.insides import every_inside
from ntkbound.stats.levels import ONCE, Levels, Look
from ntkbound.stats.observations import Arm, Series, lines
from ntkbound.stats.powerlaw import fit_power_laws
from ntkbound.stats.verdicts import Verdict, counted, describe, whole


@dataclass(frozen=True)
class CheckResult:
    """verdict: `violated` (any rate or bound is), else `inconclusive` (any is), else `holds`.

    looks: those that were made, where several were planned.
    """

    fits: tuple[Verdict, ...]
    bounds: tuple[BoundVerdict, ...]
    verdict: str
    looks: tuple[Look, ...] = ()

    @property
    def claimed(self) -> list[Verdict]:
        """The fits that a claim is about."""
        return [fit for fit in self.fits if fit.claim is not None]

    @property
    def counts(self) -> str:
        """What was judged and what came of it, in words: "3 claims: 2 judged, …; 5 bounds: …"."""
        claims, bounds = self.claimed, self.bounds
        tested = sum(bound.runs > 0 for bound in bounds)
        told = counted((_came_to(f) for f in claims), sum(f.judged for f in claims), "claim")
        return (
            f"{told}; {counted((b.verdict for b in bounds), tested, 'bound')}" if bounds else told
        )

    def _repr_html_(self) -> str:
        """In a notebook: one row a claim, and what came of all."""
        rows = [
            (fit.axis or "–", str(fit.key), fit.claim.sign, fit.verdict, fit.reason)
            for fit in self.fits
            if fit.claim is not None
        ]
        table = html.table(("axis", "about", "claimed", "verdict", "reason"), rows)
        return table + html.element("p", f"{self.counts}: {self.verdict}")

    @property
    def judged(self) -> bool:
        """Whether any claim could be put to the test."""
        return any(fit.judged for fit in self.fits)

    @property
    def decided(self) -> int:
        """How many claims were put to the test and came to something."""
        return sum(fit.decided for fit in self.fits)

    @property
    def wants_seeds(self) -> int:
        """How many claims that gate are open for want of seeds."""
        return sum(fit.wants == "seeds" and fit.effect == "undecided" for fit in self.fits)

    def as_json(self) -> dict[str, Any]:
        looks = {"looks": [look.as_json() for look in self.looks]} if self.looks else {}
        return {
            "fits": [fit.as_json() for fit in self.fits],
            "bounds": [bound.as_json() for bound in self.bounds],
            "verdict": self.verdict,
            **looks,
        }


def _came_to(fit: Verdict) -> str:
    """Its verdict; of a claim known to be false, seen so, that it is what was known."""
    known = fit.verdict not in AGREES and fit.effect == "agrees"
    return f"{fit.verdict} as known" if known else fit.verdict


def check(
    evidence: Sequence[Record] | Table,
    claims: Sequence[Claim],
    *,
    unclaimed: bool = False,
    axes: Collection[str] | None = None,
    levels: Levels = ONCE,
) -> CheckResult:
    """Judge the claims and the explicit bounds of records, or the claims about a table.

    A claim is judged once in every arm (group of runs equal in all but the axis and seeds) among
    the runs that its `where` selects, all of them together under Holm's correction at
    `CHECK_LEVEL`. unclaimed: report also the slopes that no claim is about, along `axes` and those
    of the claims (None: along the axes that the records' theorem names). Runs that do not meet the
    conditions of a claim are left out, and an arm without any other is `condition-not-met`; a check
    in which no claim could be judged is inconclusive, even where bounds hold. levels: what this
    look at the data may spend, where there are several; for claims, not for bounds.

    Raises InputError for duplicate runs.
    """
    table = evidence if isinstance(evidence, Table) else read_table(evidence)
    about = concerns(table, claims)
    fits = judge_concerns(claims, about, levels)
    if unclaimed:
        along = [c.axis for c in claims if isinstance(c, Along) and not c.inside]
        fits += [describe(fit) for fit in fit_power_laws(_others(table, axes, along, about))]
    bounds = () if isinstance(evidence, Table) else judge_bounds(evidence, table=table)
    return _result(fits, bounds)


def kept(before: CheckResult, now: CheckResult) -> CheckResult:
    """The later of two looks, in which a claim that was decided at the earlier one stays so, but
    for one that was accepted then and is violated now.

    Either way the error rates of a plan of looks (`stats.levels`) are at most the sum over looks: a
    false acceptance or violation at any of them is counted. A decision is not lost to the stricter
    level of a later look, and no acceptance stands against later evidence that refutes it.
    """
    decided = {_about(fit): fit for fit in before.fits if fit.decided}
    fits = [fit if fit.verdict in REFUTES else decided.get(_about(fit), fit) for fit in now.fits]
    return _result(fits, now.bounds)


def _about(fit: Verdict) -> tuple[str, Arm]:
    """Equal at every look for one claim in one arm."""
    return fit.claim.model_dump_json() if fit.claim else "", fit.arm


def _result(fits: Sequence[Verdict], bounds: tuple[BoundVerdict, ...]) -> CheckResult:
    verdict = whole([*(fit.effect for fit in fits), *(bound.effect for bound in bounds)])
    if verdict == "holds" and not any(fit.judged for fit in fits):
        verdict = "inconclusive"
    return CheckResult(tuple(fits), bounds, verdict)


def _others(
    table: Table,
    axes: Collection[str] | None,
    along: Sequence[str],
    about: Sequence[Concern],
) -> list[Series]:
    """The series that no claim is about."""
    every = [one for concern in about for one in concern.all]
    claimed = {(one.axis, one.key, one.arm) for one in every if isinstance(one, Series)}
    return [
        series
        for part in table.parts
        for axis in dict.fromkeys([*(part.declared.axes if axes is None else axes), *along])
        for series in (every_inside(part) if axis == STEP else lines(part, axis))
        if (series.axis, series.key, series.arm) not in claimed
    ]
