"""What an interval of slopes says of a claimed rate, and how that is told."""

from __future__ import annotations

import math

from ntkbound.core.claim import Rate
from ntkbound.stats.margins import LOG_MARGIN, RATE_MARGIN, VIOLATION_MARGIN
from ntkbound.stats.powerlaw import Fit
from ntkbound.stats.verdicts import Said
from ntkbound.stats.words import Advice, missing, number


def margin(claim: Rate) -> float:
    """An accepted claim is within this of the measured slope."""
    return LOG_MARGIN if claim.log_power else RATE_MARGIN


def judge(fit: Fit, claim: Rate, claimed: float) -> Said:
    """Verdict and reason from the interval alone.

    With room = `margin`: *holds* if the interval excludes every rate worse than the claim by more
    than that, *tight* if it does so on both sides. An interval wholly on the wrong side of the
    claim by `VIOLATION_MARGIN` contradicts it, if not yet beyond doubt, and is not accepted.
    """
    room, c = margin(claim), name_of(claim, claimed)
    above, below = claimed + room - fit.high, fit.low - claimed + room  # positive: excluded
    slow, steep = fit.low - claimed > VIOLATION_MARGIN, claimed - fit.high > VIOLATION_MARGIN
    contradicted = steep if claim.kind == "lower" else slow
    if not contradicted:
        if claim.kind == "upper" and steep and not claim.log_power:
            near = f", within ±{room:g} of it" if below > 0 else ""
            return Said("faster", f"faster than the claimed {c}{near}")
        both = above > 0 and below > 0
        if both and (claim.kind == "tight" or not claim.log_power):
            return Said("tight", f"within ±{room:.2f} of the claimed {c}")
        if claim.kind != "tight" and (above if claim.kind == "upper" else below) > 0:
            worse = "slower" if claim.kind == "upper" else "faster"
            if claim.log_power or claimed > 0:
                worse = "faster" if claim.kind == "upper" else "slower"
            return Said("holds", f"no {worse} than the claimed {c}, within {room:.2f}")
    return Said("inconclusive", *_open(fit, claim, claimed))


def _open(fit: Fit, claim: Rate, claimed: float) -> Advice:
    """What an undecided claim is, and what would settle it."""
    room, c = margin(claim), name_of(claim, claimed)
    up, down = claimed + room - fit.slope, fit.slope - claimed + room
    top, bottom = claimed + VIOLATION_MARGIN, claimed - VIOLATION_MARGIN
    # An interval that fits the margin and still contradicts the claim settles nothing for it.
    if up < fit.slope - top:
        up = -math.inf
    if claim.kind == "tight":
        ends = top, claimed - room
        told, need = f"tight at {c}, ±{room:.2f}", missing(fit, min(up, down), *ends)
    elif claim.kind == "lower":
        down = -math.inf if down < bottom - fit.slope else down
        told, need = f"at least {c}, within {room:.2f}", missing(fit, down, below=bottom)
    else:
        told, need = f"at most {c}, within {room:.2f}", missing(fit, up, top)
    return Advice(f"claimed {told}; {need.told}", need.wants)


def name_of(claim: Rate, claimed: float) -> str:
    """The claimed slope as a sentence has it."""
    if not claim.log_power:
        return number(claimed)
    return f"{shape_of(claim)}, whose slope here is {number(claimed)}"


def shape_of(claim: Rate) -> str:
    """ "n^−1 (log n)^2"."""
    power = f"{claim.axis}^{number(claim.exponent)} " if claim.exponent else ""
    return power + f"(log {claim.axis})^{claim.log_power:g}".removesuffix("^1")
