"""What the bound of a certificate may know, and which of several a record uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ntkbound.core.outcome import Certificate

# closed-form   the formulas of docs/theory.md §4: norms ‖U_i(0)‖ and sizes only;
# a-priori      m, n, d, ν, ρ, δ and σ only, known before any head is drawn;
# a-posteriori  the realised φ_0, the inputs and the realised transport;
# user          constants that the user's class states, and nobody has checked;
# estimate      no proof. Neither of the last two is ever a bound of a record.
Level = Literal["closed-form", "a-priori", "a-posteriori", "user", "estimate"]


def tightest(certificates: Iterable[Certificate], term: str) -> float | None:
    """The bound a record uses: ``a-posteriori`` where there is one, else ``closed-form``.

    A minimum over levels that may each fail with probability δ would fail more often than δ, so
    exactly one level counts; what is known a priori never beats what was realised.
    """
    values = {c.level: c.value for c in certificates if c.term == term}
    return values.get("a-posteriori", values.get("closed-form"))
