"""Figures as SVG that fits into a page: its colours are the page's, its ids are its own.

The figures are those of ``slopes --plot`` and of studies; here they are made one panel each, so
that a page lays them out by its width.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.core.record import Record
from ntkbound.report.html.page import Figure
from ntkbound.report.study_figure import plot_study
from ntkbound.report.verdict_panels import plot_verdicts
from ntkbound.stats.observations import Series

if TYPE_CHECKING:
    from ntkbound.stats import Verdict
    from ntkbound.studies.study import Panel

NO_MATPLOTLIB = "No figures: they need matplotlib (pip install 'ntkbound[plot]')."
UNDRAWABLE = "cannot be drawn: a name in it is no text for a figure"
ROOM = 16  # figures of one kind
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ntkbound",
}  # text stays text; same ids always
# Black, white and the grey of single runs are those of the page, be it light or dark.
COLOURS = {"#000000": "currentColor", "#ffffff": "var(--paper)", "#cccccc": "var(--runs)"}
IDS = re.compile(r'(\bid="|xlink:href="#|url\(#)')


@dataclass
class Pictures:
    """Draws the figures of one page, ``room`` of each kind, so that it stays small and is made in
    seconds. left: those that were not drawn."""

    room: int = field(default_factory=lambda: ROOM)
    drawn: int = 0
    left: int = 0
    possible: bool = field(default_factory=lambda: find_spec("matplotlib") is not None)

    @property
    def note(self) -> str:
        """Why figures are missing; empty where none is."""
        if not self.possible:
            return NO_MATPLOTLIB
        return f"{self.drawn} drawn, {self.left} more left out of this page" if self.left else ""

    def of_claim(
        self, fits: Sequence[Verdict], records: Sequence[Record], most: int
    ) -> list[Figure]:
        """One of each line that was fitted; one of all the cells of a claim without an axis."""
        with_lines = [f for f in fits if isinstance(f.evidence, Series) and f.estimate is not None]
        cells = [f for f in fits if f.evidence is not None and not isinstance(f.evidence, Series)]
        groups = [*([fit] for fit in with_lines), *([cells] if cells else [])]
        found = []
        self.left += max(0, len(groups) - most)
        for group in groups[:most]:
            data = {"about": str(group[0].key), "fits": [_numbers(fit) for fit in group]}

            def draw(path: Path, group: Sequence[Verdict] = group) -> None:
                plot_verdicts(path, group, records)

            found += self._figure(_named(group), draw, data)
        return found

    def of_panels(self, panels: Sequence[Panel]) -> list[Figure]:
        """One a panel."""
        found = []
        self.left += max(0, len(panels) - self.room)
        for panel in panels[: self.room]:

            def draw(path: Path, panel: Panel = panel) -> None:
                plot_study(path, [panel])

            lines = [{"label": n.label, "x": _json(n.x), "y": _json(n.y)} for n in panel.lines]
            found += self._figure(panel.title, draw, {"about": panel.title, "lines": lines})
        return found

    def _figure(
        self, title: str, draw: Callable[[Path], None], data: dict[str, Any]
    ) -> list[Figure]:
        if not self.possible:
            return []
        self.drawn += 1
        try:
            return [Figure(title, embedded(as_svg(draw), f"f{self.drawn}-"), data)]
        except ValueError:  # mathematics that is none, or a character that no file can hold
            return [Figure(title, "", data, f"{title}: {UNDRAWABLE}")]


def as_svg(draw: Callable[[Path], None]) -> str:
    """What ``draw`` writes to a file of this name, the same in every process."""
    from matplotlib import rc_context

    with TemporaryDirectory() as folder, rc_context(SETTINGS):
        path = Path(folder) / "figure.svg"
        draw(path)
        return path.read_text(encoding="utf-8")


def embedded(svg: str, prefix: str) -> str:
    """An SVG file as a part of a page: without its head, its style (which would be that of the
    whole page) and the names of its languages, with ids that no other figure has, and in the
    colours of the page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", body)
    body = IDS.sub(lambda found: found[1] + prefix, body).replace("xlink:href", "href")
    for colour, of_page in COLOURS.items():
        body = body.replace(colour, of_page)
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body)[0]
    head = f'<svg role="img" viewBox="0 0 {width} {height}">'
    return head + body[body.index(">") + 1 :].strip()


def _named(group: Sequence[Verdict]) -> str:
    """What the figure is about, and in which runs where there is one group."""
    first = group[0]
    place = ", ".join(f"{name} = {value}" for name, value in first.arm) if len(group) == 1 else ""
    return ", ".join(filter(None, (str(first.key), place)))


def _numbers(fit: Verdict) -> Mapping[str, Any]:
    """What the figure of a fit shows of it; of seeds the median."""
    numbers = {"estimate": fit.estimate, "low": fit.low, "high": fit.high, "claimed": fit.claimed}
    told: dict[str, Any] = {n: None if v is None else _json([v])[0] for n, v in numbers.items()}
    told |= {"axis": fit.axis, "where": dict(fit.arm), "verdict": fit.verdict}
    if isinstance(fit.evidence, Series):
        told["x"] = _json(fit.evidence.points.tolist())
        told["median"] = _json(np.median(fit.evidence.values, axis=0).tolist())
    return told


def _json(values: Sequence[float]) -> list[float | None]:
    """Six digits; no number where it is none that JSON has."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
