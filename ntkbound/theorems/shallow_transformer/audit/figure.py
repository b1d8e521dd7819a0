"""Where the slack of the proof goes, as a figure for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntkbound.core.errors import InputError
from ntkbound.report.figures import check_figure, new_figure, save_figure
from ntkbound.report.notation import wrapped
from ntkbound.report.style import COLOURS, SMALL, Layout, style
from ntkbound.report.ticks import set_log_ticks

if TYPE_CHECKING:
    from ntkbound.theorems.shallow_transformer.audit.decomposition import Share

LARGE_SHARE = 0.1  # of the slack: drawn darker and full
AXES, FACTOR = 0.6, 0.5  # of the width: the axes; inches: the number beside a bar
NAMES = 0.34  # of the width: the names of links


def plot_shares(path: Path, shares: Sequence[Share], layout: Layout) -> None:
    """Draws and saves them.

    Raises InputError for another format, no matplotlib, or where there is no slack to show.
    """
    check_figure("figure", path)
    save_figure("figure", path, draw_shares(shares, layout), layout.dpi)


@style()
def draw_shares(shares: Sequence[Share], layout: Layout) -> Any:
    """Where bound/measured goes: one bar per link from the value before it to the value after.

    Raises InputError where there is no slack to show.
    """
    if not shares:
        told = "the bound is vacuous or not defined, there is nothing to draw"
        raise InputError(told, field="figure")
    inches = layout.shape.inches
    names = [wrapped(f"{share.step} {share.name}", NAMES * inches, SMALL) for share in shares]
    lines = sum(name.count("\n") + 1 for name in names)
    figure = new_figure(inches, 0.9 + 0.06 * len(shares) + 0.16 * lines)
    axis = figure.subplots()
    start = shares[0].reached / shares[0].factor
    reached = start
    for row, share in enumerate(shares):
        large = share.share is not None and share.share >= LARGE_SHARE
        axis.barh(
            row, share.reached - reached, left=reached, height=0.55, edgecolor=COLOURS[0],
            facecolor=COLOURS[0] if large else "white", linewidth=0.8,
        )  # fmt: skip
        axis.annotate(
            f"{share.factor:.3g}×", (max(reached, share.reached), row), fontsize=SMALL,
            xytext=(4, 0), textcoords="offset points", va="center",
        )  # fmt: skip
        reached = share.reached
    for value in (start, reached):
        axis.axvline(value, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
    axis.set(xscale="log", ylim=(len(shares) - 0.4, -0.6), xlabel="RMSE")
    beyond = FACTOR / (AXES * inches)  # so that what stands beside the last bar has room
    axis.set_xlim(start / 1.2, reached * (reached / start) ** (beyond / (1 - beyond)))
    set_log_ticks(axis.xaxis, 5)
    axis.set_title(
        f"measured {start:.3g}, bound {reached:.3g} (dotted);\nfilled: {LARGE_SHARE:.0%} of the "
        "slack or more", fontsize=SMALL,
    )  # fmt: skip
    axis.set_yticks(range(len(shares)), labels=names)
    return figure
