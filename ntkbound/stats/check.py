"""A whole check: every claim and every explicit bound against the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ntkbound.core.claim import Claim
from ntkbound.core.outcome import Check
from ntkbound.core.record import Record
from ntkbound.stats.bounds import BoundVerdict, judge_bounds
from ntkbound.stats.claims import concerned, judge_series
from ntkbound.stats.columns import Table, read_table
from ntkbound.stats.observations import Series, lines
from ntkbound.stats.powerlaw import fit_power_laws
from ntkbound.stats.verdicts import Verdict, describe, whole


@dataclass(frozen=True)
class CheckResult:
    """verdict: `violated` (any rate or bound is), else `inconclusive` (any is), else `holds`."""

    fits: tuple[Verdict, ...]
    bounds: tuple[BoundVerdict, ...]
    verdict: str

    def as_json(self) -> dict[str, Any]:
        return {
            "fits": [fit.as_json() for fit in self.fits],
            "bounds": [bound.as_json() for bound in self.bounds],
            "verdict": self.verdict,
        }


def check(
    records: Iterable[Record],
    claims: Sequence[Claim],
    *,
    unclaimed: bool = False,
    axes: Collection[str] | None = None,
) -> CheckResult:
    """Judge the claims and the explicit bounds of records.

    A claim is judged once in every arm (group of runs equal in all but the axis and seeds) among
    the runs that its `where` selects, all of them together under Holm's correction at
    `CHECK_LEVEL`. unclaimed: report also the slopes that no claim is about, along `axes` and those
    of the claims (None: along the axes that the records' theorem names). A claim about something
    whose conditions some run of the arm does not meet (its `checks` say so) is
    `condition-not-met`; a check in which no claim could be judged is inconclusive.

    Raises InputError for duplicate runs.
    """
    rows = list(records)
    table = read_table(rows)
    about = concerned(table, claims)
    outside = _outside(rows)
    fits = [_conditions(fit, outside) for fit in judge_series(claims, about)]
    if unclaimed:
        along = [claim.axis for claim in claims]
        fits += [describe(fit) for fit in fit_power_laws(_others(table, axes, along, about))]
    bounds = judge_bounds(rows, table=table)
    counts = Counter([*(v.verdict for v in fits), *(v.verdict for v in bounds)])
    verdict = whole(counts)
    if verdict == "holds" and not any(fit.p is not None for fit in fits):
        verdict = "inconclusive"  # nothing was put to the test
    return CheckResult(tuple(fits), bounds, verdict)


def _others(
    table: Table,
    axes: Collection[str] | None,
    along: Sequence[str],
    about: Sequence[Sequence[Series]],
) -> list[Series]:
    """The series that no claim is about."""
    claimed = {(s.axis, s.key, s.arm) for group in about for s in group}
    return [
        series
        for part in table.parts
        for axis in dict.fromkeys([*(part.declared.axes if axes is None else axes), *along])
        for series in lines(part, axis)
        if (series.axis, series.key, series.arm) not in claimed
    ]


Outside = Mapping[int, Sequence[Check]]  # place of a record → its checks outside the theorem


def _outside(records: Sequence[Record]) -> Outside:
    """The checks that say that their run does not meet the theorem's conditions."""
    found = {
        place: [row for row in record.checks if row.verdict == "condition-not-met"]
        for place, record in enumerate(records)
    }
    return {place: rows for place, rows in found.items() if rows}


def _conditions(fit: Verdict, outside: Outside) -> Verdict:
    """The verdict, or `condition-not-met` where a run of its arm is outside the theorem."""
    if fit.p is None or fit.fit is None:
        return fit
    for place in sorted(outside.keys() & set(fit.fit.series.runs.tolist())) if outside else ():
        for row in outside[place]:
            if (row.term, row.probe) == (fit.term, fit.probe):
                return replace(fit, verdict="condition-not-met", reason=row.reason)
    return fit
