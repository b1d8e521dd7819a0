"""What ``slopes`` and ``check`` share: which records are judged, by which claims, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import tell, unknown_theorems
from ntkbound.core.claim import Claim, axis_of
from ntkbound.core.errors import InputError
from ntkbound.core.preset import Preset, understand_names
from ntkbound.core.record import Record

if TYPE_CHECKING:
    from ntkbound.stats import CheckResult
    from ntkbound.stats.levels import Levels

Unknown = dict[str, list[Record]]  # theorem → its records

NAMED = 5  # damaged records named one by one
Axis = Annotated[
    list[str] | None,
    typer.Option(help="only these axes (repeatable): config fields, or the ratio a/b of two"),
]
ClaimsOf = Annotated[
    str | None, typer.Option(help="preset whose claims to judge, a file or a shipped name")
]


@dataclass(frozen=True)
class Limits:
    """What a table of slopes is limited to; empty: everything."""

    axes: list[str]
    terms: list[str]

    def check(self, records: list[Record]) -> None:
        """Raises InputError for an axis or a term that no record has."""
        parts = [name for axis in self.axes for name in axis.split("/")]
        _known("axis", parts, set(numeric_fields(records)))
        _known("term", self.terms, {name for record in records for name in record.terms})

    def admit(self, axis: str, term: str) -> bool:
        return (not self.axes or axis in self.axes) and (not self.terms or term in self.terms)


ALL = Limits([], [])


@dataclass(frozen=True)
class Checked:
    """A check, the runs that were lost, and the theorems that are not known, each with what is to
    be said of it; all records that were read, and the claims that were judged of them."""

    result: CheckResult
    failed: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    records: Sequence[Record] = ()
    claims: Sequence[Claim] = ()


def load(paths: list[Path]) -> list[Record]:
    """Every complete record; damaged ones are named, never averaged over."""
    from ntkbound.runs.store import survey

    records: dict[str, Record] = {}
    for path in paths:
        found = survey(path)
        for identifier, reason in list(found.damaged.items())[:NAMED]:
            tell(f"left out {identifier}: {reason}")
        if len(found.damaged) > NAMED:
            tell(f"… {len(found.damaged)} damaged records in all: ntkbound status {path}")
        for reason, count in Counter(found.stale.values()).items():
            tell(f"left out {count} record{'s' * (count > 1)} of {path}: {reason}")
        records |= found.complete | found.unknown
    if not records:
        told = ", ".join(str(path) for path in paths)
        raise InputError(f"{told}: no complete records; make some with ntkbound sweep PRESET")
    return list(records.values())


def known_theorems(records: list[Record], what: str) -> tuple[list[Record], Unknown]:
    """The records of theorems that are known here, and those of others, which a line names and of
    which ``what`` is true."""
    lines = unknown_theorems(records)
    for line in lines.values():
        tell(f"{line}: {what}")
    unknown = {name: [one for one in records if one.theorem == name] for name in lines}
    return [record for record in records if record.theorem not in lines], unknown


def claims_for(records: list[Record], preset: Preset | None) -> list[Claim]:
    """What the preset claims of these records; their theorems' own claims where it has none."""
    from ntkbound.stats import claims_of

    if preset is None or not preset.claims or not records:
        return claims_of(records)
    understand_names(preset, {record.theorem for record in records})
    return list(preset.claims)


def judge(
    records: list[Record],
    claims: list[Claim],
    *,
    unclaimed: bool,
    limits: Limits = ALL,
    levels: Levels | None = None,
) -> CheckResult:
    from ntkbound.stats import check
    from ntkbound.stats.levels import ONCE

    claims = [claim for claim in claims if limits.admit(axis_of(claim), claim.key.term)]
    axes = limits.axes or None
    result = check(records, claims, unclaimed=unclaimed, axes=axes, levels=levels or ONCE)
    fits = tuple(fit for fit in result.fits if limits.admit(fit.axis, fit.term))
    return replace(result, fits=fits)


def numeric_fields(records: list[Record]) -> list[str]:
    """The config fields that hold a number, or one for each block, in some record; sorted."""
    return sorted(
        {
            name
            for record in records
            for name, value in record.config.items()
            if isinstance(value, int | float | dict) and not isinstance(value, bool)
        }
    )


def _known(field: str, names: list[str], accepted: set[str]) -> None:
    for name in names:
        if name not in accepted:
            told = ", ".join(sorted(accepted))
            raise InputError(f"{name!r} is unknown; accepted: {told}", field=field)
