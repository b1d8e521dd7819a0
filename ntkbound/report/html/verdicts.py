"""Sections on what was judged: the summary, what was not judged, claim by claim, bound by bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ntkbound.core.glossary import VERDICTS, Effect
from ntkbound.report.html.material import Material
from ntkbound.report.html.page import (
    Block,
    Card,
    Cell,
    Figure,
    Fold,
    Grid,
    Lines,
    Section,
    columns,
    numeral,
    texts,
    without_empty,
    word,
)
from ntkbound.report.html.pictures import Pictures
from ntkbound.report.rates_table import estimated

if TYPE_CHECKING:
    from ntkbound.stats import BoundVerdict, Verdict

URGENT: Sequence[Effect] = ("refutes", "undecided", "agrees", "untested")
STATUS = {"refuted": "known to be false", "conjecture": "conjecture"}
MOST_FIGURES = 4  # of one claim
MOST_LINES = 4  # of one claim, a group of runs each
MOST_ROWS = 1000
MOST_NAMED = 200  # runs named one by one


def summary(material: Material) -> Section:
    """Every claim and what came of it, the most urgent first; a row for each verdict it got."""
    rows = []
    for group in _by_claim_and_verdict(material.result.claimed).values():
        first = group[0]
        about = str(first.key) if first.label else "–"
        claimed = first.claim.sign if first.claim else "–"
        rows.append([
            _word(first, len(group)), Cell(_title(first)), Cell(about), Cell(first.axis or "–"),
            Cell(claimed, first.claimed), _range(group),
        ])  # fmt: skip
    header = columns(
        "verdict", "claim", "about", "along", "claimed", "measured",
        numeric=("claimed", "measured"),
    )  # fmt: skip
    blocks: list[Block] = [without_empty(Grid("Claims", header, rows))] if rows else []
    if material.result.bounds:
        blocks.append(_bounds_in_short(material.result.bounds))
    lead = "What was claimed, what was measured with its interval, and what follows."
    return Section("summary", "Summary", lead, blocks or [Lines(["Nothing is claimed here."])])


def _by_claim_and_verdict(fits: Iterable[Verdict]) -> dict[tuple[str, int], list[Verdict]]:
    groups: dict[tuple[str, int], list[Verdict]] = {}
    for fit in sorted(fits, key=_rank):
        groups.setdefault((fit.verdict, id(fit.claim)), []).append(fit)
    return groups


def _range(group: Sequence[Verdict]) -> Cell:
    """The estimate with its interval; of several groups of runs the least and the largest."""
    found = [fit.estimate for fit in group if fit.estimate is not None]
    if not found:
        return Cell("–")
    first = group[0]
    if len(group) == 1:
        told = f"{estimated(first, first.estimate)} {_interval(first)}"
        return numeral(first.estimate, told)
    ends = dict.fromkeys(estimated(first, end) for end in (min(found), max(found)))
    return numeral(min(found), " … ".join(ends))


def every_group(material: Material) -> Fold:
    """Each claim in each group of runs, with the numbers behind its verdict."""
    rows = [
        [
            _word(fit),
            Cell(_title(fit)),
            Cell(str(fit.key)),
            Cell(", ".join(f"{name} = {value}" for name, value in fit.arm) or "–"),
            numeral(fit.estimate, estimated(fit, fit.estimate)),
            Cell(_interval(fit), fit.low),
            numeral(float(fit.points * fit.seeds), f"{fit.points}×{fit.seeds}"),
            Cell(fit.reason),
        ]
        for fit in sorted(material.result.claimed, key=_rank)[:MOST_ROWS]
    ]
    header = columns(
        "verdict", "claim", "about", "where", "measured", "interval", "points × seeds", "reason",
        numeric=("measured", "interval", "points × seeds"),
    )  # fmt: skip
    left = len(material.result.claimed) - len(rows)
    title = "Every claim in every group of runs"
    return Fold(title, [without_empty(Grid(title, header, rows, _rest(left)))])


def _bounds_in_short(bounds: Sequence[BoundVerdict]) -> Lines:
    counts = Counter(bound.verdict for bound in bounds)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return Lines([f"Proved bounds: {len(bounds)} ({told}); see the section on bounds."])


def judged(material: Material) -> Section:
    """What a reader may rely on, and what the page is silent about."""
    result = material.result
    lines = []
    if not result.judged:
        lines.append("No claim could be put to the test: nothing here supports a rate.")
    about: dict[tuple[str, str], list[str]] = {}  # verdict and reason → what it is about
    for group in _by_claim_and_verdict(f for f in result.claimed if not f.decided).values():
        reasons = list(dict.fromkeys(fit.reason for fit in group))
        more = f"; and {len(reasons) - 1} more reasons, below" if len(reasons) > 1 else ""
        about.setdefault((group[0].verdict, reasons[0] + more), []).append(_title(group[0]))
    for bound in result.bounds:
        if bound.effect in ("untested", "undecided"):
            about.setdefault((bound.verdict, bound.reason), []).append(f"bound on {bound.key}")
    rows = [
        [word(verdict), Cell("; ".join(dict.fromkeys(names))), Cell(why)]
        for (verdict, why), names in about.items()
    ]
    if result.judged and not rows:
        lines.append("Every claim and every bound was put to the test, and decided.")
    blocks: list[Block] = [Lines(lines)]
    if rows:
        blocks.append(Grid("Not judged, or not decided", columns("verdict", "about", "why"), rows))
    blocks += _missing_runs("Runs that were lost", material.lost)
    blocks += _missing_runs("Left out", material.left_out)
    if material.lost:
        blocks.append(Lines(["With runs lost, a check that would hold is inconclusive."]))
    lead = "A verdict speaks about the runs listed under provenance, and about nothing else."
    return Section("judged", "What was and was not judged", lead, blocks)


def _missing_runs(title: str, missing: Mapping[str, str]) -> list[Block]:
    """By reason how many; then each by its name."""
    if not missing:
        return []
    counts = Counter(missing.values())
    rows = [[Cell(why), numeral(float(count), str(count))] for why, count in counts.most_common()]
    header = columns("why", "runs", numeric=("runs",))
    named = [texts(name, why) for name, why in list(missing.items())[:MOST_NAMED]]
    note = _rest(len(missing) - len(named))
    each = Grid(title, columns("run", "why"), named, note)
    return [Grid(title, header, rows), Fold(f"{title}, one by one", [each])]


def claims(material: Material, pictures: Pictures) -> Section:
    """A card per claim, the most urgent first; below it its arms, each with its figure."""
    groups: dict[int, list[Verdict]] = {}
    for fit in material.result.claimed:
        groups.setdefault(id(fit.claim), []).append(fit)
    ranked = sorted(groups.values(), key=lambda group: min(_rank(fit) for fit in group))
    most = max(1, min(MOST_FIGURES, pictures.room // max(1, len(ranked))))
    cards: list[Block] = [_card(material, group, pictures, most) for group in ranked]
    cards += [every_group(material)] if cards else []
    lead = (
        "Each claim with its figure: the seeds in grey, their median, the fitted and the claimed "
        "curve, and the proved bound where there is one."
    )
    nothing = [Lines(["No claim is about these runs."])]
    return Section("claims", "Claims", lead, cards or nothing)


def _card(material: Material, group: Sequence[Verdict], pictures: Pictures, most: int) -> Card:
    """``most``: figures of it, the most urgent groups of runs first."""
    first, group = group[0], sorted(group, key=_rank)
    counts = Counter(fit.verdict for fit in group)
    words = [_word(fit, counts[fit.verdict]) for fit in {f.verdict: f for f in group}.values()]
    lines = [f"Claimed: {first.claim.said if first.claim else 'nothing'}."]
    if first.label:
        lines.append(f"About {first.key}.")
    lines += [f"{fit.sentence}." for fit in group[:MOST_LINES]]
    if len(group) > MOST_LINES:
        lines.append(f"{len(group) - MOST_LINES} more groups of runs: see the table below.")
    figures: list[Figure] = pictures.of_claim(group, material.records, most)
    return Card(_title(first), words, lines, figures)


def bounds(material: Material) -> Section:
    """Every proved bound over all runs."""
    rows = [
        [
            word(b.verdict),
            Cell(f"{b.key}{f' (bound {b.nth})' if b.nth > 1 else ''}"),
            Cell(b.theorem if len(material.parts) > 1 else "–"),
            numeral(float(b.runs), str(b.runs)),
            numeral(float(b.exceeded), str(b.exceeded)),
            Cell("–" if b.delta is None else f"{b.delta:g}", b.delta),
            numeral(b.slack, "–" if b.slack is None else f"{b.slack:.3g}×"),
            Cell(b.reason),
        ]
        for b in sorted(material.result.bounds, key=lambda b: URGENT.index(b.effect))
    ]
    header = columns(
        "verdict", "bound on", "theorem", "runs", "exceeded", "δ", "least slack", "reason",
        numeric=("runs", "exceeded", "δ", "least slack"),
    )  # fmt: skip
    lead = (
        "A bound has explicit constants and is judged in every single run. Slack is bound over "
        "measured: below 1× it is exceeded."
    )
    nothing = [Lines(["No bound stands beside these runs."])]
    return Section(
        "bounds", "Bounds", lead, [without_empty(Grid("Bounds", header, rows))] if rows else nothing
    )


def overall(material: Material) -> Cell:
    return Cell(material.verdict, None, VERDICTS[material.verdict].effect)


def _title(fit: Verdict) -> str:
    return fit.claim.title if fit.claim else str(fit.key)


def _word(fit: Verdict, count: int = 1) -> Cell:
    """Its verdict in the colour of what it does, and the status of a claim that is not stated."""
    status = fit.claim.status if fit.claim else "stated"
    told = fit.verdict if status == "stated" else f"{fit.verdict} ({STATUS[status]})"
    return Cell(told if count == 1 else f"{told} × {count}", None, fit.effect)


def _interval(fit: Verdict) -> str:
    return f"[{estimated(fit, fit.low)}, {estimated(fit, fit.high)}]"


def _rank(fit: Verdict) -> int:
    return URGENT.index(fit.effect)


def _rest(count: int) -> str:
    return f"… and {count} more" if count > 0 else ""
