"""What a claim came to: a line of `slopes`, whatever its form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from ntkbound.core.claim import Claim
from ntkbound.core.quantity import Key
from ntkbound.stats.columns import UNSET
from ntkbound.stats.observations import Arm
from ntkbound.stats.powerlaw import Fit, PowerLawFit
from ntkbound.stats.words import count, two

Unjudged = Literal["condition-not-met", "inconclusive"]

ACCEPTED = frozenset({"holds", "tight", "faster", "not-defined", "vacuous", "condition-not-met"})


HELD = ("holds", "tight", "faster")
SAID = {"not-defined": "not defined", "bound-violated": "violated"}  # beside a number


@dataclass(frozen=True)
class Against:
    """What a claim was put to the test with: the exponent it means on this grid (None: it has
    none there), the margin of its form, and the Holm-adjusted p-value of "the claim is true"
    (None: not tested)."""

    claimed: float | None = None
    margin: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A line of `slopes`: the fit, the claim and the verdict (None: unknown or unbounded).

    claim: None for a fit that no claim is about. estimate: what was fitted, for a rate its slope.
    fit: for figures and companions; None where there was nothing to fit.
    """

    axis: str
    key: Key
    points: int
    seeds: int
    estimate: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str
    arm: Arm = ()
    claim: Claim | None = None
    against: Against = Against()
    fit: Fit | None = field(default=None, repr=False, compare=False)

    @property
    def term(self) -> str:
        return self.key.term

    @property
    def probe(self) -> str:
        return self.key.probe

    @property
    def statistic(self) -> str:
        return self.key.statistic

    @property
    def form(self) -> str:
        """The form fitted: that of the claim, a rate where nothing is claimed."""
        return self.claim.form if self.claim else "rate"

    @property
    def slope(self) -> float | None:
        return self.estimate if self.form == "rate" else None

    @property
    def label(self) -> str | None:
        return self.claim.label if self.claim else None

    @property
    def kind(self) -> str | None:
        return self.claim.kind if self.claim else None

    @property
    def claimed(self) -> float | None:
        """The exponent compared with; with a power of a logarithm its slope on this grid."""
        return self.against.claimed

    @property
    def margin(self) -> float | None:
        return self.against.margin

    @property
    def p(self) -> float | None:
        return self.against.p

    @property
    def judged(self) -> bool:
        """Whether a claim was put to the test here."""
        return self.p is not None

    @property
    def where(self) -> dict[str, Any]:
        """The runs it is about: those of the claim, in this arm."""
        return {**(self.claim.where if self.claim else {}), **dict(self.arm)}

    @property
    def sentence(self) -> str:
        """The finding in words: "slope −1.02 [−1.10, −0.95]: faster than the claimed −0.5"."""
        if self.slope is None:
            return f"no slope: {self.reason}"
        ends = (
            "−∞" if self.low is None else two(self.low),
            "∞" if self.high is None else two(self.high),
        )
        return f"slope {two(self.slope)} [{ends[0]}, {ends[1]}]: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """The fields of `slopes --json`, in its order."""
        return {
            "axis": self.axis,
            "term": self.term,
            "probe": self.probe,
            "statistic": self.statistic,
            "form": self.form,
            "column": None,
            "label": self.label,
            "where": self.where,
            "points": self.points,
            "seeds": self.seeds,
            "slope": self.slope,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "claimed": self.claimed,
            "kind": self.kind,
            "margin": self.margin,
            "p": self.p,
            "verdict": self.verdict,
            "reason": self.reason,
        }


def of_fit(
    fit: Fit, verdict: str, reason: str, claim: Claim | None = None, against: Against | None = None
) -> Verdict:
    """The verdict on one fit; its reason is followed by what was left out, and by its arm."""
    series = fit.series
    parts = [reason, *series.notes]
    if series.arm:
        parts.append(_place(series.arm))
    return Verdict(
        series.axis,
        series.key,
        len(series.points),
        len(series.seeds),
        finite(fit.slope),
        finite(fit.low),
        finite(fit.high),
        verdict,
        "; ".join(parts),
        series.arm,
        claim,
        against or Against(),
        fit,
    )


def describe(fit: PowerLawFit) -> Verdict:
    """A fit that no claim is about: `not-defined`, without a claim."""
    said = "no claim"
    if not math.isfinite(fit.slope):
        said += f"; {count(fit.series)}"
    return of_fit(fit, "not-defined", said)


def unjudged(fitted: Verdict, verdict: Unjudged, reason: str) -> Verdict:
    """What was fitted, with this verdict instead of one on the claim."""
    place = f"; {_place(fitted.arm)}" if fitted.arm else ""
    against = replace(fitted.against, p=None)
    return replace(fitted, verdict=verdict, reason=reason + place, against=against)


def unmeasured(claim: Claim, unmet: str = "") -> Verdict:
    """The verdict on a claim that no group of records speaks about; ``unmet`` says how many of
    them do not meet which of its conditions, where none does."""
    runs = f"runs with {_told(claim.where)}" if claim.where else "runs"
    reason = f"no two {runs} that differ only in {claim.axis} and seeds report this statistic"
    verdict: Unjudged = "condition-not-met" if unmet else "inconclusive"
    against = Against(None if claim.log_power else claim.exponent)
    nothing = (None, None, None)
    return Verdict(
        claim.axis, claim.key, 0, 0, *nothing, verdict, unmet or reason,
        claim=claim, against=against,
    )  # fmt: skip


def finite(value: float) -> float | None:
    """The number, None where it is unknown or unbounded."""
    return value if math.isfinite(value) else None


def counted(verdicts: Iterable[str], judged: int, word: str) -> str:
    """How many claims or bounds there were, how many of them were put to the test, and what came
    of all: "5 bounds: 3 judged, 3 held, 2 not defined"."""
    counts = Counter("held" if verdict in HELD else said(verdict) for verdict in verdicts)
    order = ("held", "violated", "inconclusive")
    others = sorted(counts.keys() - {*order})
    parts = [f"{counts[told]} {told}" for told in (*order, *others) if counts[told]]
    total, parts = counts.total(), [f"{judged} judged", *parts]
    return f"{total} {word}{'s' * (total != 1)}: {', '.join(parts)}"


def said(verdict: str) -> str:
    """The verdict beside a number."""
    return SAID.get(verdict, verdict)


def whole(verdicts: Mapping[str, int]) -> str:
    """The verdict of a whole check from the counts of its verdicts."""
    if verdicts.get("violated") or verdicts.get("bound-violated"):
        return "violated"
    return "inconclusive" if set(verdicts) - ACCEPTED else "holds"


@lru_cache(maxsize=4096)
def _place(arm: Arm) -> str:
    """The arm in words, without the fields that it leaves unset."""
    told = [(name, value) for name, value in arm if value != UNSET] or arm
    return "at " + ", ".join(f"{name}={value}" for name, value in told)


def _told(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in where.items())
