"""Inside the target class or not: how the norm that labels require grows with the samples.

For labels inside F_ν the norm ‖Δ‖ stays below the norm of the target whatever n is: exponent 0.
Labels with a component of independent noise require E‖Δ‖² ≥ s² n/κ (docs/linearized.md): exponent
at least 1/2. The verdict splits halfway.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ntkbound.stats.judging import two
from ntkbound.stats.margins import CHECK_LEVEL, MEMBERSHIP_EXPONENT, MIN_POINTS, MIN_SEEDS
from ntkbound.stats.observations import Series, observe
from ntkbound.stats.powerlaw import PowerLawFit, fit_power_laws

TERM, PROBE, STATISTIC = "membership", "minimum_norm", "norm"


@dataclass(frozen=True)
class MembershipVerdict:
    """``inside``, ``outside`` or ``inconclusive``, and why.

    growth: the exponent of ‖Δ‖ along n at the largest width; last: the same over the last two
    sizes; width: its exponent along m, over the last two widths, at the largest n. Each with its
    interval over the seeds; None where it cannot be had.
    """

    verdict: str
    reason: str
    growth: PowerLawFit | None
    last: PowerLawFit | None
    width: PowerLawFit | None

    def as_json(self) -> dict[str, Any]:
        fits = {"growth": self.growth, "last": self.last, "width": self.width}
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            **{
                name: fit and {"slope": fit.slope, "low": fit.low, "high": fit.high}
                for name, fit in fits.items()
            },
        }


def judge_membership(records: Iterable[Mapping[str, Any]]) -> MembershipVerdict:
    """The verdict on rows in the shape of records: config (m, n, seed) and the norm ‖Δ‖.

    outside: growth > 1/4 at `CHECK_LEVEL` (one-sided, seeds as sampling units); inside: the
    intervals of the growth and of its last step lie below 1/4. Neither is said where there are too
    few seeds or sizes, or where the norm still falls with m faster than m^{-1/4}: then m is not
    much larger than n and what grows with n is the cost of a narrow width.
    """
    rows = list(records)
    widest = max(row["config"]["m"] for row in rows)
    most = max(row["config"]["n"] for row in rows)
    growth = _fit([row for row in rows if row["config"]["m"] == widest], "n")
    width = _fit([row for row in rows if row["config"]["n"] == most], "m", last=True)
    if growth is None:
        return _inconclusive("‖Δ‖ was measured at one n only", None, None, width)
    last = fit_power_laws([_last_two(growth.series)])[0]
    points, seeds = len(growth.series.points), len(growth.series.seeds)
    if points < MIN_POINTS or seeds < MIN_SEEDS:
        needs = f"needs at least {MIN_POINTS} sizes and {MIN_SEEDS} seeds"
        return _inconclusive(f"{points} sizes and {seeds} seeds: {needs}", growth, last, width)
    if width is None:
        return _inconclusive("one width only: m ≫ n cannot be seen", growth, last, width)
    if not width.low > -MEMBERSHIP_EXPONENT:
        reason = f"‖Δ‖ still falls with m like m^{_interval(width)}: m is not ≫ n; raise --m"
        return _inconclusive(reason, growth, last, width)
    if growth.upper_tail(MEMBERSHIP_EXPONENT) <= CHECK_LEVEL:
        reason = f"‖Δ‖ grows like n^{_interval(growth)} at m ≫ n: outside the class"
        return MembershipVerdict("outside", reason, growth, last, width)
    if growth.high < MEMBERSHIP_EXPONENT and last.high < MEMBERSHIP_EXPONENT:
        reason = f"‖Δ‖ saturates with n at m ≫ n: it grows like n^{_interval(growth)}"
        return MembershipVerdict("inside", reason, growth, last, width)
    late = growth.high < MEMBERSHIP_EXPONENT
    reason = (
        f"‖Δ‖ grows like n^{_interval(last if late else growth)}"
        f"{' over the last two sizes' if late else ''}, which does not settle whether by more or "
        f"less than n^{MEMBERSHIP_EXPONENT}; more seeds or a larger n and m are needed"
    )
    return _inconclusive(reason, growth, last, width)


def _inconclusive(
    reason: str, growth: PowerLawFit | None, last: PowerLawFit | None, width: PowerLawFit | None
) -> MembershipVerdict:
    return MembershipVerdict("inconclusive", reason, growth, last, width)


def _fit(rows: list[Mapping[str, Any]], axis: str, *, last: bool = False) -> PowerLawFit | None:
    series = [
        s for s in observe(rows, axes=(axis,)) if (s.term, s.probe, s.statistic) == (
            TERM, PROBE, STATISTIC)
    ]  # fmt: skip
    if not series:
        return None
    return fit_power_laws([_last_two(series[0]) if last else series[0]])[0]


def _last_two(series: Series) -> Series:
    return replace(series, points=series.points[-2:], values=series.values[:, -2:])


def _interval(fit: PowerLawFit) -> str:
    if not np.isfinite(fit.low):
        return two(fit.slope)
    return f"{two(fit.slope)} [{two(fit.low)}, {two(fit.high)}]"
