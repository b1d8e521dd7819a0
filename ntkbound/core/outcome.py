"""Shared types of every theorem: a bound, and a measured number put beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ntkbound.core.tolerance import exceeds

Verdict = Literal[
    "holds", "vacuous", "condition-not-met", "not-defined", "bound-violated", "inconclusive"
]


@dataclass(frozen=True)
class Bound:
    """A proved upper bound, or None with the reason why there is none."""

    value: float | None
    reason: str = ""
    delta: float = 0.0  # probability with which it may fail


@dataclass(frozen=True)
class Check:
    """One row of the table: a measured number, its bound, their ratio and what follows."""

    term: str
    probe: str
    statistic: str
    measured: float | None
    bound: float | None
    slack: float | None  # bound/measured
    verdict: Verdict
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(
    term: str,
    probe: str,
    statistic: str,
    measured: float,
    bound: Bound,
    *,
    absent: Verdict = "vacuous",
    remark: str = "",
) -> Check:
    """Judges one measured number against one bound.

    ``absent`` is the verdict of a bound that does not exist. A bound that may fail is not refuted
    by a single run above it: that is inconclusive.
    """
    if bound.value is None:
        return Check(term, probe, statistic, measured, None, None, absent, bound.reason)
    slack = bound.value / measured if measured > 0 else None
    if not exceeds(measured, bound.value):
        return Check(term, probe, statistic, measured, bound.value, slack, "holds", remark)
    if bound.delta > 0:
        reason = (
            f"above the bound, which may fail in {bound.delta:g} of runs; more seeds are needed"
        )
        return Check(term, probe, statistic, measured, bound.value, slack, "inconclusive", reason)
    return Check(
        term, probe, statistic, measured, bound.value, slack, "bound-violated", "above the bound"
    )
