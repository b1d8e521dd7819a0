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

COLUMNS = ("axis", "term", "probe", "statistic", "points", "seeds", "slope", "low", "high")
COLUMNS += ("claimed", "kind", "verdict", "reason")
TITLES = (
    "axis",
    "term",
    "probe / statistic",
    "runs",
    "slope",
    "95 % interval",
    "claimed",
    "verdict",
)


def print_rates(console: Console, result: CheckResult) -> None:
    """One row per fit, what no claim is about last; reasons below, numbered."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in TITLES:
        right = title in ("runs", "slope", "95 % interval", "claimed")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    reasons: dict[str, int] = {}
    for fit in result.fits:
        note = ""
        if fit.reason:
            note = f" {reasons.setdefault(fit.reason, len(reasons) + 1)}"
        table.add_row(*cells(fit)[:-1], verdict(fit.verdict) + Text(note, style="dim"))
    console.print(table)
    for reason, index in reasons.items():
        console.print(Text(f"  {index} {reason}"), highlight=False)
    for bound in result.bounds:
        if bound.verdict != "holds":
            console.print(verdict(bound.verdict), Text(bound.sentence), highlight=False)


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
    lines = [r"\begin{tabular}{lllrrrrl}", r"\hline", _latex_row(TITLES), r"\hline"]
    lines += [_latex_row(row) for row in rows]
    return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cells(fit: Verdict) -> list[str]:
    kind = {"upper": "≤ ", "lower": "≥ ", "tight": "= "}.get(fit.kind, "")
    claimed = "log" if fit.kind == "log" else "–"
    if fit.kind != "log" and fit.claimed is not None:
        claimed = f"{kind}{fit.claimed:g}"
    return [
        fit.axis,
        fit.term,
        f"{fit.probe} / {fit.statistic}",
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
