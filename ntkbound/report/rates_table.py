"""Fitted slopes beside claimed rates: as a rich table, CSV, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ntkbound.core.registry import known
from ntkbound.report.tables import Table, print_table, print_text, verdict
from ntkbound.stats.margins import CONFIDENCE
from ntkbound.stats.words import three

if TYPE_CHECKING:
    from ntkbound.stats import CheckResult, Verdict

COLUMNS: tuple[str, ...] = ("axis", "term", "probe", "statistic", "column", "form", "where")
COLUMNS += ("points", "seeds", "slope", "estimate", "low", "high", "claimed", "kind", "margin")
COLUMNS += ("verdict", "reason")
NAME = "term / probe / statistic"
NUMBERS = ("runs", "slope", "estimate", "95 %", "interval", "claimed")


def titles(fits: Sequence[Verdict]) -> tuple[str, ...]:
    """Of the columns of `cells`: an estimate is called a slope where all of them are, and an
    interval by its confidence where that is the usual one of all."""
    estimate = "slope" if all(fit.form == "rate" for fit in fits) else "estimate"
    usual = all(fit.confidence == CONFIDENCE for fit in fits)
    interval = f"{100 * CONFIDENCE:g} %" if usual else "interval"
    return ("axis", NAME, "runs", estimate, interval, "claimed", "verdict")


def headlines(fits: Sequence[Verdict], theorems: Collection[str]) -> list[Verdict]:
    """Fits that a claim is about, then the headline quantities of everything else with a slope.

    ``theorems``: names of those whose records were fitted. One that is not known here has no
    headlines, so that all of its quantities are shown.
    """
    declared = [known(name) for name in theorems]

    def headline(fit: Verdict) -> bool:
        return any(theorem is None or theorem.quantity(fit.key).headline for theorem in declared)

    claimed = [fit for fit in fits if fit.claim is not None]
    named = {(fit.axis, fit.term, fit.probe) for fit in claimed}
    others = [
        fit
        for fit in fits
        if fit.slope is not None and (fit.axis, fit.term, fit.probe) not in named and headline(fit)
    ]
    return claimed + others


def print_rates(
    console: Console, result: CheckResult, fits: Sequence[Verdict], *, notes: bool = True
) -> None:
    """One row per fit, with its arm where there are several; reasons below, numbered, where
    ``notes`` are wanted."""
    arms = any(fit.place for fit in fits)
    titled = _beside(titles(fits), ["at"] * arms)
    table = Table(titled, NUMBERS, (NAME, "at", "claimed"), optional=("runs",), dense=True)
    reasons: dict[str, int] = {}
    for fit in fits:
        mark = f" {reasons.setdefault(fit.why, len(reasons) + 1)}" if notes else ""
        told = _beside(cells(fit), [fit.place] * arms)
        table.add_row((*told[:-1], verdict(fit.verdict) + Text(mark, style="dim")))
    if fits:
        print_table(console, table)
    for reason, index in reasons.items():
        print_text(console, reason, f"  {index}  ")
    for bound in result.bounds:
        if bound.verdict in ("bound-violated", "inconclusive"):
            name = f"bound on {bound.term} / {bound.probe} / {bound.statistic}: "
            print_text(console, Text(name) + verdict(bound.verdict) + Text(f", {bound.reason}"))


def _beside(row: Sequence[str], arm: Sequence[str]) -> list[str]:
    """The row with the arm after the name."""
    return [*row[:2], *arm, *row[2:]]


def print_companions(console: Console, fits: Sequence[Verdict]) -> None:
    """Second opinions on every slope shown: never judged."""
    from ntkbound.stats import companions

    right = ("bootstrap", "Theil–Sen", "curvature (p)", "local slopes")
    arms = any(fit.place for fit in fits)
    titled = _beside(("axis", NAME, *right), ["at"] * arms)
    table = Table(titled, right, folded=(NAME, "at", "local slopes"), dense=True)
    for fit in fits:
        if fit.fit is None or fit.slope is None:
            continue
        found = companions(fit.fit.series)
        opinions = (
            f"[{two(found.bootstrap_low)}, {two(found.bootstrap_high)}]",
            two(found.theil_sen),
            f"{two(found.curvature)} ({found.curvature_p:.2g})",
            " ".join(two(slope) for slope in found.local_slopes),
        )
        table.add_row(_beside((*cells(fit)[:2], *opinions), [fit.place] * arms))
    print_table(console, table)


def print_whole(console: Console, result: CheckResult) -> None:
    """The verdict of the whole check, last, after what was judged and what came of it."""
    print_text(console, Text(f"{result.counts}: ") + verdict(result.verdict))


def as_text(fits: Sequence[Verdict], form: str) -> str:
    """All fits as ``csv``, ``markdown`` or ``latex``, ending in a newline."""
    if form == "csv":
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for fit in fits:
            places = "; ".join(f"{name}={value}" for name, value in fit.where.items())
            values = fit.as_json() | {"where": places}
            writer.writerow(["" if values[name] is None else values[name] for name in COLUMNS])
        return stream.getvalue()
    rows = [cells(fit) for fit in fits]
    if form == "markdown":
        return markdown_table(titles(fits), rows)
    lines = [r"\begin{tabular}{llrrrrl}", r"\hline", _latex_row(titles(fits)), r"\hline"]
    lines += [_latex_row(row) for row in rows]
    return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text: a bar in a cell is escaped, a line break becomes a blank."""
    plain = [[" ".join(cell.splitlines()).replace("|", r"\|") for cell in row] for row in rows]
    lines = [titles, ["---"] * len(titles), *plain]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cells(fit: Verdict) -> list[str]:
    """The row of a fit, as text."""
    return [
        fit.axis or "–",
        str(fit.key),
        f"{fit.points}×{fit.seeds}",
        estimated(fit, fit.estimate),
        f"[{estimated(fit, fit.low)}, {estimated(fit, fit.high)}]",
        "–" if fit.claim is None else fit.claim.sign,
        fit.verdict,
    ]


def estimated(fit: Verdict, value: float | None) -> str:
    """An estimate or an end of its interval: two decimals of a slope, three digits of the rest."""
    return two(value) if fit.form == "rate" or value is None else three(value)


def two(value: float | None) -> str:
    """Two decimals; zero has no sign."""
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        **{character: rf"\{character}" for character in "_%&#${}"},
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "−": "$-$",
        "×": r"$\times$",
        "–": "--",
    }
)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(LATEX) for cell in cells) + r" \\"
