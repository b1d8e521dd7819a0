"""Is an explicit bound exceeded more often than its failure probability δ explains?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from scipy.special import bdtrc

from ntkbound.core.glossary import UNTESTED, VERDICTS, Effect
from ntkbound.core.outcome import Check
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.tolerance import Noise, exceeds
from ntkbound.stats.columns import Table, as_number, read_table
from ntkbound.stats.declared import Declared
from ntkbound.stats.inference import holm
from ntkbound.stats.margins import CHECK_LEVEL
from ntkbound.stats.observations import cells_but_seeds
from ntkbound.stats.verdicts import said

Proof = Literal["sure", "probable", "estimate"]


@dataclass(frozen=True)
class BoundVerdict:
    """One bound of one statistic over all runs of one theorem.

    nth: which of the theorem's bounds on this statistic, from 1 on, in the order of `checks`.
    delta: the probability with which it may fail, the largest of the runs (0: it holds always,
    None: an estimate, or no bound at all). p: Bonferroni over cells (0 for a sure bound).
    """

    theorem: str
    term: str
    probe: str
    statistic: str
    nth: int
    delta: float | None
    runs: int
    exceeded: int
    slack: float | None
    p: float
    verdict: str
    reason: str

    @property
    def key(self) -> Key:
        return Key(self.term, self.probe, self.statistic)

    @property
    def effect(self) -> Effect:
        """What it does to a check."""
        return VERDICTS[self.verdict].effect

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


class _Place(NamedTuple):
    """Where a bound stands: which of the rows of its statistic in a record of its theorem."""

    theorem: str
    key: Key
    nth: int


@dataclass(frozen=True)
class _Run:
    """A record, the number of its theorem's cell of equal configs, and what that declares."""

    record: Record
    cell: int
    declared: Declared

    def rows(self) -> Iterator[tuple[_Place, Check]]:
        """Its checks, each with its place."""
        seen: Counter[Key] = Counter()
        for row in self.record.checks:
            seen[row.key] += 1
            yield _Place(self.record.theorem, row.key, seen[row.key]), row

    def noise(self, key: Key) -> Noise:
        return self.declared.quantity(key).noise


@dataclass
class _Tally:
    """Runs with a bound of one kind of proof; cells: (config, δ) → runs, exceeded."""

    proof: Proof
    runs: int = 0
    slack: float = math.inf
    over: list[str] = field(default_factory=list)
    cells: dict[tuple[int, float], list[int]] = field(default_factory=dict)

    @property
    def delta(self) -> float | None:
        return max((delta for _, delta in self.cells), default=None)

    def add(self, run: _Run, row: Check, measured: float, bound: float) -> None:
        above = exceeds(measured, bound, run.noise(row.key))
        self.runs += 1
        if measured > 0:
            self.slack = min(self.slack, bound / measured)
        if row.delta is not None:
            counts = self.cells.setdefault((run.cell, row.delta), [0, 0])
            counts[0] += 1
            counts[1] += above
        if above:
            self.over.append(run.record.id)

    def p(self) -> float:
        """p-value of "the bound holds with its probability"."""
        if self.proof == "sure":
            return 0.0 if self.over else 1.0
        tails = [
            1.0 if not over else float(bdtrc(over - 1, runs, delta))
            for (_, delta), (runs, over) in self.cells.items()
        ]
        return min(1.0, min(tails) * len(tails)) if tails else 1.0


