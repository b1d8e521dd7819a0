"""Every claim against the series that it is about, corrected for how many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ntkbound.core import registry
from ntkbound.core.claim import Claim, Form, Order
from ntkbound.core.record import Record
from ntkbound.stats.applicability import Concern, Outside, concerns
from ntkbound.stats.columns import Table
from ntkbound.stats.forms import FORMS
from ntkbound.stats.inference import holm
from ntkbound.stats.levels import ONCE, Levels
from ntkbound.stats.selection import selected
from ntkbound.stats.verdicts import Evidence, Verdict, at_confidence, unjudged, unmeasured


def judge_claims(table: Table, claims: Sequence[Claim]) -> list[Verdict]:
    """One verdict per claim and arm (group of runs equal in all but the axis and seeds).

    A claim is judged over the runs that meet its conditions (`Theorem.needs`); an arm without any
    is `condition-not-met`. All are corrected together by Holm's method at `CHECK_LEVEL`. A claim
    that no arm speaks about is inconclusive. Raises InputError for duplicate runs.
    """
    return judge_concerns(claims, concerns(table, claims))


def claims_of(records: Sequence[Record]) -> list[Claim]:
    """What the theorems of these records claim of any of them: along axes that vary in them, and of
    arms that are both there.

    Where there are records of several theorems, which may call different numbers by one name, each
    claim is limited to those of its own. Raises InputError for records of a theorem that is not
    known.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.theorem].append(record)
    return [
        _of_theorem(claim, name) if len(groups) > 1 else claim
        for name, own in groups.items()
        for claim in registry.find(name).claims
        if _speak(own, claim)
    ]


def _speak(records: Sequence[Record], claim: Claim) -> bool:
    """Whether these are about a claim: some are selected by it, of both arms that it compares, and
    vary along its axis."""
    along = claim.along
    varies = not along or any(len({str(r.config.get(name)) for r in records}) > 1 for name in along)
    arms = (claim.smaller, claim.larger) if isinstance(claim, Order) else ({},)
    return varies and all(
        any(selected(record, {**claim.where, **arm}) for record in records) for arm in arms
    )


def _of_theorem(claim: Claim, name: str) -> Claim:
    """The same claim, about records of this theorem alone."""
    return claim.model_copy(update={"where": {**claim.where, "theorem": name}})


def judge_concerns(
    claims: Sequence[Claim], about: Sequence[Concern], levels: Levels = ONCE
) -> list[Verdict]:
    """The verdicts of all claims, each on the series it is about; what could not be put to the
    test comes after, and claims without any series last."""
    confidence = levels.confidence
    pairs: dict[Form, list[tuple[Claim, Evidence]]] = defaultdict(list)
    for claim, concern in zip(claims, about, strict=True):
        pairs[claim.form] += [(claim, evidence) for evidence in concern.evidence]
    cases = [
        (FORMS[form], case)
        for form in pairs
        for case in FORMS[form].prepare(pairs[form], confidence)
    ]
    together = holm([case.p() for _, case in cases if case.lacking is None])
    adjusted = iter([levels.corrected(p) for p in together])
    judged = [
        form.conclude(case, next(adjusted) if case.lacking is None else None)
        for form, case in cases
    ]
    every = list(zip(claims, about, strict=True))
    outside = [
        _outside(claim, arm, confidence) for claim, concern in every for arm in concern.outside
    ]
    silent = [unmeasured(claim, concern.unmet) for claim, concern in every if concern.silent]
    return [at_confidence(verdict, confidence) for verdict in judged + outside] + silent


def _outside(claim: Claim, arm: Outside, confidence: float) -> Verdict:
    """What was measured where the claim's conditions are not met: shown, not tested."""
    form = FORMS[claim.form]
    (case,) = form.prepare([(claim, arm.evidence)], confidence)
    return unjudged(form.conclude(case, None), arm.verdict, arm.reason)
