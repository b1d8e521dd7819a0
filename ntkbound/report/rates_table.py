"""Fitted slopes beside claimed rates: as a rich table, CSV, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntkbound.report.run_table import verdict

if TYPE_CHECKING:
    from ntkbound.stats import CheckResult, Verdict

COLUMNS: tuple[str, ...] = ("axis", "term", "probe", "statistic", "points", "seeds")
COLUMNS += ("slope", "low", "high", "claimed", "kind", "verdict", "reason")
TITLES = ("axis", "term / probe / statistic", "runs", "slope", "95 %", "claimed", "verdict")
# What a table shows of a fit that no claim is about; --all shows every statistic.
HEADLINES = ("max", "min_mse", "feature_norm_max", "loss_gradient_norm_max", "min_validation_mse")


def headlines(fits: Sequence[Verdict]) -> list[Verdict]:
    """Fits that a claim is about, then one statistic of everything else that has a slope."""
    claimed = [fit for fit in fits if fit.kind != "none" or "no claim" not in fit.reason]
    named = {(fit.axis, fit.term, fit.probe) for fit in claimed}
    others = [
        fit
        for fit in fits
        if fit.statistic in HEADLINES
        and fit.slope is not None
        and (fit.axis, fit.term, fit.probe) not in named
    ]
    return claimed + others


def print_rates(console: Console, result: CheckResult, fits: Sequence[Verdict]) -> None:
    """One row per fit; reasons below, numbered."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for title in TITLES:
        right = title in ("runs", "slope", "95 %", "claimed")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    reasons: dict[str, int] = {}
    for fit in fits:
        number = reasons.setdefault(fit.reason, len(reasons) + 1)
        table.add_row(*cells(fit)[:-1], verdict(fit.verdict) + Text(f" {number}", style="dim"))
    console.print(table)
    for reason, index in reasons.items():
        console.print(Text(f"  {index}  {reason}"), highlight=False)
    for bound in result.bounds:
        if bound.verdict in ("bound-violated", "inconclusive"):
            name = f"bound on {bound.term} / {bound.probe} / {bound.statistic}: "
            console.print(Text(name) + verdict(bound.verdict) + Text(f", {bound.reason}"))


def print_companions(console: Console, fits: Sequence[Verdict]) -> None:
    """Second opinions on every slope shown: never judged."""
    from ntkbound.stats import companions

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("axis", "term / probe / statistic"):
        table.add_column(title, no_wrap=True)
    for title in ("bootstrap", "Theil–Sen", "curvature (p)", "local slopes"):
        table.add_column(title, justify="right")
    for fit in fits:
        if fit.fit is None or fit.slope is None:
            continue
        found = companions(fit.fit.series)
        table.add_row(
            *cells(fit)[:2],
            f"[{two(found.bootstrap_low)}, {two(found.bootstrap_high)}]",
            two(found.theil_sen),
            f"{two(found.curvature)} ({found.curvature_p:.2g})",
            " ".join(two(slope) for slope in found.local_slopes),
        )
    console.print(table)


def print_whole(console: Console, result: CheckResult) -> None:
    """The verdict of the whole check, last."""
    held = sum(bound.verdict == "holds" for bound in result.bounds)
    console.print(
        Text(f"{len(result.fits)} claims, {held} of {len(result.bounds)} bounds hold: ")
        + verdict(result.verdict),
        highlight=False,
    )


def as_text(fits: Sequence[Verdict], form: str) -> str:
    """All fits as ``csv``, ``markdown`` or ``latex``, ending in a newline."""
    if form == "csv":
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for fit in fits:
            values = fit.as_json()
            writer.writerow(["" if values[name] is None else values[name] for name in COLUMNS])
        return stream.getvalue()
    rows = [cells(fit) for fit in fits]
    if form == "markdown":
        return markdown_table(TITLES, rows)
    lines = [r"\begin{tabular}{llrrrrl}", r"\hline", _latex_row(TITLES), r"\hline"]
    lines += [_latex_row(row) for row in rows]
    return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cells(fit: Verdict) -> list[str]:
    kind = {"upper": "≤ ", "lower": "≥ ", "tight": "= "}.get(fit.kind, "")
    claimed = "log" if fit.kind == "log" else "–"
    if fit.kind != "log" and fit.claimed is not None:
        claimed = f"{kind}{fit.claimed:g}".replace("-", "−")
    return [
        fit.axis,
        f"{fit.term} / {fit.probe} / {fit.statistic}",
        f"{fit.points}×{fit.seeds}",
        two(fit.slope),
        f"[{two(fit.low)}, {two(fit.high)}]",
        claimed,
        fit.verdict,
    ]


def two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _latex_row(cells: Sequence[str]) -> str:
    replaced = {
        "_": r"\_",
        "%": r"\%",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "−": "$-$",
        "×": r"$\times$",
    }
    texts = []
    for cell in cells:
        text = cell
        for character, command in {**replaced, "–": "--"}.items():
            text = text.replace(character, command)
        texts.append(text)
    return " & ".join(texts) + r" \\"
