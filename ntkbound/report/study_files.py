"""A study on disk: its figure and its Markdown page."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ntkbound.report.study_figure import plot_study
from ntkbound.report.study_page import Figure, as_markdown
from ntkbound.runs.files import write_text

if TYPE_CHECKING:
    from ntkbound.studies.study import Evaluation

NO_MATPLOTLIB = Figure(None, "it needs matplotlib (pip install 'ntkbound[plot]')")
NO_PANELS = Figure(None, "no run of this study is complete")


def write_study(evaluation: Evaluation, out: Path, suffix: str, command: str) -> Path:
    """Writes ``out/NAME.md`` and its figure, and returns the page's path."""
    figure = _draw(evaluation, out / f"{evaluation.name}.{suffix}")
    page = out / f"{evaluation.name}.md"
    write_text(page, as_markdown(evaluation, command, figure))
    return page


def _draw(evaluation: Evaluation, path: Path) -> Figure:
    if find_spec("matplotlib") is None:
        return NO_MATPLOTLIB
    if not evaluation.panels:
        return NO_PANELS
    plot_study(path, evaluation.panels)
    return Figure(path)
