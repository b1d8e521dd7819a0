"""What one run has to say: measured terms, bounds beside them, and what follows of each pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ntkbound.core.quantity import Key, Quantity
from ntkbound.core.tolerance import exceeds

if TYPE_CHECKING:  # the help and the reports are quick without
    import numpy as np

Terms = dict[str, dict[str, dict[str, Any]]]  # term → probe → statistic → number
Status = Literal["complete", "diverged"]
Absence = Literal["vacuous", "condition-not-met", "not-defined"]  # why there is no bound
Verdict = Literal["holds", "bound-violated", "inconclusive", Absence]


@dataclass(frozen=True)
class Bound:
    """An upper bound, or None with the reason and the kind of its absence.

    ``delta``: the probability with which it may fail: 0 for a sure bound, None for an estimate that
    proves nothing.
    """

    value: float | None
    reason: str = ""
    delta: float | None = 0.0
    absent: Absence = "vacuous"


@dataclass(frozen=True)
class Check:
    """One row of the table: a measured number, its bound, their ratio and what follows."""

    term: str
    probe: str
    statistic: str
    measured: float | None
    bound: float | None
    delta: float | None
    slack: float | None  # bound/measured
    verdict: Verdict
    reason: str

    @property
    def key(self) -> Key:
        return Key(self.term, self.probe, self.statistic)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(quantity: Quantity, measured: float | None, bound: Bound) -> Check:
    """Judges one measured number (None: not measured) against one bound.

    A bound that may fail is not refuted by a single run above it: that is inconclusive.
    """
    key = quantity.key
    if bound.value is None or measured is None:
        return Check(*key, measured, None, None, None, bound.absent, bound.reason)
    slack = bound.value / measured if measured > 0 else math.inf
    verdict: Verdict = "holds"
    reason = ""
    if exceeds(measured, bound.value, quantity.noise):
        verdict, reason = "bound-violated", "above the bound"
        if bound.delta is None:
            verdict, reason = "inconclusive", "above the bound, which is an estimate"
        elif bound.delta > 0:
            verdict = "inconclusive"
            reason += f", which may fail in {bound.delta:g} of runs; more seeds are needed"
    finite = slack if math.isfinite(slack) else None  # of a number that is hardly above 0
    return Check(*key, measured, bound.value, bound.delta, finite, verdict, reason)


@dataclass(frozen=True)
class Certificate:
    """``term`` ≤ ``value``, how that is known and where it is derived.

    ``level`` is the theorem's word for what the bound may know; ``estimate``, and ``user``, which
    rests on constants that the user states, prove nothing and are never a bound of a record.
    """

    term: str
    level: str
    value: float
    source: str

    @property
    def proved(self) -> bool:
        return self.level not in ("user", "estimate")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """One number of a record beside the same number recomputed; verification is a list of these."""

    quantity: str
    recorded: float
    recomputed: float

    # Two float64 evaluations in different orders; an error term is a difference of O(1) numbers.
    RELATIVE, ABSOLUTE = 1e-6, 1e-12

    @property
    def difference(self) -> float:
        return abs(self.recorded - self.recomputed)

    @property
    def agrees(self) -> bool:
        return self.difference <= self.ABSOLUTE + self.RELATIVE * abs(self.recorded)


@dataclass(frozen=True)
class Outcome:
    """All of one run; disk and screen are somebody else's business.

    checks
        Bounds beside measured numbers. Several on one quantity stand in the same order in every
        run, one that a run lacks with its reason: that is how they are told apart over runs.
    trace
        Recorded series: ``step`` and any other (K,) or of their own ``…/step``.
    params, inputs
        Arrays worth keeping: what was trained, and what it was trained on.
    conditions
        Of the theorem, name → met, not met, or None where it is not known.
    environment
        Measured facts about this process that are no part of the result.
    """

    terms: Terms
    checks: Sequence[Check] = ()
    status: Status = "complete"
    bounds: Mapping[str, float | None] = field(default_factory=dict)
    certificates: Sequence[Certificate] = ()
    conditions: Mapping[str, bool | None] = field(default_factory=dict)
    notes: Sequence[str] = ()
    trace: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    params: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        measured: Mapping[Quantity, float],
        bounds: Sequence[tuple[Quantity, Bound]] = (),
        **rest: Any,
    ) -> Outcome:
        """The outcome of these numbers, with each of the bounds beside the number that it is on;
        ``rest`` are the other fields."""
        terms: Terms = {}
        for quantity, value in measured.items():
            term, probe, statistic = quantity.key
            terms.setdefault(term, {}).setdefault(probe, {})[statistic] = value
        checks = [check(quantity, measured.get(quantity), bound) for quantity, bound in bounds]
        return cls(terms, checks, **rest)
