"""What a study declares, and what comes out of it: data, neither disk nor screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ntkbound.core.claim import STEP, Claim, axis_of
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.glossary import Effect, Status, effect
from ntkbound.core.outcome import Terms
from ntkbound.core.preset import Preset, load_preset, parse_preset, tables_of
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.core.registry import find
from ntkbound.stats import Verdict, claims_of

Arms = Sequence[str] | Callable[[Record], str]
Role = Literal["measured", "fitted", "claimed", "upper", "lower", "reference"]
Scale = Literal["auto", "linear", "log", "symlog"]  # symlog has a place for 0

# Size → the preset that a study of some name is at that size.
SIZES: Mapping[str, str] = {"smoke": "smoke/{name}", "small": "{name}", "paper": "paper/{name}"}


@dataclass(frozen=True)
class Finding:
    """A statement, its verdict (one of those of docs/verdicts.md) and the numbers behind it."""

    statement: str
    verdict: str
    reason: str
    status: Status = "stated"

    @property
    def effect(self) -> Effect:
        """What it does to the verdict of the study."""
        return effect(self.verdict, self.status)


@dataclass(frozen=True)
class Line:
    """One curve of a panel.

    label
        Its name in the legend.
    low, high
        The interval around each point, where there is one.
    role
        What it is: ``measured`` points, the curve ``fitted`` to them, the one that is ``claimed``,
        a bound from above (``upper``) or below (``lower``), or a curve for ``reference``.
    arm
        The measured line that it belongs to, by its label; empty: its own.
    seeds
        The values at each x that the points are the middle of.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    role: Role = "measured"
    arm: str = ""
    seeds: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class Surface:
    """Values over a grid: ``values[r][c]`` at y[r], x[c]."""

    x: Sequence[float]
    y: Sequence[float]
    values: Sequence[Sequence[float]]
    label: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes, logarithmic wherever its values allow it.

    x, y
        What stands at the axes, in the paper's notation; ``y`` may be empty.
    note
        What the title is followed by, such as fitted slopes.
    scales
        Of x and of y, where they are not to be chosen by the values.
    categories
        What x = 0, 1, 2, … stand for, where x is no number.
    marks
        Vertical lines: label → x.
    surface
        Drawn by colours and level lines in place of lines.
    """

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    note: str = ""
    scales: tuple[Scale, Scale] = ("auto", "auto")
    categories: Sequence[str] = ()
    marks: Mapping[str, float] = field(default_factory=dict)
    surface: Surface | None = None


@dataclass(frozen=True)
class TextTable:
    """Named columns of text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Judgement:
    """What a study's own evaluation adds to its claims; ``fits`` join the table of claims."""

    findings: Sequence[Finding] = ()
    fits: Sequence[Verdict] = ()
    tables: Sequence[TextTable] = ()
    panels: Sequence[Panel] = ()


@dataclass(frozen=True)
class Evidence:
    """All runs of a study. complete: those that reached the last step; diverged: the others."""

    complete: Sequence[Record]
    diverged: Sequence[Record]

    @property
    def all(self) -> list[Record]:
        return [*self.complete, *self.diverged]


def nothing_more(record: Record) -> Terms:
    """No derived terms."""
    return {}


def nothing_else(evidence: Evidence) -> Judgement:
    """No evaluation of its own."""
    return Judgement()


@dataclass(frozen=True)
class Study:
    """One question, the runs that answer it, and how their numbers are judged and drawn.

    Its runs, and what is claimed of them, are presets: see ``at``.

    reading
        One paragraph on how to read table and figure; never what they show.
    theorem
        Name of the theorem that it is about.
    axis, arms
        Tables and panels run along ``axis``, a numeric field of the config or a ratio ``a/b`` of
        two, the smallest of a block. Every combination of the fields ``arms`` is a line; a function
        names the line of a run itself.
    measured
        The quantities shown, medians over seeds.
    derive
        More terms of one record, from its trace or parameters; addressed like the others.
    judge
        Findings that are no rates of a single statistic.
    save
        Keep parameters and inputs in the records, for ``derive``.
    presets
        Size → what is run at it, as TOML text or as the path of a TOML file: of a study that brings
        its own. For other sizes see ``at``.
    """

    title: str
    question: str
    reading: str
    theorem: str
    axis: str
    measured: Sequence[Quantity]
    arms: Arms = ()
    derive: Callable[[Record], Terms] = nothing_more
    judge: Callable[[Evidence], Judgement] = nothing_else
    save: bool = False
    presets: Mapping[str, str | Path] = field(default_factory=dict)

    def at(self, name: str, size: str) -> Edition:
        """This study, found under ``name``, at one size: its own preset for it, else the preset
        ``name`` (small), ``smoke/name`` or ``paper/name``, one of the theorem's or of the package.

        Raises InputError for an unknown size, and for a preset that is not there or has a defect.
        """
        if size not in SIZES:
            accepted = f"accepted: {', '.join(SIZES)}{nearest(size, SIZES)}"
            raise InputError(f"{size!r} is unknown; {accepted}", field="size")
        brought = self.presets.get(size)
        if brought is not None:
            own = load_preset(brought) if isinstance(brought, Path) else self._parsed(brought, name)
            return Edition(name, self, size, own)
        if self.presets:
            told = f"{name} has no preset of size {size!r}; accepted: {', '.join(self.presets)}"
            raise InputError(told, field="size")
        preset = SIZES[size].format(name=name)
        shipped = preset in find(self.theorem).presets
        return Edition(
            name, self, size, load_preset(f"{self.theorem}/{preset}" if shipped else preset)
        )

    def _parsed(self, text: str, name: str) -> Preset:
        return parse_preset(tables_of(text, name), name, self.title, theorem=self.theorem)


@dataclass(frozen=True)
class Edition:
    """A study at one size: its preset says what is run."""

    name: str
    study: Study
    size: str
    preset: Preset

    def claims(self, records: Sequence[Record]) -> list[Claim]:
        """The preset's; where it has none, what the theorem claims of these records, as in any
        check of them, along the study's axis, along the steps inside each run, or along none."""
        if self.preset.claims:
            return list(self.preset.claims)
        own = ("", STEP, self.study.axis)
        return [claim for claim in claims_of(records) if axis_of(claim) in own]


@dataclass(frozen=True)
class Evaluation:
    """A study, evaluated. ``lost``: runs that failed or diverged, with the reason."""

    name: str
    study: Study
    size: str
    verdict: str
    scope: str
    fits: Sequence[Verdict]
    findings: Sequence[Finding]  # of fits, bounds and the study's own evaluation
    tables: Sequence[TextTable]
    panels: Sequence[Panel]
    records: Sequence[Record] = field(repr=False)
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
