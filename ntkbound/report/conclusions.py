"""What a study shows and what it does not, in words made from its verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ntkbound.core.glossary import UNTESTED

if TYPE_CHECKING:
    from ntkbound.studies.study import Evaluation, Finding

# What a verdict says of its statements, in the order of the page; the others say nothing there.
SHOWN: Mapping[str, str] = {
    "violated": "**Contradicted**",
    "bound-violated": "**The proved bound is exceeded**",
    "tight": "Agrees, within the margin on both sides",
    "holds": "Agrees",
    "faster": "Agrees, with a steeper decay than claimed",
    "not-defined": "Measured, and judged by no claim",
}
LEFT_OPEN: Mapping[str, str] = {
    "inconclusive": "Undecided",
    "condition-not-met": "Not covered, its conditions are not met",
    "vacuous": "Not constrained, the bound says nothing here",
    "faster": "That the claimed rate is attained (the measured one is steeper)",
    "tight": "Which rate within the margin it is",
    "holds": "That the claim is sharp",
}
EXPLAINED = frozenset(
    {"violated", "bound-violated", "not-defined", "inconclusive", "condition-not-met", "vacuous"}
)


@dataclass(frozen=True)
class Conclusions:
    """One sentence over all, then lines of what is shown and what is not."""

    headline: str
    shows: Sequence[str]
    leaves_open: Sequence[str]


def conclude(evaluation: Evaluation) -> Conclusions:
    """Every line follows from verdicts, lost runs or the range measured: none is fixed text."""
    leaves_open = _lines(evaluation.findings, LEFT_OPEN)
    leaves_open.append(f"Anything outside the range measured: {evaluation.scope}.")
    if evaluation.lost:
        leaves_open.append(_lost(evaluation.lost))
    return Conclusions(
        _headline(evaluation.findings), _lines(evaluation.findings, SHOWN), leaves_open
    )


def _lines(findings: Sequence[Finding], words: Mapping[str, str]) -> list[str]:
    """One line per verdict that occurs; one per statement where the reason is the news."""
    lines = []
    for verdict, word in words.items():
        group = [finding for finding in findings if finding.verdict == verdict]
        if verdict in EXPLAINED:
            lines += [f"{word}: {f.statement}. {f.reason}." for f in group]
        elif group:
            lines.append(f"{word}: {'; '.join(f.statement for f in group)}.")
    return lines


def _headline(findings: Sequence[Finding]) -> str:
    """How many statements were put to the test and what came of them; the others are counted."""
    judged = [finding for finding in findings if finding.verdict not in UNTESTED]
    against = [f.statement for f in judged if f.verdict in ("violated", "bound-violated")]
    others = sum(f.verdict in UNTESTED - {"not-defined"} for f in findings)
    beside = f" {others} more not covered: conditions not met, or a bound that says nothing."
    if not judged:
        return "Nothing was judged: what follows is observation." + beside * bool(others)
    agree = sum(f.verdict in ("holds", "tight", "faster") for f in judged)
    told = (
        f"Of {len(judged)} statements judged, {agree} agree with the measurement, "
        f"{len(against)} {'is' if len(against) == 1 else 'are'} contradicted and "
        f"{len(judged) - agree - len(against)} undecided." + beside * bool(others)
    )
    return told + (f" Contradicted: {'; '.join(against)}." if against else "")


def _lost(lost: Mapping[str, str]) -> str:
    runs = "1 run" if len(lost) == 1 else f"{len(lost)} runs"
    return (
        f"What {runs} would have said that did not finish: {'; '.join(sorted({*lost.values()}))}."
    )
