"""A number that a run measures, declared once by its theorem and used by everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ntkbound.core.tolerance import Noise


class Key(NamedTuple):
    """Where a number stands among the ``terms`` of a record, or the column of a table."""

    term: str
    probe: str
    statistic: str

    @classmethod
    def of_column(cls, name: str) -> Key:
        """A column of a table that is nobody's record."""
        return cls(name, "", "")

    @property
    def named(self) -> dict[str, str | None]:
        """As JSON has it: term, probe, statistic and column, those that it has not as None."""
        if self.probe:
            return {**self._asdict(), "column": None}
        return {"term": None, "probe": None, "statistic": None, "column": self.term}

    def __str__(self) -> str:
        return " / ".join(filter(None, self))

    @property
    def column(self) -> str:
        """The name of its array in a trace, and of its column in a table."""
        return "/".join(filter(None, self))


@dataclass(frozen=True)
class Quantity:
    """One statistic of one probe of one term.

    label, unit
        How tables and figures call it; the three names where there is no label.
    trained
        Its size is set by how far training got, so that its rounding is that of the dtype trained
        in; the others are measured in float64.
    headline
        Shown where a table shows one statistic of a probe.
    noise
        What rounding is relative to: an ``amplitude``, or a ``square`` of one.
    deterministic
        The same for every seed: one run says it all.
    optional
        Some runs do not measure it; any other is missing where a run has none.
    """

    term: str
    probe: str
    statistic: str
    label: str = ""
    unit: str = ""
    trained: bool = False
    headline: bool = False
    noise: Noise = "amplitude"
    deterministic: bool = False
    optional: bool = False

    @property
    def key(self) -> Key:
        return Key(self.term, self.probe, self.statistic)

    @property
    def title(self) -> str:
        return self.label or str(self.key)
