"""What a report page is made from: a check, the runs judged, and those that could not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ntkbound.core.record import Record
from ntkbound.core.registry import known
from ntkbound.stats import arm_text, config_of

if TYPE_CHECKING:
    from ntkbound.stats import CheckResult
    from ntkbound.studies.study import Evaluation

MOST_POINTS = 8  # values of an axis that a figure tells apart


@dataclass(frozen=True)
class Material:
    """title, command: what the page is called, and how it is made again (empty: not said).
    verdict: of all, lost runs included. lost, left_out: id → why a run, or a theorem's runs, are
    not among the records. study: where the page is about one."""

    title: str
    command: str
    result: CheckResult
    verdict: str
    records: Sequence[Record]
    lost: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    study: Evaluation | None = None

    @cached_property
    def configs(self) -> dict[str, dict[str, Any]]:
        """Id of a record → its config as arms show it: equal blocks as one number."""
        return {record.id: config_of(record) for record in self.records}

    @cached_property
    def fields(self) -> dict[str, dict[str, int]]:
        """Config field → its values as text, each with how many runs have it."""
        found: dict[str, dict[str, int]] = {}
        for config in self.configs.values():
            for name, value in config.items():
                counts = found.setdefault(name, {})
                counts[arm_text(value)] = counts.get(arm_text(value), 0) + 1
        return dict(sorted(found.items()))

    @cached_property
    def varying(self) -> list[str]:
        """The config fields in which the runs differ."""
        runs = len(self.records)
        shared = {n for n, counts in self.fields.items() if runs in counts.values()}
        return [name for name in self.fields if name not in shared]

    @cached_property
    def telling(self) -> list[str]:
        """Those of them that say something new: of several that are equal in every run one."""
        found: dict[tuple[str, ...], str] = {}
        for name in sorted(self.varying, key=lambda name: (len(name), name)):
            values = tuple(arm_text(config.get(name)) for config in self.configs.values())
            found.setdefault(values, name)
        return sorted(found.values())

    def told(self, record: Record) -> str:
        """What tells a run from the others: "m = 64, seed = 1"."""
        config = self.configs[record.id]
        return ", ".join(f"{n} = {arm_text(config[n])}" for n in self.telling if n in config)

    @cached_property
    def parts(self) -> dict[str, list[Record]]:
        """Theorem → its records."""
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.theorem, []).append(record)
        return dict(sorted(found.items()))

    def axis(self, name: str) -> str:
        """The number of the config along which most values were run, one of the theorem's own axes
        where one varies; empty where none does."""
        theorem = known(name)
        values: dict[str, set[float]] = {}
        for record in self.parts[name]:
            for field_, value in self.configs[record.id].items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    values.setdefault(field_, set()).add(float(value))
        several = sorted(field_ for field_, found in values.items() if len(found) > 1)
        seeds = set() if theorem is None else {*theorem.config.seeds}
        own = () if theorem is None else theorem.axes
        ranked = [field_ for field_ in several if field_ in own] or several
        ranked = [field_ for field_ in ranked if field_ not in seeds and field_ != "seed"]
        return max(ranked, key=lambda field_: len(values[field_]), default="")

    def groups(self, name: str) -> dict[float | None, list[Record]]:
        """The records of a theorem by their place along its axis, a few places spread over it; all
        of them under None where no number varies."""
        axis = self.axis(name)
        if not axis:
            return {None: self.parts[name]}
        found: dict[float, list[Record]] = {}
        for record in self.parts[name]:
            value = self.configs[record.id].get(axis)
            if isinstance(value, int | float):
                found.setdefault(float(value), []).append(record)
        return {value: found[value] for value in spread(sorted(found))}


def spread(values: Sequence[float], most: int = MOST_POINTS) -> list[float]:
    """At most so many of sorted values, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    step = (len(values) - 1) / (most - 1)
    return [values[round(place * step)] for place in range(most)]
