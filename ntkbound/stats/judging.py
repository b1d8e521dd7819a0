"""What an interval says about a claim, what is missing where it says nothing, in words."""

import math

from ntkbound.core.claim import Claim
from ntkbound.stats.companions import companions
from ntkbound.stats.inference import t_quantile
from ntkbound.stats.margins import (
    CHECK_LEVEL,
    HOLDS_MARGIN,
    LOG_MARGIN,
    MAX_MORE_SEEDS,
    TIGHT_MARGIN,
    VIOLATION_MARGIN,
)
from ntkbound.stats.powerlaw import Fit


def judge(fit: Fit, claim: Claim, claimed: float) -> tuple[str, str]:
    """Verdict and reason from the interval alone."""
    low, high, c = fit.low, fit.high, number(claimed)
    if claim.kind == "log":
        grows = f"(log {claim.axis})^{log_power(claim):g}".removesuffix("^1")
        if high < claimed + LOG_MARGIN:
            return "holds", f"grows no faster than {grows}, whose slope here is {c}"
        return "inconclusive", f"claimed at most {grows}, whose slope here is {c}; " + _missing(
            fit, claimed + LOG_MARGIN - fit.slope, claimed + VIOLATION_MARGIN
        )
    band = TIGHT_MARGIN - abs(fit.slope - claimed)
    if claimed - TIGHT_MARGIN <= low and high <= claimed + TIGHT_MARGIN:
        return "tight", f"the claimed {c} is tight"
    if claim.kind == "tight":
        return "inconclusive", f"claimed tight at {c}; " + _missing(
            fit, band, claimed + VIOLATION_MARGIN, claimed - TIGHT_MARGIN
        )
    if claim.kind == "lower":
        if low > claimed - HOLDS_MARGIN and high >= claimed - VIOLATION_MARGIN:
            return "holds", f"no steeper than the claimed {c}"
        return "inconclusive", f"claimed at least {c}; " + _missing(
            fit, max(band, fit.slope - claimed + HOLDS_MARGIN), math.inf, claimed - VIOLATION_MARGIN
        )
    if high < claimed - VIOLATION_MARGIN:
        return "faster", f"faster than the claimed {c}"
    # An interval wholly above claim + 0.05 contradicts the claim, if not yet beyond doubt.
    if high < claimed + HOLDS_MARGIN and low <= claimed + VIOLATION_MARGIN:
        return "holds", f"no slower than the claimed {c}"
    room = max(band, claimed - VIOLATION_MARGIN - fit.slope)
    if fit.slope <= claimed + VIOLATION_MARGIN:  # else more seeds lead away from `holds`
        room = max(room, claimed + HOLDS_MARGIN - fit.slope)
    return "inconclusive", f"claimed {c}; " + _missing(fit, room, claimed + VIOLATION_MARGIN)


def _missing(fit: Fit, room: float, above: float = math.inf, below: float = -math.inf) -> str:
    """What would settle it: seeds until the half-width fits `room`, or until the slope is
    significantly above or below; else a wider range; and any bend that a seed cannot mend."""
    seeds = len(fit.series.seeds)
    half = max(fit.high - fit.slope, fit.slope - fit.low)
    bend = companions(fit.series, resamples=1)
    drift = ""
    if bend.curvature_p < CHECK_LEVEL:
        first, last = bend.local_slopes[0], bend.local_slopes[-1]
        drift = f"; curvature: local slopes run from {two(first)} to {two(last)}"
    if not math.isfinite(half):
        return "needs a wider range: the exponent is not separated from the floor" + drift
    error = half / t_quantile(seeds)
    gap = max(fit.slope - above, below - fit.slope)
    for more in range(1, MAX_MORE_SEEDS + 1):
        shrunk = error * math.sqrt(seeds / (seeds + more))
        fits = t_quantile(seeds + more) * shrunk <= room
        if fits or t_quantile(seeds + more, 1 - CHECK_LEVEL / 10) * shrunk <= gap:
            return f"needs about {more} more seeds" + drift
    return "needs a wider range" + drift


def log_power(claim: Claim) -> float:
    """k of a claimed growth at most (log x)^k."""
    return 1.0 if claim.exponent is None else claim.exponent


def number(value: float) -> str:
    """A claimed exponent: as short as it was given, to three decimals, with a true minus."""
    return f"{round(value, 3) + 0.0:g}".replace("-", "−")


def two(value: float) -> str:
    """A measured exponent to two decimals, with a true minus."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