def judge_bounds(
    records: Iterable[Record], *, table: Table | None = None
) -> tuple[BoundVerdict, ...]:
    """Bounds of the records' `checks`, one verdict per theorem, statistic, place among its rows of
    that statistic and kind of proof, or one that says why no run has a bound (the commonest cause,
    where they differ).

    A sure bound (δ = 0) is violated by any exceedance; an estimate (no δ) never is. One that may
    fail with probability δ is tested by P(Binomial(seeds, δ) ≥ exceeded) within each cell of equal
    configs. Only seeds are independent: runs of one seed share their draws over all sizes, so one
    unlucky seed would fail them together and a binomial over all runs would raise up to 5 δ false
    alarms. Cells are joined by Bonferroni and bounds by Holm at `CHECK_LEVEL`.
    """
    rows = list(records)
    table = table or read_table(rows)
    tallies: dict[_Place, dict[Proof, _Tally]] = {}
    absent: dict[_Place, Counter[str]] = defaultdict(Counter)
    for run in _runs(rows, table):
        for place, row in run.rows():
            kinds = tallies.setdefault(place, {})
            measured, bound = as_number(row.measured), as_number(row.bound)
            if row.verdict in UNTESTED or math.isnan(measured) or math.isnan(bound):
                absent[place][row.verdict if row.verdict in UNTESTED else "vacuous"] += 1
                continue
            kind = _proof(row)
            kinds.setdefault(kind, _Tally(kind)).add(run, row, measured, bound)
    tested = [(place, tally) for place, kinds in tallies.items() for tally in kinds.values()]
    raw = [tally.p() for _, tally in tested]
    # A bound that no run has counts as one that was not exceeded.
    adjusted = holm(raw + [1.0] * sum(not kinds for kinds in tallies.values()))
    judged = {
        (place, tally.proof): _verdict(place, tally, p, corrected, absent[place])
        for (place, tally), p, corrected in zip(tested, raw, adjusted, strict=False)
    }
    apart = _told_apart(tallies)
    return tuple(
        replace(verdict, reason=verdict.reason + apart[place])
        for place, kinds in tallies.items()
        for verdict in [judged[place, kind] for kind in kinds] or [_absent(place, absent[place])]
    )


def _told_apart(places: Collection[_Place]) -> dict[_Place, str]:
    """How the reason of a bound tells it from the others on the same statistic."""
    several = len({place.theorem for place in places}) > 1
    rows = Counter((place.theorem, place.key) for place in places)
    told = {}
    for place in places:
        count = rows[place.theorem, place.key]
        nth = f"; bound {place.nth} of {count}" if count > 1 else ""
        told[place] = nth + (f"; at theorem={place.theorem}" if several else "")
    return told


def _runs(records: Sequence[Record], table: Table) -> list[_Run]:
    """Every record, in order."""
    found: dict[int, _Run] = {}
    for part in table.parts:
        for place, cell in zip(part.rows.tolist(), cells_but_seeds(part).tolist(), strict=True):
            found[place] = _Run(records[place], cell, part.declared)
    return [found[place] for place in sorted(found)]


def _proof(row: Check) -> Proof:
    if row.delta is None:
        return "estimate"
    return "probable" if row.delta > 0 else "sure"


def _absent(place: _Place, causes: Counter[str]) -> BoundVerdict:
    ((verdict, _),) = causes.most_common(1)
    told = f"no bound in {causes.total()} runs ({_counts(causes)})"
    return BoundVerdict(place.theorem, *place.key, place.nth, None, 0, 0, None, 1.0, verdict, told)


def _counts(causes: Counter[str]) -> str:
    """ "2 vacuous, 3 not defined"."""
    return ", ".join(f"{n} {said(cause)}" for cause, n in sorted(causes.items()))


def _verdict(
    place: _Place, tally: _Tally, p: float, adjusted: float, causes: Counter[str]
) -> BoundVerdict:
    over, slack = len(tally.over), None if math.isinf(tally.slack) else tally.slack
    named = ", ".join(tally.over[:3]) + (f" and {over - 3} more" if over > 3 else "")
    told = f"exceeded in {over} of {tally.runs} runs"
    if not over:
        verdict, reason = "holds", f"not exceeded in {tally.runs} runs"
    elif tally.proof == "sure":
        verdict, reason = "bound-violated", f"{told}, and it holds always: {named}"
    elif tally.proof == "estimate":
        verdict, reason = "inconclusive", f"{told}; it is an estimate: {named}"
    elif adjusted <= CHECK_LEVEL:
        verdict = "bound-violated"
        reason = f"{told}, more than δ explains (p = {p:.2g}): {named}"
    elif p <= 0.05:
        verdict, reason = "inconclusive", f"{told} (p = {p:.2g}): more seeds needed: {named}"
    else:
        verdict, reason = "holds", f"{told}, as δ allows (p = {p:.2g}): {named}"
    if causes:
        reason += f"; no bound in {causes.total()} more ({_counts(causes)})"
    return BoundVerdict(
        place.theorem, *place.key, place.nth, tally.delta, tally.runs, over, slack, p, verdict,
        reason,
    )  # fmt: skip
