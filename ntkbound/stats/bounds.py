"""Is an explicit bound exceeded more often than its failure probability δ explains?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scipy.special import bdtrc

from ntkbound.core.outcome import UNTESTED, Check
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.tolerance import exceeds
from ntkbound.stats.columns import Table, as_number, read_table
from ntkbound.stats.inference import holm
from ntkbound.stats.margins import CHECK_LEVEL
from ntkbound.stats.observations import cells_but_seeds

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

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


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

    def add(self, run: str, cell: int, row: Check, measured: float, bound: float) -> None:
        above = exceeds(measured, bound)
        self.runs += 1
        if measured > 0:
            self.slack = min(self.slack, bound / measured)
        if row.delta is not None:
            counts = self.cells.setdefault((cell, row.delta), [0, 0])
            counts[0] += 1
            counts[1] += above
        if above:
            self.over.append(run)

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
    """Bounds of the records' `checks`, one verdict per statistic and kind of proof.

    A sure bound (δ = 0) is violated by any exceedance; an estimate (no δ) never is. One that may
    fail with probability δ is tested by P(Binomial(seeds, δ) ≥ exceeded) within each cell of equal
    configs. Only seeds are independent: runs of one seed share their draws over all sizes, so one
    unlucky seed would fail them together and a binomial over all runs would raise up to 5 δ false
    alarms. Cells are joined by Bonferroni and bounds by Holm at `CHECK_LEVEL`.
    """
    rows = list(records)
    table = table or read_table(rows)
    tallies: dict[Key, dict[Proof, _Tally]] = {}
    absent: dict[Key, int] = {}
    for record, cell in _with_cells(rows, table):
        for row in record.checks:
            kinds = tallies.setdefault(row.key, {})
            measured, bound = as_number(row.measured), as_number(row.bound)
            if row.verdict in UNTESTED or math.isnan(measured) or math.isnan(bound):
                absent[row.key] = absent.get(row.key, 0) + 1
                continue
            kind = _proof(row)
            kinds.setdefault(kind, _Tally(kind)).add(record.id, cell, row, measured, bound)
    tested = [(key, tally) for key, kinds in tallies.items() for tally in kinds.values()]
    raw = [tally.p() for _, tally in tested]
    # A bound that no run has counts as one that was not exceeded.
    adjusted = holm(raw + [1.0] * sum(not kinds for kinds in tallies.values()))
    judged = {
        (key, tally.proof): _verdict(key, tally, p, corrected)
        for (key, tally), p, corrected in zip(tested, raw, adjusted, strict=False)
    }
    return tuple(
        verdict
        for key, kinds in tallies.items()
        for verdict in ([judged[key, kind] for kind in kinds] or [_vacuous(key, absent[key])])
    )


def _with_cells(records: Sequence[Record], table: Table) -> Iterator[tuple[Record, int]]:
    """Every record, in order, with the number of its cell of equal configs."""
    cells = [0] * len(records)
    start = 0
    for part in table.parts:
        codes = cells_but_seeds(part).tolist()
        for place, code in zip(part.rows.tolist(), codes, strict=True):
            cells[place] = start + code
        start += max(codes, default=0) + 1
    yield from zip(records, cells, strict=True)


def _proof(row: Check) -> Proof:
    if row.delta is None:
        return "estimate"
    return "probable" if row.delta > 0 else "sure"


def _vacuous(key: Key, runs: int) -> BoundVerdict:
    told = f"no finite bound in {runs} runs"
    return BoundVerdict(*key, None, 0, 0, None, 1.0, "vacuous", told)


def _verdict(key: Key, tally: _Tally, p: float, adjusted: float) -> BoundVerdict:
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
    return BoundVerdict(*key, tally.delta, tally.runs, over, slack, p, verdict, reason)
