"""A study on disk: its figure and its Markdown page."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ntkbound.report.study_figure import plot_study
from ntkbound.report.study_page import as_markdown
from ntkbound.runs.files import write_text

if TYPE_CHECKING:
    from ntkbound.studies.study import Outcome

NO_MATPLOTLIB = "No figure: it needs matplotlib (pip install 'ntkbound[plot]')."
NO_PANELS = "No figure: no run of this study is complete."


def write_study(outcome: Outcome, out: Path, suffix: str, command: str) -> Path:
    """Writes ``out/NAME.md`` and its figure, and returns the page's path."""
    figure = f"{outcome.name}.{suffix}"
    if find_spec("matplotlib") is None:
        figure = NO_MATPLOTLIB
    elif not outcome.panels:
        figure = NO_PANELS
    else:
        plot_study(out / figure, outcome.panels)
    page = out / f"{outcome.name}.md"
    write_text(page, as_markdown(outcome, command, figure))
    return page
