"""A record: one run with its config and environment. How it lies on disk is ``runs.record``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntkbound.core import html
from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Certificate, Check
from ntkbound.core.quantity import Key

if TYPE_CHECKING:  # the help and the reports are quick without
    import numpy as np

SCHEMA = 2  # layout of a record


@dataclass(frozen=True, repr=False)
class Record:
    """One run. ``trace`` of a record on disk is read when it is asked for; ``arrays`` are empty
    where they were not read, or not saved; ``path`` is None until it is written. ``code``: SHA-256
    of the user's files that it executed, by the field that names them."""

    id: str
    theorem: str
    version: int
    config: Mapping[str, Any]
    terms: Mapping[str, Any]
    status: str = "complete"
    checks: Sequence[Check] = ()
    bounds: Mapping[str, float | None] = field(default_factory=dict)
    certificates: Sequence[Certificate] = ()
    conditions: Mapping[str, bool | None] = field(default_factory=dict)
    notes: Sequence[str] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    data_sha256: str | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    trace: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    path: Path | None = None

    @property
    def told(self) -> str:
        """What became of its bounds, in words: "11 holds, 2 vacuous"."""
        counts = Counter(check.verdict for check in self.checks)
        return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no bounds"

    def __repr__(self) -> str:
        where = "not written" if self.path is None else f"in {self.path}"
        return f"<Record {self.id}: {self.status}; {self.told}; {where}>"

    def _repr_html_(self) -> str:
        """In a notebook: the table that the terminal shows, and what varies of its config."""
        titles = ("term", "probe", "statistic", "measured", "bound", "slack", "verdict")
        rows = [
            (*check.key, *map(_three, (check.measured, check.bound, check.slack)), check.verdict)
            for check in self.checks
        ]
        notes = "".join(html.element("li", note) for note in self.notes)
        return html.element("p", repr(self)) + html.table(titles, rows) + f"<ul>{notes}</ul>"

    @property
    def complete(self) -> bool:
        return self.status == "complete"

    @property
    def folder(self) -> Path:
        """Where it lies. Raises InputError for a record that was never written."""
        if self.path is None:
            raise InputError(f"{self.id}: was never written to a folder")
        return self.path

    def number(self, key: Key) -> float | None:
        """One measured number; None where this run has none."""
        value = self.terms.get(key.term, {}).get(key.probe, {}).get(key.statistic)
        return None if value is None else float(value)

    def array_group(self, name: str) -> dict[str, np.ndarray]:
        """Block → array of one group of kept arrays (``initial``, ``final``, …)."""
        prefix = f"{name}."
        return {k.removeprefix(prefix): a for k, a in self.arrays.items() if k.startswith(prefix)}

    def require(self, *names: str) -> None:
        """Raises InputError unless the record was saved with these arrays."""
        missing = [name for name in names if name not in self.arrays]
        if missing:
            raise InputError(
                f"{self.id}: saved without {', '.join(missing)}; "
                "run it again with its parameters and inputs saved"
            )

    def as_json(self) -> dict[str, Any]:
        """The content of run.json, all but its checksum."""
        told: dict[str, Any] = {
            "schema": SCHEMA,
            "id": self.id,
            "theorem": self.theorem,
            "version": self.version,
            "status": self.status,
            "config": dict(self.config),
            "environment": dict(self.environment),
            "terms": dict(self.terms),
            "bounds": dict(self.bounds),
            "certificates": [row.as_dict() for row in self.certificates],
            "checks": [row.as_dict() for row in self.checks],
            "conditions": dict(self.conditions),
            "notes": list(self.notes),
        }
        if self.data_sha256 is not None:
            told["data_sha256"] = self.data_sha256
        if self.code:
            told["code"] = dict(self.code)
        return told | {"files": dict(self.files)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], path: Path | None = None) -> Record:
        """The record of a run.json. Raises KeyError or TypeError where it is of another form."""
        return cls(
            id=str(data["id"]),
            theorem=str(data["theorem"]),
            version=int(data["version"]),
            status=str(data["status"]),
            config=data["config"],
            environment=data["environment"],
            terms=data["terms"],
            bounds=data["bounds"],
            certificates=tuple(Certificate(**row) for row in data["certificates"]),
            checks=tuple(Check(**row) for row in data["checks"]),
            conditions=data["conditions"],
            notes=tuple(data["notes"]),
            data_sha256=data.get("data_sha256"),
            code=data.get("code", {}),
            files=data["files"],
            path=path,
        )


def _three(value: float | None) -> str:
    """Three significant digits."""
    return "–" if value is None else f"{value:.3g}"


def converged(records: Iterable[Record]) -> tuple[list[Record], dict[str, str]]:
    """Runs that went to their end, and the others' status by id: a diverged run says nothing of a
    rate."""
    every = list(records)
    kept = [record for record in every if record.complete]
    return kept, {record.id: record.status for record in every if not record.complete}
