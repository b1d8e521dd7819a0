"""Many records as one object: what ``ntkbound.load`` and ``ntkbound.sweep`` give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ntkbound.core import html
from ntkbound.core.claim import Claim, axis_of
from ntkbound.core.errors import InputError
from ntkbound.core.record import Record, converged
from ntkbound.report.html.material import Material
from ntkbound.report.html.write import write_report
from ntkbound.report.verdict_panels import plot_verdicts
from ntkbound.runs.store import survey
from ntkbound.stats import CheckResult, Verdict, claims_of
from ntkbound.stats import check as judge

SHOWN = 20  # runs in a notebook


@dataclass(frozen=True, repr=False)
class Results:
    """Records, without their arrays; a trace is read when it is asked for.

    records
        Complete runs of theorems that are known here.
    lost
        What failed or diverged, id → reason: an inconclusive part of every check.
    left_out
        What else lies in the folder, id → reason: damaged, of another version, or of a theorem that
        is not known here.
    claims
        What a check judges unless it is given claims; empty: those of the theorems.
    """

    records: Sequence[Record]
    lost: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    claims: Sequence[Claim] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        counts = Counter(record.theorem for record in self.records)
        told = ", ".join(f"{count} of {name}" for name, count in sorted(counts.items())) or "none"
        return f"<Results: {told}; {len(self.lost)} lost, {len(self.left_out)} left out>"

    def rows(self) -> list[dict[str, Any]]:
        """One flat mapping a run, such as ``pandas.DataFrame`` takes: ``id``, the fields of the
        config, and every number as ``term/probe/statistic``."""
        return [{"id": one.id, **one.config, **_numbers(one)} for one in self.records]

    def frame(self) -> Any:
        """``rows`` as a pandas.DataFrame, one row a run. Raises InputError without pandas."""
        try:
            import pandas
        except ImportError:
            raise InputError("frame() needs pandas; pip install 'ntkbound[frame]'") from None
        return pandas.DataFrame(self.rows())

    def _repr_html_(self) -> str:
        """In a notebook: a line, and one row a run with its bounds."""
        rows = [(one.id, *(str(one.config.get(n)) for n in self._varying), one.told)
                for one in self.records[:SHOWN]]  # fmt: skip
        left = len(self.records) - len(rows)
        more = html.element("p", f"… and {left} more") if left else ""
        table = html.table(("id", *self._varying, "bounds"), rows)
        return html.element("p", repr(self)) + table + more

    @property
    def _varying(self) -> list[str]:
        """The config fields in which the runs differ."""
        fields = {name for one in self.records for name in one.config}
        seen = {name: {str(one.config.get(name)) for one in self.records} for name in fields}
        return [name for name in sorted(fields) if len(seen[name]) > 1]

    def check(self, claims: Sequence[Claim] | None = None) -> CheckResult:
        """Judges claims and proved bounds. What was lost keeps it from holding.

        Raises InputError for duplicate runs.
        """
        result = judge(self.records, self._judged(claims))
        if result.verdict == "holds" and self.lost:
            return replace(result, verdict="inconclusive")
        return result

    def slopes(
        self, claims: Sequence[Claim] | None = None, axes: Collection[str] | None = None
    ) -> tuple[Verdict, ...]:
        """The fit of every number along ``axes`` (None: those that the theorem names), beside what
        is claimed. Raises InputError for duplicate runs."""
        wanted = [one for one in self._judged(claims) if axes is None or axis_of(one) in axes]
        return judge(self.records, wanted, unclaimed=True, axes=axes).fits

    def plot(self, path: Path | str, fits: Sequence[Verdict] | None = None) -> None:
        """Log-log panels of these fits (None: of all slopes that something is claimed of), as the
        suffix says: .pdf, .svg or .png. Raises InputError for another, or without matplotlib."""
        shown = self.slopes() if fits is None else fits
        claimed = [fit for fit in shown if fit.claim is not None]
        plot_verdicts(Path(path), (claimed or shown) if fits is None else shown, self.records)

    def report(
        self, path: Path | str, claims: Sequence[Claim] | None = None, title: str = "Report"
    ) -> None:
        """One HTML page of everything that these records say, as ``ntkbound report`` writes it.
        Raises InputError for a place that cannot be written, or without jinja2."""
        result = self.check(claims)
        verdict, records = result.verdict, self.records
        page = Material(title, "", result, verdict, records, self.lost, self.left_out)
        write_report(Path(path), page)

    def _judged(self, claims: Sequence[Claim] | None) -> list[Claim]:
        given = self.claims if claims is None else claims
        return list(given) or claims_of(self.records)


def load(folder: Path | str = "results") -> Results:
    """The records of a results folder. Raises InputError if there is no such folder."""
    found = survey(Path(folder))
    gone = {name: f"theorem {one.theorem!r} is unknown" for name, one in found.unknown.items()}
    return collected(found.complete.values(), found.failed, found.damaged | found.stale | gone)


def collected(
    records: Collection[Record], failed: Mapping[str, str], left_out: Mapping[str, str]
) -> Results:
    """A diverged run says nothing of a rate, and is lost as a failed one is."""
    complete, diverged = converged(records)
    return Results(complete, {**failed, **diverged}, left_out)


def _numbers(record: Record) -> dict[str, Any]:
    return {
        f"{term}/{probe}/{statistic}": value
        for term, probes in record.terms.items()
        for probe, statistics in probes.items()
        for statistic, value in statistics.items()
    }
