"""Where the slack of the proof goes, as a figure for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ntkbound.core.errors import InputError
from ntkbound.report.figures import new_figure, save_figure

if TYPE_CHECKING:
    from ntkbound.theorems.shallow_transformer.audit.decomposition import Share

LARGE_SHARE = 0.1  # of the slack: drawn in the second colour


def plot_shares(path: Path, shares: Sequence[Share]) -> None:
    """Where bound/measured goes: one bar per link from the value before it to the value after.

    Raises InputError for another format, no matplotlib, or where there is no slack to show.
    """
    if not shares:
        told = "the bound is vacuous or not defined, there is nothing to draw"
        raise InputError(told, field="figure")
    figure = new_figure("figure", path, (6.6, 0.8 + 0.24 * len(shares)))
    axis = figure.subplots()
    start = shares[0].reached / shares[0].factor
    reached = start
    for row, share in enumerate(shares):
        color = "C3" if share.share is not None and share.share >= LARGE_SHARE else "C0"
        axis.plot([reached, share.reached], [row, row], color=color, linewidth=6, alpha=0.8)
        axis.annotate(
            f"{share.factor:.3g}×", (max(reached, share.reached), row), fontsize=7,
            xytext=(6, 0), textcoords="offset points", va="center",
        )  # fmt: skip
        reached = share.reached
    for value, text in ((start, "measured"), (reached, "bound")):
        axis.axvline(value, color="0.5", linewidth=0.8, linestyle=":")
        axis.annotate(
            f"{text} {value:.3g}", (value, -0.9), fontsize=7, ha="center", annotation_clip=False
        )
    axis.set(xscale="log", xlabel="RMSE", ylim=(len(shares) - 0.4, -1.4))
    axis.set_xlim(start / 1.6, reached * 2.5)
    axis.set_yticks(range(len(shares)), labels=[f"{s.step} {s.name}" for s in shares])
    axis.tick_params(labelsize=7)
    save_figure("figure", path, figure)
