"""What a study declares, and what comes out of it: data, neither disk nor screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.preset import Preset, parse_preset
from ntkbound.runs.record import Record
from ntkbound.stats import Verdict

Row = Mapping[str, Any]  # a record in the shape of run.json
Terms = dict[str, dict[str, dict[str, float]]]  # term → probe → statistic → number
Arms = Sequence[str] | Callable[[Row], str]


@dataclass(frozen=True)
class Quantity:
    """A measured number of every run: a column of the study's table and a panel of its figure.

    ``bound``: draw the proved bound beside it.
    """

    label: str
    term: str
    probe: str
    statistic: str
    bound: bool = False


@dataclass(frozen=True)
class Finding:
    """A statement, its verdict (one of those of docs/verdicts.md) and the numbers behind it."""

    statement: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Line:
    """One curve of a panel, with the interval around each point where there is one."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes, logarithmic wherever its values allow it; ``y`` may be empty."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Table:
    """Named columns of text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Judgement:
    """What a study's own evaluation adds to its claims; ``fits`` join the table of claims."""

    findings: Sequence[Finding] = ()
    fits: Sequence[Verdict] = ()
    tables: Sequence[Table] = ()
    panels: Sequence[Panel] = ()


@dataclass(frozen=True)
class Evidence:
    """All runs of a study. rows: those that reached τ; diverged: the others, up to that step."""

    rows: Sequence[Row]
    diverged: Sequence[Row]

    @property
    def all(self) -> list[Row]:
        return [*self.rows, *self.diverged]


def nothing_more(record: Record) -> Terms:
    """No derived terms."""
    return {}


def nothing_else(evidence: Evidence) -> Judgement:
    """No evaluation of its own."""
    return Judgement()


@dataclass(frozen=True)
class Study:
    """One question, the runs that answer it, and how their numbers are judged and drawn.

    sizes
        Per size (smoke, small, paper) the tables of a preset (see `core.preset`): ``run`` and
        ``sweep``.
    axis, arms
        Tables and panels run along ``axis``, a numeric field of the config or ``rho/nu``, the
        smallest ratio of a block. Every combination of the fields ``arms`` is a line; a function
        names the line of a run itself.
    measured
        The quantities shown, medians over seeds.
    claims
        Judged as ``ntkbound check`` judges those of a preset.
    derive
        More terms of one record, from its trace or parameters; addressed like the others.
    judge
        Findings that are no rates of a single statistic.
    save
        Keep parameters and inputs in the records, for ``derive``.
    reading
        One paragraph on how to read table and figure; never what they show.
    """

    title: str
    question: str
    reading: str
    sizes: Mapping[str, Mapping[str, Any]]
    axis: str
    measured: Sequence[Quantity]
    arms: Arms = ()
    claims: Sequence[Claim] = ()
    derive: Callable[[Record], Terms] = nothing_more
    judge: Callable[[Evidence], Judgement] = nothing_else
    save: bool = False

    def preset(self, name: str, size: str) -> Preset:
        """The runs of one size. Raises InputError for a size that the study does not declare."""
        if size not in self.sizes:
            accepted = f"{', '.join(self.sizes)}{nearest(size, self.sizes)}"
            raise InputError(f"--size: {size!r} is unknown; accepted: {accepted}")
        where = f"study {name} --size {size}"
        return parse_preset(self.sizes[size], where, f"{name}, {size}")


@dataclass(frozen=True)
class Outcome:
    """A study, evaluated. ``lost``: runs that failed or diverged, with the reason."""

    name: str
    study: Study
    size: str
    verdict: str
    scope: str
    fits: Sequence[Verdict]
    findings: Sequence[Finding]  # of fits, bounds and the study's own evaluation
    tables: Sequence[Table]
    panels: Sequence[Panel]
    rows: Sequence[Row] = field(repr=False)
    lost: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "study": self.name,
            "size": self.size,
            "question": self.study.question,
            "scope": self.scope,
            "verdict": self.verdict,
            "fits": [fit.as_json() for fit in self.fits],
            "findings": [vars(finding) for finding in self.findings],
            "tables": [
                {"title": t.title, "columns": list(t.columns), "rows": [list(r) for r in t.rows]}
                for t in self.tables
            ],
            "lost": dict(self.lost),
        }
