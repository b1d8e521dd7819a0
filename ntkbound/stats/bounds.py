"""Is an explicit bound exceeded more often than its failure probability δ explains?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

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
    """One bound of one statistic over all runs.

    delta: the probability with which it may fail, the largest of the runs (0: it holds always,
    None: an estimate, or no bound at all). p: Bonferroni over cells (0 for a sure bound).
    """

    term: str
    probe: str
    statistic: str
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


@dataclass(frozen=True)
class _Run:
    """A record, the number of its cell of equal configs, and what its theorem declares."""

    record: Record
    cell: int
    declared: Declared

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
    """Bounds of the records' `checks`, one verdict per statistic and kind of proof, or one that
    says why no run has a bound (the commonest cause, where they differ).

    A sure bound (δ = 0) is violated by any exceedance; an estimate (no δ) never is. One that may
    fail with probability δ is tested by P(Binomial(seeds, δ) ≥ exceeded) within each cell of equal
    configs. Only seeds are independent: runs of one seed share their draws over all sizes, so one
    unlucky seed would fail them together and a binomial over all runs would raise up to 5 δ false
    alarms. Cells are joined by Bonferroni and bounds by Holm at `CHECK_LEVEL`.
    """
    rows = list(records)
    table = table or read_table(rows)
    tallies: dict[Key, dict[Proof, _Tally]] = {}
    absent: dict[Key, Counter[str]] = defaultdict(Counter)
    for run in _runs(rows, table):
        for row in run.record.checks:
            kinds = tallies.setdefault(row.key, {})
            measured, bound = as_number(row.measured), as_number(row.bound)
            if row.verdict in UNTESTED or math.isnan(measured) or math.isnan(bound):
                absent[row.key][row.verdict if row.verdict in UNTESTED else "vacuous"] += 1
                continue
            kind = _proof(row)
            kinds.setdefault(kind, _Tally(kind)).add(run, row, measured, bound)
    tested = [(key, tally) for key, kinds in tallies.items() for tally in kinds.values()]
    raw = [tally.p() for _, tally in tested]
    # A bound that no run has counts as one that was not exceeded.
    adjusted = holm(raw + [1.0] * sum(not kinds for kinds in tallies.values()))
    judged = {
        (key, tally.proof): _verdict(key, tally, p, corrected, absent[key])
        for (key, tally), p, corrected in zip(tested, raw, adjusted, strict=False)
    }
    return tuple(
        verdict
        for key, kinds in tallies.items()
        for verdict in ([judged[key, kind] for kind in kinds] or [_absent(key, absent[key])])
    )


def _runs(records: Sequence[Record], table: Table) -> list[_Run]:
    """Every record, in order."""
    found: dict[int, _Run] = {}
    start = 0
    for part in table.parts:
        codes = cells_but_seeds(part).tolist()
        for place, code in zip(part.rows.tolist(), codes, strict=True):
            found[place] = _Run(records[place], start + code, part.declared)
        start += max(codes, default=0) + 1
    return [found[place] for place in sorted(found)]


def _proof(row: Check) -> Proof:
    if row.delta is None:
        return "estimate"
    return "probable" if row.delta > 0 else "sure"


def _absent(key: Key, causes: Counter[str]) -> BoundVerdict:
    ((verdict, _),) = causes.most_common(1)
    told = f"no bound in {causes.total()} runs ({_counts(causes)})"
    return BoundVerdict(*key, None, 0, 0, None, 1.0, verdict, told)


def _counts(causes: Counter[str]) -> str:
    """ "2 vacuous, 3 not defined"."""
    return ", ".join(f"{n} {said(cause)}" for cause, n in sorted(causes.items()))


def _verdict(
    key: Key, tally: _Tally, p: float, adjusted: float, causes: Counter[str]
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
    return BoundVerdict(*key, tally.delta, tally.runs, over, slack, p, verdict, reason)
