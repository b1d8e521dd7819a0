"""Is an explicit bound exceeded more often than its failure probability δ explains?"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scipy.special import bdtrc

from ntkbound.core.tolerance import exceeds
from ntkbound.stats.columns import Table, as_number, read_table
from ntkbound.stats.inference import holm
from ntkbound.stats.margins import CHECK_LEVEL
from ntkbound.stats.observations import cells_but_seeds

# Bounds that hold with probability 1 − δ over the initialisation; the others hold always.
PROBABILISTIC_TERMS = frozenset({"approximation", "optimization", "training"})
# run.json's `bounds` names a term (its `max`, at every probe) or one of these statistics.
NAMED_BOUNDS = {
    "feature_norm": ("gradient", "training", "feature_norm_max"),
    "optimization_mse": ("optimization", "training", "min_mse"),
    "training_rmse": ("optimization", "training", "min_rmse"),
}
UNTESTED = frozenset({"vacuous", "condition-not-met", "not-defined"})


@dataclass(frozen=True)
class BoundVerdict:
    """One bounded statistic over all runs; p: Bonferroni over cells (0 for a sure bound)."""

    term: str
    probe: str
    statistic: str
    runs: int
    exceeded: int
    slack: float | None
    p: float
    verdict: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class _Tally:
    runs: int = 0
    untested: int = 0
    slack: float = math.inf
    sure: bool = False

    def __post_init__(self) -> None:
        self.over: list[str] = []
        self.cells: dict[tuple[int, float], list[int]] = {}  # (config, δ): runs, exceeded


def judge_bounds(
    records: Iterable[Mapping[str, Any]],
    *,
    table: Table | None = None,
) -> tuple[BoundVerdict, ...]:
    """Bounds of the records' `checks` (of `bounds` where a record has none), one verdict each.

    A bound without δ is violated by any exceedance. One that may fail with probability δ (a term
    in `PROBABILISTIC_TERMS`; δ of the check's own `delta`, else of the config) is tested by
    P(Binomial(seeds, δ) ≥ exceeded) within each cell of equal configs. Only seeds are independent:
    runs of one seed share initial heads over all widths, so one unlucky seed would fail them
    together and a binomial over all runs would raise up to 5 δ false alarms. Cells are joined by
    Bonferroni and bounds by Holm at `CHECK_LEVEL`.
    """
    rows = list(records)
    table = table or read_table(rows)
    cell = cells_but_seeds(table)
    tallies: dict[tuple[str, str, str], _Tally] = {}
    for i, record in enumerate(rows):
        delta = as_number((record.get("config") or {}).get("delta"))
        for check in record.get("checks") or _checks(record):
            key = (str(check["term"]), str(check.get("probe")), str(check.get("statistic")))
            tally = tallies.setdefault(key, _Tally())
            measured, bound = as_number(check.get("measured")), as_number(check.get("bound"))
            if check.get("verdict") in UNTESTED or math.isnan(measured) or math.isnan(bound):
                tally.untested += 1
                continue
            own = as_number(check.get("delta", delta if key[0] in PROBABILISTIC_TERMS else 0.0))
            own = 0.0 if math.isnan(own) else own
            over = exceeds(measured, bound)
            tally.runs += 1
            if measured > 0:
                tally.slack = min(tally.slack, bound / measured)
            count = tally.cells.setdefault((int(cell[i]), own), [0, 0])
            count[0] += 1
            count[1] += over
            if over:
                tally.over.append(table.ids[i])
                tally.sure = tally.sure or own == 0
    raw = {key: _p_value(tally) for key, tally in tallies.items()}
    adjusted = dict(zip(raw, holm(list(raw.values())), strict=True))
    return tuple(_verdict(k, t, raw[k], adjusted[k]) for k, t in tallies.items())


def _checks(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, bound in (record.get("bounds") or {}).items():
        term, probe, statistic = NAMED_BOUNDS.get(name, (name, "", "max"))
        for each, numbers in ((record.get("terms") or {}).get(term) or {}).items():
            if (not probe or each == probe) and isinstance(numbers, Mapping):
                found.append(
                    {
                        "term": term,
                        "probe": each,
                        "statistic": statistic,
                        "measured": numbers.get(statistic),
                        "bound": bound,
                    }
                )
    return found


def _p_value(tally: _Tally) -> float:
    if tally.sure:
        return 0.0
    tails = [
        1.0 if not over else float(bdtrc(over - 1, runs, delta))
        for (_, delta), (runs, over) in tally.cells.items()
        if delta > 0
    ]
    return min(1.0, min(tails) * len(tails)) if tails else 1.0


def _verdict(key: tuple[str, str, str], tally: _Tally, p: float, adjusted: float) -> BoundVerdict:
    over, slack = len(tally.over), None if math.isinf(tally.slack) else tally.slack
    named = ", ".join(tally.over[:3]) + (f" and {over - 3} more" if over > 3 else "")
    if not tally.runs:
        verdict, reason = "vacuous", f"no finite bound in {tally.untested} runs"
    elif tally.sure:
        verdict = "bound-violated"
        reason = f"exceeded in {over} of {tally.runs} runs, and it holds always: {named}"
    elif not over:
        verdict, reason = "holds", f"not exceeded in {tally.runs} runs"
    elif adjusted <= CHECK_LEVEL:
        verdict = "bound-violated"
        reason = (
            f"exceeded in {over} of {tally.runs} runs, more than δ explains (p = {p:.2g}): " + named
        )
    elif p <= 0.05:
        verdict = "inconclusive"
        reason = (
            f"exceeded in {over} of {tally.runs} runs (p = {p:.2g}): more seeds needed: {named}"
        )
    else:
        verdict = "holds"
        reason = f"exceeded in {over} of {tally.runs} runs, as δ allows (p = {p:.2g}): {named}"
    return BoundVerdict(*key, tally.runs, over, slack, p, verdict, reason)
