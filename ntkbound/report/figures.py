"""Log-log panels that can go into a paper: seeds, medians, fit, claimed slope and bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.report.rates_table import two
from ntkbound.stats import arm_text, config_of

if TYPE_CHECKING:
    from ntkbound.stats import Verdict
    from ntkbound.theorems.shallow_transformer.audit import Share

COLUMNS = 3
PANEL = (3.3, 2.7)  # inches
LARGE_SHARE = 0.1  # of the slack: drawn in the second colour


def plot_rates(path: Path, fits: Sequence[Verdict], records: Sequence[Mapping[str, Any]]) -> None:
    """One panel per fit that has a slope. Raises InputError for another format or no matplotlib."""
    check_figure("--plot", path)
    shown = [fit for fit in fits if fit.slope is not None and fit.fit is not None]
    if not shown:
        raise InputError("--plot: no fit has a slope, there is nothing to draw")
    rows = -(-len(shown) // COLUMNS)
    columns = min(COLUMNS, len(shown))
    figure = new_figure("--plot", path, (PANEL[0] * columns, PANEL[1] * rows))
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis, fit in zip(axes, shown, strict=False):
        _panel(axis, fit, records)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    save_figure("--plot", path, figure)


def plot_shares(path: Path, shares: Sequence[Share]) -> None:
    """Where bound/measured goes: one bar per link from the value before it to the value after.

    Raises InputError as ``plot_rates`` does, and where there is no slack to show.
    """
    if not shares:
        raise InputError("--figure: the bound is vacuous or not defined, there is nothing to draw")
    figure = new_figure("--figure", path, (6.6, 0.8 + 0.24 * len(shares)))
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
    save_figure("--figure", path, figure)


def plot_widths(
    path: Path, curves: Mapping[str, tuple[Sequence[int], Sequence[int | None]]]
) -> None:
    """Smallest m against n, one line per level: level → (n, m), null where there is none."""
    figure = new_figure("--curve", path, PANEL)
    axis = figure.subplots()
    for level, (n, m) in curves.items():
        known = [(a, b) for a, b in zip(n, m, strict=True) if b is not None]
        axis.plot([a for a, _ in known], [b for _, b in known], "o-", markersize=3, label=level)
    axis.set(xscale="log", xlabel="n", ylabel="m", ylim=(0, None))
    axis.set_title("smallest m with any τ; a straight line is growth like log n", fontsize=7)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6)
    save_figure("--curve", path, figure)


def check_figure(option: str, path: Path) -> None:
    """Raises InputError for a format that is not offered, or where matplotlib is not installed."""
    if path.suffix not in (".pdf", ".svg", ".png"):
        raise InputError(f"{option} {path}: unknown format; accepted: .pdf, .svg, .png")
    if find_spec("matplotlib") is None:
        raise InputError(f"{option}: needs matplotlib; pip install 'ntkbound[plot]'")


def new_figure(option: str, path: Path, size: tuple[float, float]) -> Any:
    """An empty matplotlib figure; raises InputError as ``check_figure`` does."""
    check_figure(option, path)
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def save_figure(option: str, path: Path, figure: Any) -> None:
    """Raises InputError if the file cannot be written."""
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"{option} {path}: cannot be written ({error.strerror})") from None


def _panel(axis: Any, fit: Verdict, records: Sequence[Mapping[str, Any]]) -> None:
    assert fit.fit is not None
    assert fit.slope is not None
    series = fit.fit.series
    x, y = series.points, np.median(series.values, axis=0)
    for seed in series.values:
        axis.plot(x, seed, color="0.8", linewidth=0.7, zorder=1)
    axis.plot(x, y, "o", color="C0", markersize=4, label="median", zorder=3)
    centre_x, centre_y = np.exp(np.log(x).mean()), np.exp(np.log(y).mean())
    axis.plot(x, centre_y * (x / centre_x) ** fit.slope, color="C0", label=f"{two(fit.slope)}")
    if fit.claimed is not None:
        claim = centre_y * (x / centre_x) ** fit.claimed
        axis.plot(x, claim, "--", color="C1", label=f"claimed {two(fit.claimed)}")
    bound = _bounds(fit, records)
    if bound:
        axis.plot(list(bound), list(bound.values()), ":", color="C3", label="bound")
    axis.set(xscale="log", yscale="log", xlabel=fit.axis)
    axis.set_xticks(x, labels=[f"{value:g}" for value in x])
    axis.minorticks_off()
    axis.set_title(f"{fit.term}\n{fit.probe} / {fit.statistic}: {fit.verdict}", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6)


def _bounds(fit: Verdict, records: Sequence[Mapping[str, Any]]) -> dict[float, float]:
    """Median explicit bound at every axis value of the records in the fit's arm."""
    assert fit.fit is not None
    points = set(fit.fit.series.points.tolist())
    found: dict[float, list[float]] = {}
    for record in records:
        config = config_of(record)
        x = config.get(fit.axis)
        if not isinstance(x, int | float) or x not in points:
            continue
        if any(arm_text(config.get(name)) != value for name, value in fit.arm):
            continue
        for row in record["checks"]:
            same = (row["term"], row["probe"], row["statistic"]) == (
                fit.term,
                fit.probe,
                fit.statistic,
            )
            if same and row["bound"] is not None:
                found.setdefault(float(x), []).append(row["bound"])
    return {x: float(np.median(found[x])) for x in sorted(found)}
