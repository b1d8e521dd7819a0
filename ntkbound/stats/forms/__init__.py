"""What can be claimed about a measured number: one module per form.

A form is a module of this folder, named in `FORMS` under its word in `core.claim.Form`. It has

``evidence(part, claims, selection)``
    What the selected records of one theorem say about each of these claims, which are about the
    same runs: per claim, one piece of `Evidence` per arm.
``prepare(pairs, confidence)``
    pairs of a claim of this form and a piece of evidence → one `Case` each, in their order:
    everything that the evidence alone says about the claim, with intervals at this confidence. All
    claims of a check come at once, so that what can be fitted together is.
``Case.lacking``
    Why nothing can be concluded at all (too few points, …); None where the claim can be tested.
``Case.p()``
    The p-value of "the claim is true". The claims of a check, of whatever form, are corrected
    together by Holm's method, and for the looks there are (`stats.levels`); it is asked of cases
    that lack nothing.
``conclude(case, p)``
    The verdict, given the p-value so corrected (None: the case lacks something). It says
    *violated* only if p ≤ `CHECK_LEVEL`, and *holds* only on evidence: within its own margin of
    `stats.margins`, which it prints. An inconclusive one says in `wants` what would settle it.
    Error rates are calibrated: see docs/calibration.md.

A further form is such a module, a line of `FORMS`, its class in `core.claim`, its panel in
`report.figures` and its rows of the calibration; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ntkbound.core.claim import Claim, Form
from ntkbound.stats.columns import Part
from ntkbound.stats.forms import exponential, fraction, level, order, rate
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Evidence, Verdict
from ntkbound.stats.words import Advice


class Case(Protocol):
    """A claim with what one piece of evidence says about it."""

    @property
    def lacking(self) -> Advice | None: ...

    def p(self) -> float: ...


class FormOfClaim(Protocol):
    """What a module of this folder provides; claims and evidence are those of its own form."""

    def evidence(
        self, part: Part, claims: Sequence[Claim], selection: Selection
    ) -> Sequence[Sequence[Evidence]]: ...

    def prepare(
        self, pairs: Sequence[tuple[Any, Any]], confidence: float = ...
    ) -> Sequence[Any]: ...

    def conclude(self, case: Any, p: float | None) -> Verdict: ...


FORMS: Mapping[Form, FormOfClaim] = {
    "rate": rate,
    "exponential": exponential,
    "level": level,
    "fraction": fraction,
    "order": order,
}
