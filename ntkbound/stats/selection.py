"""Which records is a claim about? Config values, and a window of the axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ntkbound.core.claim import Along, Claim
from ntkbound.core.record import Record
from ntkbound.stats.columns import Array, Mask, Part, as_number, one_number, one_numbers

RANGE = frozenset({"from", "to"})


@dataclass(frozen=True)
class Selection:
    """Records whose fields have these values, where the axis lies in [start, stop].

    where: field → a value, a list of accepted values, or ``{from, to}`` (either end may be
    missing); blocks of equal values count as one number, and a field that follows from others is
    compared as the config has it. needs: conditions of the theorem that they meet.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    start: float | None = None
    stop: float | None = None
    needs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, claim: Claim) -> Selection:
        """The runs a claim is about; a window of steps selects none of them."""
        if isinstance(claim, Along) and not claim.inside:
            return cls(claim.where, claim.start, claim.stop)
        return cls(claim.where)

    def narrowed(self, fields: Mapping[str, Any]) -> Selection:
        """Those of the selected records that have these values, too."""
        return replace(self, where={**self.where, **fields})

    def rows(self, part: Part, x: Array) -> Mask:
        """(N,) the records selected; x (N,) is where they lie along the axis."""
        chosen: Mask = np.ones(len(part.ids), dtype=bool)
        for name, wanted in self.where.items():
            column = part.given.get(name) or part.fields.get(name)
            if column is None:
                return np.zeros(len(part.ids), dtype=bool)
            fits = np.array([matches(value, wanted) for value in column.values], dtype=bool)
            chosen &= fits[column.codes]
        for name in self.needs:
            chosen &= part.conditions.get(name, False)
        if self.start is not None:
            chosen &= x >= self.start
        if self.stop is not None:
            chosen &= x <= self.stop
        return chosen


EVERY = Selection()


def selected(record: Record, where: Mapping[str, Any]) -> bool:
    """Whether a claim with this `where` is about the record."""
    config = one_numbers(record.config) | {"theorem": record.theorem}
    return all(name in config and matches(config[name], wanted) for name, wanted in where.items())


def matches(value: object, wanted: object) -> bool:
    """Whether a config value is the one wanted, one of a list, or within ``{from, to}``."""
    if isinstance(wanted, Mapping) and wanted and wanted.keys() <= RANGE:
        number = as_number(value)
        low, high = wanted.get("from", -math.inf), wanted.get("to", math.inf)
        return bool(low <= number <= high)  # False for NaN: no number
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return any(matches(value, one) for one in wanted)
    if isinstance(wanted, Mapping):
        wanted = one_number(wanted)
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted
