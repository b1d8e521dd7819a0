"""Every claim against the series that it is about, corrected for how many there are."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from ntkbound.core.claim import Claim, Form
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.core.theorem import find
from ntkbound.stats.columns import Table
from ntkbound.stats.forms import FORMS
from ntkbound.stats.inference import holm
from ntkbound.stats.observations import Series, lines
from ntkbound.stats.selection import Selection, selected
from ntkbound.stats.verdicts import Verdict, unmeasured

Scope = tuple[str, str]  # axis, and what of it is selected


def judge_claims(table: Table, claims: Sequence[Claim]) -> list[Verdict]:
    """One verdict per claim and arm (group of runs equal in all but the axis and seeds).

    All are corrected together by Holm's method at `CHECK_LEVEL`. A claim that no arm speaks about
    is inconclusive. Raises InputError for duplicate runs.
    """
    return judge_series(claims, concerned(table, claims))


def claims_of(records: Sequence[Record]) -> list[Claim]:
    """What the theorems of these records claim along axes that vary in them, of any of them.

    Raises InputError for records of a theorem that is not known.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.theorem].append(record)
    return [
        claim
        for name, own in groups.items()
        for claim in find(name).claims
        if len({str(record.config.get(claim.axis)) for record in own}) > 1
        and any(selected(record, claim.where) for record in own)
    ]


def concerned(table: Table, claims: Sequence[Claim]) -> list[list[Series]]:
    """Per claim the series that it is about, one per arm."""
    keys: dict[Scope, set[Key]] = defaultdict(set)
    scopes = [_scope(claim) for claim in claims]
    for scope, claim in zip(scopes, claims, strict=True):
        keys[scope].add(claim.key)
    found: dict[tuple[Scope, Key], list[Series]] = defaultdict(list)
    for scope, claim in dict(zip(scopes, claims, strict=True)).items():
        for part in table.parts:
            for series in lines(part, claim.axis, Selection.of(claim), keys[scope]):
                found[scope, series.key].append(series)
    return [found[scope, claim.key] for scope, claim in zip(scopes, claims, strict=True)]


def judge_series(claims: Sequence[Claim], about: Sequence[Sequence[Series]]) -> list[Verdict]:
    """The verdicts of all claims, each on the series it is about; those without any come last."""
    pairs: dict[Form, list[tuple[Claim, Series]]] = defaultdict(list)
    for claim, group in zip(claims, about, strict=True):
        pairs[claim.form] += [(claim, series) for series in group]
    cases = [(FORMS[form], case) for form in pairs for case in FORMS[form].prepare(pairs[form])]
    adjusted = iter(holm([case.p() for _, case in cases if case.lacking is None]))
    judged = [
        form.conclude(case, next(adjusted) if case.lacking is None else None)
        for form, case in cases
    ]
    silent = [unmeasured(claim) for claim, group in zip(claims, about, strict=True) if not group]
    return judged + silent


def _scope(claim: Claim) -> Scope:
    """Equal for claims about the same records."""
    window = [claim.where, claim.start, claim.stop]
    return claim.axis, json.dumps(window, sort_keys=True, default=str)
