"""A study on disk: its figure and its Markdown page."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ntkbound.report.figures import save_figures
from ntkbound.report.study_figure import FIELD, draw_study
from ntkbound.report.study_page import Figure, as_markdown
from ntkbound.report.style import Layout
from ntkbound.runs.files import write_text

if TYPE_CHECKING:
    from ntkbound.studies.study import Evaluation

NO_MATPLOTLIB = Figure(reason="it needs matplotlib (pip install 'ntkbound[plot]')")
NO_PANELS = Figure(reason="no run of this study is complete")


@dataclass(frozen=True)
class Drawing:
    """How the figure of a study is made: pdf, svg or png, and its layout."""

    suffix: str = "pdf"
    layout: Layout = field(default_factory=Layout)


def write_study(evaluation: Evaluation, out: Path, drawing: Drawing, command: str) -> Path:
    """Writes ``out/NAME.md`` and its figure, and returns the page's path. Beside a PDF, which no
    page can show, there are its sheets as PNG."""
    figure = _draw(evaluation, out / f"{evaluation.name}.{drawing.suffix}", drawing.layout)
    page = out / f"{evaluation.name}.md"
    write_text(page, as_markdown(evaluation, command, figure))
    return page


def _draw(evaluation: Evaluation, path: Path, layout: Layout) -> Figure:
    if find_spec("matplotlib") is None:
        return NO_MATPLOTLIB
    if not evaluation.panels:
        return NO_PANELS
    sheets = draw_study(evaluation.panels, layout)
    drawn = save_figures(FIELD, path, sheets, layout.dpi)
    if path.suffix != ".pdf":
        return Figure(drawn)
    beside = path.with_name(f"{path.stem}.png")  # a name of a study may hold dots
    return Figure(save_figures(FIELD, beside, sheets, layout.dpi), path)
