"""Many records as one object: what ``ntkbound.load`` and ``ntkbound.sweep`` give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ntkbound.core.claim import Claim, axis_of
from ntkbound.core.preset import is_preset, load_preset
from ntkbound.core.record import Record, converged
from ntkbound.report.verdict_panels import plot_verdicts
from ntkbound.runs.store import survey
from ntkbound.stats import CheckResult, Verdict, claims_of
from ntkbound.stats import check as judge


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

    def _judged(self, claims: Sequence[Claim] | None) -> list[Claim]:
        given = self.claims if claims is None else claims
        return list(given) or claims_of(self.records)


def load(folder: Path | str = "results") -> Results:
    """The records of a results folder. Raises InputError if there is no such folder."""
    found = survey(Path(folder))
    gone = {name: f"theorem {one.theorem!r} is unknown" for name, one in found.unknown.items()}
    return _results(found.complete.values(), found.failed, found.damaged | found.stale | gone)


def sweep(
    preset: Path | str, out: Path | str = "results", *, jobs: int | None = None, base_seed: int = 0
) -> Results:
    """Runs what is missing of a preset (a TOML file, or a name) and gives exactly its runs.

    ``jobs`` processes (None: one a core) are started; a script that calls this has to be importable
    (``if __name__ == "__main__":``). ``base_seed`` is added to every seed. Raises InputError for a
    preset or a folder that cannot be used.
    """
    from ntkbound.machine.share import available_cores
    from ntkbound.machine.tools import silent_notice
    from ntkbound.runs import sweep as sweeps
    from ntkbound.runs.files import check_writable
    from ntkbound.runs.pools import LocalPool

    loaded, folder = load_preset(preset), Path(out)
    check_writable(folder)
    planned = sweeps.plan(loaded.configs(base_seed))

    def pool() -> LocalPool:
        sweeps.make_ready(planned, silent_notice)
        return LocalPool(jobs or available_cores())

    counts = sweeps.sweep(planned, folder, pool, lambda counts, line: None)
    found = _results(counts.records(folder), counts.failed, {})
    return replace(found, claims=loaded.claims)


def check(
    reference: Path | str, out: Path | str = "results", *, jobs: int | None = None
) -> CheckResult:
    """The verdicts on a preset, whose missing runs are made in ``out``, or on a results folder.

    Raises InputError as ``sweep`` and ``load`` do.
    """
    if is_preset(str(reference)):
        return sweep(reference, out, jobs=jobs).check()
    return load(reference).check()


def _results(
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
