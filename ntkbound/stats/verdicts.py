"""What a claim came to: a line of `slopes`, whatever its form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol, Self

from ntkbound.core.claim import Along, Claim, Order, axis_of, fields_told
from ntkbound.core.glossary import AGREES, Effect, effect
from ntkbound.core.quantity import Key
from ntkbound.stats.columns import UNSET, Rows
from ntkbound.stats.margins import CONFIDENCE
from ntkbound.stats.observations import Arm, Series
from ntkbound.stats.powerlaw import Fit, PowerLawFit
from ntkbound.stats.words import Wants, count, two


class Evidence(Protocol):
    """What a claim is judged by in one arm: a line along an axis, a cell, or pairs of two."""

    @property
    def key(self) -> Key: ...
    @property
    def arm(self) -> Arm: ...
    @property
    def seeds(self) -> tuple[str, ...]: ...
    @property
    def runs(self) -> Rows: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def noted(self, note: str) -> Self:
        """The same with one more note."""


Unjudged = Literal["condition-not-met", "inconclusive"]

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
    """A line of `slopes`: what was found, the claim and the verdict (None: unknown or unbounded).

    axis: empty for a claim without one. claim: None for a fit that no claim is about. estimate:
    what its form estimates, for a rate the slope; told: the same with its interval, in words.
    wants: what would probably settle an inconclusive claim, where seeds or a range would.
    confidence: of the interval. evidence: what it was made from, for figures; fit: the fitted slope
    behind a rate. Both None where there was nothing to judge.
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
    told: str = ""
    wants: Wants = ""
    confidence: float = CONFIDENCE
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
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
        return getattr(self.claim, "kind", None)

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
    def decided(self) -> bool:
        """Whether a claim was put to the test and came to something."""
        return self.judged and self.verdict != "inconclusive"

    @property
    def where(self) -> dict[str, Any]:
        """The runs it is about: those of the claim, in this arm."""
        return {**(self.claim.where if self.claim else {}), **dict(self.arm)}

    @property
    def place(self) -> str:
        """Its arm in words: "scaling=ntk, m=32"; empty where there is none."""
        return _place(self.arm).removeprefix("at ") if self.arm else ""

    @property
    def why(self) -> str:
        """The reason without the arm, beside which it stands."""
        return self.reason.replace(f"; {_place(self.arm)}", "") if self.arm else self.reason

    @property
    def sentence(self) -> str:
        """The finding in words: "slope −1.02 [−1.10, −0.95]: faster than the claimed −0.5"."""
        return f"{self.told}: {self.reason}" if self.told else f"nothing measured: {self.reason}"

    @property
    def effect(self) -> Effect:
        """What it does to a check."""
        return effect(self.verdict, self.claim.status if self.claim else "stated")

    def as_json(self) -> dict[str, Any]:
        """The fields of `slopes --json`, in its order."""
        named = self.key.named
        return {
            "axis": self.axis,
            "term": named["term"],
            "probe": named["probe"],
            "statistic": named["statistic"],
            "form": self.form,
            "column": named["column"],
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


class Said(NamedTuple):
    """A verdict, its reason, and what would probably settle it where it is inconclusive."""

    verdict: str
    reason: str
    wants: Wants = ""


def of_evidence(
    evidence: Evidence,
    claim: Claim | None,
    found: tuple[float, float, float],
    told: str,
    said: Said,
    against: Against,
) -> Verdict:
    """The verdict on a claim; found: the estimate and its interval; told: the same in words. The
    reason is followed by what was left out, and by the arm."""
    parts = [said.reason, *evidence.notes]
    if claim is not None and claim.status == "refuted":
        parts.append(f"known to be false: {claim.reason}")
    elif claim is not None and claim.status == "conjecture":
        parts.append("a conjecture")
    if evidence.arm:
        parts.append(_place(evidence.arm))
    line = evidence if isinstance(evidence, Series) else None
    estimate, low, high = (finite(number) for number in found)
    return Verdict(
        line.axis if line else "", evidence.key, len(line.points) if line else 1,
        len(evidence.seeds), estimate, low, high, said.verdict, "; ".join(parts),
        evidence.arm, claim, against, told, said.wants, evidence=evidence,
    )  # fmt: skip


def of_fit(
    fit: Fit, said: Said, claim: Claim | None = None, against: Against | None = None
) -> Verdict:
    """The verdict on one fitted slope."""
    found = (fit.slope, fit.low, fit.high)
    told = slope_told(*found)
    return replace(of_evidence(fit.series, claim, found, told, said, against or Against()), fit=fit)


def at_confidence(verdict: Verdict, confidence: float) -> Verdict:
    """The verdict with the confidence of its interval, which its reason tells if it is unusual."""
    if confidence == CONFIDENCE or verdict.estimate is None:
        return verdict
    told = f"{verdict.reason}; interval at {100 * confidence:.4g} %"
    return replace(verdict, reason=told, confidence=confidence)


def slope_told(slope: float, low: float, high: float) -> str:
    """ "slope −1.02 [−1.10, −0.95]"; empty where there is none."""
    if not math.isfinite(slope):
        return ""
    ends = ("−∞" if low == -math.inf else two(low), "∞" if high == math.inf else two(high))
    return f"slope {two(slope)} [{ends[0]}, {ends[1]}]"


def describe(fit: PowerLawFit) -> Verdict:
    """A fit that no claim is about: `not-defined`, without a claim."""
    said = "no claim"
    if not math.isfinite(fit.slope):
        said += f"; {count(fit.series)}"
    return of_fit(fit, Said("not-defined", said))


def unjudged(fitted: Verdict, verdict: Unjudged, reason: str) -> Verdict:
    """What was fitted, with this verdict instead of one on the claim."""
    place = f"; {_place(fitted.arm)}" if fitted.arm else ""
    against = replace(fitted.against, p=None)
    return replace(fitted, verdict=verdict, reason=reason + place, against=against, wants="")


def unmeasured(claim: Claim, unmet: str = "") -> Verdict:
    """The verdict on a claim that no group of records speaks about; ``unmet`` says how many of
    them do not meet which of its conditions, where none does."""
    verdict: Unjudged = "condition-not-met" if unmet else "inconclusive"
    found = (axis_of(claim), claim.key, 0, 0, None, None, None)
    return Verdict(*found, verdict, unmet or _silence(claim), claim=claim)


def _silence(claim: Claim) -> str:
    """Why no runs speak about a claim."""
    runs = f"runs with {fields_told(claim.where)}" if claim.where else "runs"
    if isinstance(claim, Along) and not claim.inside:
        return f"no two {runs} that differ only in {claim.axis} and seeds report this statistic"
    if isinstance(claim, Order):
        arms = f"{fields_told(claim.smaller)} and {fields_told(claim.larger)}"
        return f"no {runs} that differ only in {arms} report this statistic"
    inside = " along their steps" if isinstance(claim, Along) else ""
    return f"no {runs} report this statistic{inside}"


def finite(value: float) -> float | None:
    """The number, None where it is unknown or unbounded."""
    return value if math.isfinite(value) else None


def counted(verdicts: Iterable[str], judged: int, word: str) -> str:
    """How many claims or bounds there were, how many of them were put to the test, and what came
    of all: "5 bounds: 3 judged, 3 held, 2 not defined"."""
    counts = Counter("held" if verdict in AGREES else said(verdict) for verdict in verdicts)
    order = ("held", "violated", "inconclusive")
    others = sorted(counts.keys() - {*order})
    parts = [f"{counts[told]} {told}" for told in (*order, *others) if counts[told]]
    total, parts = counts.total(), [f"{judged} judged", *parts]
    return f"{total} {word}{'s' * (total != 1)}: {', '.join(parts)}"


def said(verdict: str) -> str:
    """The verdict beside a number."""
    return SAID.get(verdict, verdict)


def whole(effects: Iterable[Effect]) -> str:
    """The verdict of a whole check from the effects of its verdicts."""
    found = set(effects)
    if "refutes" in found:
        return "violated"
    return "inconclusive" if "undecided" in found else "holds"


@lru_cache(maxsize=4096)
def _place(arm: Arm) -> str:
    """The arm in words, without the fields that it leaves unset."""
    told = [(name, value) for name, value in arm if value != UNSET] or arm
    return "at " + ", ".join(f"{name}={value}" for name, value in told)
