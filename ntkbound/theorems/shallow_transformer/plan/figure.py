"""The fewest heads against the samples, as a figure for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ntkbound.report.figures import PANEL, new_figure, save_figure


def plot_widths(
    path: Path, curves: Mapping[str, tuple[Sequence[int], Sequence[int | None]]]
) -> None:
    """Smallest m against n, one line per level: level → (n, m), null where there is none.

    Raises InputError for another format, no matplotlib, or a file that cannot be written.
    """
    figure = new_figure("curve", path, PANEL)
    axis = figure.subplots()
    for level, (n, m) in curves.items():
        known = [(a, b) for a, b in zip(n, m, strict=True) if b is not None]
        axis.plot([a for a, _ in known], [b for _, b in known], "o-", markersize=3, label=level)
    axis.set(xscale="log", xlabel="n", ylabel="m", ylim=(0, None))
    axis.set_title("smallest m with any τ; a straight line is growth like log n", fontsize=7)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6)
    save_figure("curve", path, figure)
