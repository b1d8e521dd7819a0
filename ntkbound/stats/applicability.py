"""Which runs is a claim about? Those that meet its conditions; of the others it is said why not."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ntkbound.core.claim import Along, Claim
from ntkbound.stats.columns import Mask, Part, Rows, Table
from ntkbound.stats.forms import FORMS
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Evidence, Unjudged


@dataclass(frozen=True, eq=False)
class Outside:
    """An arm with too few runs that meet the conditions of a claim: none, or no line of them."""

    evidence: Evidence
    verdict: Unjudged
    reason: str


@dataclass(eq=False)
class Concern:
    """What a table has to say about one claim.

    evidence
        One per arm, of the runs that meet the claim's conditions, with a note on the others.
    outside
        The arms without any.
    unmet
        Why no run that the claim selects meets its conditions, where none measured it either.
    """

    evidence: list[Evidence] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    unmet: str = ""

    @property
    def silent(self) -> bool:
        """No group of runs has anything to say."""
        return not self.evidence and not self.outside

    @property
    def all(self) -> list[Evidence]:
        return [*self.evidence, *(arm.evidence for arm in self.outside)]


def concerns(table: Table, claims: Sequence[Claim]) -> list[Concern]:
    """Per claim, in order, what there is of it. Raises InputError for duplicate runs."""
    found = [Concern() for _ in claims]
    for part in table.parts:
        # Claims about the same runs share one pass over them.
        together: dict[str, list[int]] = defaultdict(list)
        for place, claim in enumerate(claims):
            together[_scope(part, claim)].append(place)
        for places in together.values():
            _of_part(part, [claims[i] for i in places], [found[i] for i in places])
    return found


def _scope(part: Part, claim: Claim) -> str:
    """Equal for claims of one form about the same runs along the same axis."""
    window = [claim.axis, claim.start, claim.stop] if isinstance(claim, Along) else []
    about = [claim.form, window, claim.where, _conditions(part, claim)]
    return json.dumps(about, sort_keys=True, default=str)


def _conditions(part: Part, claim: Claim) -> tuple[str, ...]:
    """Those that a run has to meet; a claim about a column of somebody's table has none."""
    return () if claim.column else tuple(part.declared.needs(claim))


def _of_part(part: Part, claims: Sequence[Claim], found: Sequence[Concern]) -> None:
    """Adds what one theorem's records say about claims of one scope."""
    first = claims[0]
    form, needs, selection = FORMS[first.form], _conditions(part, first), Selection.of(first)
    unmet = _first_unmet(part, needs)
    chosen = Selection(first.where).rows(part, np.zeros(len(part.ids)))
    everything = form.evidence(part, claims, selection)
    if not unmet or not chosen[list(unmet)].any():
        for own, concern in zip(everything, found, strict=True):
            concern.evidence += own
        return
    met = replace(selection, needs=frozenset(needs))
    none_left = all(place in unmet for place in np.flatnonzero(chosen).tolist())
    judged = form.evidence(part, claims, met)
    for every, kept, concern in zip(everything, judged, found, strict=True):
        left = {one.arm: one for one in kept}
        for one in every:
            runs = np.searchsorted(part.rows, one.runs)
            told = _told(runs, unmet)
            if one.arm in left:
                concern.evidence.append(_noted(left[one.arm], f"left out {told}" if told else ""))
            else:
                outside = all(run in unmet for run in runs.tolist())
                verdict: Unjudged = "condition-not-met" if outside else "inconclusive"
                concern.outside.append(Outside(one, verdict, told))
        if not every and none_left:
            concern.unmet = _told(np.flatnonzero(chosen), unmet)


def _noted(evidence: Evidence, note: str) -> Evidence:
    """The evidence with one more note, where there is one."""
    return evidence.noted(note) if note else evidence


def _first_unmet(part: Part, needs: Sequence[str]) -> dict[int, str]:
    """Row → the first of these conditions that it does not meet, or of which nothing is known."""
    unmet: dict[int, str] = {}
    nowhere: Mask = np.zeros(len(part.ids), dtype=bool)
    for name in needs:
        for row in np.flatnonzero(~part.conditions.get(name, nowhere)).tolist():
            unmet.setdefault(row, name)
    return unmet


def _told(runs: Rows, unmet: Mapping[int, str]) -> str:
    """ "3 of 20 runs: condition not met: tokens in the unit ball"; empty where all meet them."""
    counts = Counter(unmet[run] for run in runs.tolist() if run in unmet)
    if not counts:
        return ""
    total = sum(counts.values())
    if len(counts) == 1:
        return f"{total} of {len(runs)} runs: condition not met: {next(iter(counts))}"
    each = ", ".join(f"{name} ({n})" for name, n in counts.items())
    return f"{total} of {len(runs)} runs: conditions not met: {each}"
