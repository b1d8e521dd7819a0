"""One proved (or estimated) upper bound of one term, as a record keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["closed-form", "a-priori", "a-posteriori", "estimate"]


@dataclass(frozen=True)
class Certificate:
    """``term`` ≤ ``value``, and how that is known (proofs: docs/certificates.md).

    level
        ``closed-form``   the formulas of docs/theory.md §4: norms ‖U_i(0)‖ and sizes only;
        ``a-priori``      m, n, d, ν, ρ, δ and σ only, known before any head is drawn;
        ``a-posteriori``  uses the realised φ_0, the inputs and the realised transport;
        ``estimate``      no proof: never a bound of a record.
    source
        Where it is derived, and with which probability it holds (a sure bound says nothing).
    """

    term: str
    level: Level
    value: float
    source: str

    @property
    def proved(self) -> bool:
        return self.level != "estimate"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def tightest(certificates: Iterable[Certificate], term: str) -> float | None:
    """The bound a record uses: ``a-posteriori`` where there is one, else ``closed-form``.

    A minimum over levels that may each fail with probability δ would fail more often than δ, so
    exactly one level counts; what is known a priori never beats what was realised.
    """
    values = {c.level: c.value for c in certificates if c.term == term}
    return values.get("a-posteriori", values.get("closed-form"))
