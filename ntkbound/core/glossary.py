"""What does a word on the screen mean? Every word has one meaning, told here and nowhere else.

Verdicts carry their exit code with them: who judges, gates or colours asks here which verdicts
agree, which say that nothing could be tested, and which end a check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Effect = Literal["agrees", "untested", "refutes", "undecided"]

Status = Literal["stated", "refuted", "conjecture"]  # of a claim

EXIT_CODES: Mapping[Effect, int] = {"agrees": 0, "untested": 0, "refutes": 1, "undecided": 3}


@dataclass(frozen=True)
class Verdict:
    """A verdict: its one meaning, when a claim or a bound gets it, how often it is wrong, and what
    to do about it; empty where there is nothing to say."""

    effect: Effect
    meaning: str
    claim: str = ""
    bound: str = ""
    wrong: str = ""
    advice: str = ""


VERDICTS: Mapping[str, Verdict] = {
    "holds": Verdict(
        "agrees",
        "The data agree with the statement; a claim that fails by more than the margin printed "
        "would have been seen.",
        "an upper or lower rate whose interval excludes every rate worse than the claim by more "
        "than 0.15 (0.10 with a power of a logarithm, a tenth of an exponential's rate); a level "
        "or an order whose interval is where it says; a share of runs, within 0.2",
        "no run lies above it; or, of a bound that may fail with probability δ, no more runs than "
        "δ explains",
        "a slope 0.15 worse than claimed is accepted in at most 2.6 % of checks, whatever the "
        "noise and the number of seeds; a level or share of runs in 2.5 % at its very edge",
        "nothing; it does not say that no smaller rate would do",
    ),
    "tight": Verdict(
        "agrees",
        "The measured rate is the claimed one, up to the margin on both sides.",
        "the interval lies within ±0.15 of the claim (±0.10 with a power of a logarithm)",
        wrong="2.7 %, on either side; a true tight claim stays inconclusive in 28 % of checks with "
        "3 seeds, in 0.4 % with 5 (factor 16, 10 % noise)",
        advice="nothing; it does not say that the interval contains the claim",
    ),
    "faster": Verdict(
        "agrees",
        "The measured decay is faster than an upper claim needs.",
        "the interval lies below the claim by more than 0.05",
        wrong="2.5 % for a rate that is exactly 0.05 faster",
        advice="nothing is contradicted; over this range the claimed rate is not attained",
    ),
    "vacuous": Verdict(
        "untested",
        "The bound is defined here and says nothing: it is infinite, or larger than what is known "
        "without it.",
        bound="its reason gives the condition on the sizes, or the ratio",
        advice="larger sizes, or a tighter level of certificate, may make it say something",
    ),
    "condition-not-met": Verdict(
        "untested",
        "The theorem makes this statement under conditions that these runs do not meet, or are "
        "not known to meet, so nothing was tested.",
        "none of the runs meets the conditions of the claim; the slope is shown without a p-value",
        "a condition of its proof fails in this run",
        advice="the reason names the condition; a record lists all of them under conditions",
    ),
    "not-defined": Verdict(
        "untested",
        "Nobody states anything about this number: no claim is about it, and no bound on it is "
        "proved. It is shown as an observation.",
        "a fit that no claim is about",
        "not proved for this model, or bounds were switched off",
        advice="claim something of it in a preset to have it judged",
    ),
    "violated": Verdict(
        "refutes",
        "The data contradict the claim beyond doubt, and do not bend towards it.",
        "a rate worse than the claim by more than 0.05 (of a tight one also better by more than "
        "0.15), a level, order or share that is not where it says: a one-sided test at 1 %, "
        "corrected by Holm over all claims of the check",
        wrong="false in 0–0.8 % of checks of 15 true claims; a slope 0.15 too flat is found in "
        "95.5 % of checks at 6 points, 5 seeds and 10 % noise",
        advice="look at the figure (slopes --plot) and at local slopes (slopes --details)",
    ),
    "bound-violated": Verdict(
        "refutes",
        "A measured number lies above a proved bound.",
        bound="one run above a sure bound; or more runs than δ explains, at 1 % by Holm over all "
        "bounds",
        wrong="never of a sure bound; below 1 % of checks of true bounds with a δ",
        advice="the reason names the runs: verify them; then the theorem or its proof is wrong",
    ),
    "inconclusive": Verdict(
        "undecided",
        "The statement could be tested here, and the data do not decide it.",
        "too few points or seeds, too much noise, an undeclared floor, a bend towards the claim",
        "above a bound that may fail, less often than would refute it; or above an estimate",
        advice="the reason says what is missing: seeds, points or range",
    ),
}


def effect(verdict: str, status: Status = "stated") -> Effect:
    """What a verdict does to a check, given the status of the claim: a conjecture is an
    observation, and a claim known to be false is expected to be violated."""
    plain = VERDICTS[verdict].effect
    if status == "conjecture":
        return "untested"
    opposite: Mapping[Effect, Effect] = {"refutes": "agrees", "agrees": "refutes"}
    return opposite.get(plain, plain) if status == "refuted" else plain


def those(*effects: Effect) -> frozenset[str]:
    """The verdicts with one of these effects."""
    return frozenset(word for word, verdict in VERDICTS.items() if verdict.effect in effects)


AGREES = those("agrees")
UNTESTED = those("untested")
REFUTES = those("refutes")


TERMS: Mapping[str, str] = {
    "claim": "A statement about many runs: how a measured number behaves along an axis. The "
    "theorem has its own; a preset's [[claim]] tables replace them.",
    "bound": "A number proved to lie above a measured one, in every single run, with explicit "
    "constants.",
    "delta": "The probability δ with which a bound may fail, over the randomness that "
    "the theorem is about: 0 is sure, none is an estimate that proves nothing.",
    "slack": "Bound over measured: how much room the bound leaves. Below 1× it is exceeded.",
    "upper": "O(·): violated only by slower decay, or faster growth, than claimed.",
    "lower": "Ω(·): violated only by faster decay, or slower growth, than claimed.",
    "rate": "A claim x^exponent (log x)^log_power, with or without a floor, along an axis.",
    "exponential": "A claim e^(−rate·x) along an axis; the rate is a number, or one that each run "
    "recorded.",
    "level": "A claim that a number is at most, at least or equal to another, in the mean over "
    "seeds.",
    "fraction": "A claim about the share of runs that are a success.",
    "order": "A claim that one arm is below another, seed by seed.",
    "refuted": "The status of a claim known to be false: seen violated it costs no exit code.",
    "conjecture": "The status of a claim that is judged and shown, and never gates.",
    "floor": "A claim of the form a·x^b + c with a constant c ≥ 0 that is not known.",
    "margin": "How far from the claim a measured rate may lie and still be accepted; it stands in "
    "the verdict's reason.",
    "axis": "The config field, or the ratio a/b of two, along which runs are compared.",
    "arm": "Runs that are equal in every field but the axis and the seeds; a claim is judged once "
    "in each.",
    "seed": "The unit of sampling: one slope per seed, the interval by Student's t over seeds.",
    "certificate": "A bound with how it is known: its level says what it may know of the run.",
    "estimate": "A number beside the bounds that proves nothing; it never holds.",
    "noise floor": "What rounding alone would leave of a number; values at it are left out.",
}
