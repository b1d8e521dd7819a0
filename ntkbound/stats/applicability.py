"""Which runs is a claim about? Those that meet its conditions; of the others it is said why not."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ntkbound.core.claim import Claim
from ntkbound.core.quantity import Key
from ntkbound.stats.columns import Mask, Part, Rows, Table
from ntkbound.stats.observations import Series, lines
from ntkbound.stats.selection import Selection
from ntkbound.stats.verdicts import Unjudged


@dataclass(frozen=True, eq=False)
class Outside:
    """An arm with too few runs that meet the conditions of a claim: none, or no line of them."""

    series: Series
    verdict: Unjudged
    reason: str


@dataclass(eq=False)
class Concern:
    """What a table has to say about one claim.

    series
        One per arm, of the runs that meet the claim's conditions, with a note on the others.
    outside
        The arms without such a line.
    unmet
        Why no run that the claim selects meets its conditions, where none measured it either.
    """

    series: list[Series] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    unmet: str = ""

    @property
    def silent(self) -> bool:
        """No group of runs has anything to say."""
        return not self.series and not self.outside

    @property
    def all(self) -> list[Series]:
        return [*self.series, *(arm.series for arm in self.outside)]


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
    """Equal for claims about the same runs along the same axis."""
    window = [claim.axis, claim.where, claim.start, claim.stop, part.declared.needs(claim)]
    return json.dumps(window, sort_keys=True, default=str)


def _of_part(part: Part, claims: Sequence[Claim], found: Sequence[Concern]) -> None:
    """Adds what one theorem's records say about claims of one scope."""
    first = claims[0]
    keys = {claim.key for claim in claims}
    needs, selection = tuple(part.declared.needs(first)), Selection.of(first)
    unmet = _first_unmet(part, needs)
    chosen = Selection(first.where).rows(part, np.zeros(len(part.ids)))
    everything = _by_key(lines(part, first.axis, selection, keys))
    if not unmet or not chosen[list(unmet)].any():
        for claim, concern in zip(claims, found, strict=True):
            concern.series += everything[claim.key]
        return
    met = replace(selection, needs=frozenset(needs))
    judged = _by_key(lines(part, first.axis, met, keys))
    none_left = all(place in unmet for place in np.flatnonzero(chosen).tolist())
    for claim, concern in zip(claims, found, strict=True):
        left = {series.arm: series for series in judged[claim.key]}
        for series in everything[claim.key]:
            runs = np.searchsorted(part.rows, series.runs)
            told = _told(runs, unmet)
            if series.arm in left:
                own = left[series.arm]
                notes = (*own.notes, f"left out {told}") if told else own.notes
                concern.series.append(replace(own, notes=notes))
            else:
                every = all(run in unmet for run in runs.tolist())
                verdict: Unjudged = "condition-not-met" if every else "inconclusive"
                concern.outside.append(Outside(series, verdict, told))
        if not everything[claim.key] and none_left:
            concern.unmet = _told(np.flatnonzero(chosen), unmet)


def _by_key(series: Sequence[Series]) -> Mapping[Key, list[Series]]:
    found: dict[Key, list[Series]] = defaultdict(list)
    for one in series:
        found[one.key].append(one)
    return found


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
