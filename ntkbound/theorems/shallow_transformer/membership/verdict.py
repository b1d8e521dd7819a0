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
from ntkbound.stats.margins import (
    CHECK_LEVEL,
    MEMBERSHIP_EXPONENT,
    MEMBERSHIP_RESIDUAL,
    MIN_POINTS,
    MIN_SEEDS,
)
from ntkbound.stats.observations import Series, observe
from ntkbound.stats.powerlaw import PowerLawFit, fit_power_laws

TERM, PROBE, STATISTIC = "membership", "minimum_norm", "norm"
RESIDUAL = "residual"
REQUIRED = "nu_"  # statistics √m max_i ‖Δ_i‖, one per block


@dataclass(frozen=True)
class MembershipVerdict:
    """``inside``, ``outside`` or ``inconclusive``, and why.

    norm: ‖Δ‖ at the largest m and n, the smallest of the seeds: a lower bound of
    |ν| = (Σ ν_b²)^{1/2}. nu: its sup norms √m max_i ‖Δ_i‖ per block, the largest of the seeds:
    enough. growth: the exponent of ‖Δ‖ along n at the largest width; last: the same
    over the last two sizes; proportional: along n with m in proportion to it. Each with its
    interval over the seeds; None where it cannot be had.
    """

    verdict: str
    reason: str
    norm: float
    nu: Mapping[str, float]
    growth: PowerLawFit | None
    last: PowerLawFit | None
    proportional: PowerLawFit | None

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "norm": self.norm,
            "nu": dict(self.nu),
            "growth": _as_json(self.growth),
            "last": _as_json(self.last),
            "proportional": _as_json(self.proportional),
        }


def judge_membership(records: Iterable[Mapping[str, Any]]) -> MembershipVerdict:
    """The verdict on rows in the shape of records: config (m, n, seed), norm ‖Δ‖ and residual.

    outside: ‖Δ‖ grows faster than n^{1/4} at the largest width, and also with m in proportion to
    n, both one-sided at `CHECK_LEVEL` with seeds as sampling units. (At one width alone the cost
    of too few heads grows with n as well; in proportion it does not.) inside: the intervals of the
    growth and of its last step lie below 1/4, and the labels are fitted.
    """
    rows = list(records)
    widest = max(row["config"]["m"] for row in rows)
    most = max(row["config"]["n"] for row in rows)
    wide = [row for row in rows if row["config"]["m"] == widest]
    final = [row for row in wide if row["config"]["n"] == most]
    growth = _fit(wide)
    last = growth and fit_power_laws([_last_two(growth.series)])[0]
    # n/m within 5 %: sizes and widths are rounded to whole samples and pairs of heads.
    proportional = _fit(
        [r for r in rows if abs(r["config"]["n"] / r["config"]["m"] * widest / most - 1) < 0.05]
    )
    norm = min(_over_seeds(final, STATISTIC))
    nu = {
        name.removeprefix(REQUIRED): max(_over_seeds(final, name))
        for name in final[0]["terms"][TERM][PROBE]
        if name.startswith(REQUIRED)
    }
    unfitted = max(_over_seeds(final, RESIDUAL))
    verdict, reason = _decide(growth, last, proportional, unfitted)
    if verdict == "inside":
        told = ", ".join(f"{block} {value:.3g}" for block, value in nu.items())
        reason = f"inside F_ν for ν ≥ ({told}); every fit has |ν| ≥ {norm:.3g}; {reason}"
    return MembershipVerdict(verdict, reason, norm, nu, growth, last, proportional)


def _decide(
    growth: PowerLawFit | None,
    last: PowerLawFit | None,
    proportional: PowerLawFit | None,
    unfitted: float,
) -> tuple[str, str]:
    if growth is None or last is None or proportional is None:
        return "inconclusive", "‖Δ‖ was measured at one n or m only"
    limit = f"n^{MEMBERSHIP_EXPONENT:g}"
    points, seeds = len(growth.series.points), len(growth.series.seeds)
    if points < MIN_POINTS or seeds < MIN_SEEDS:
        needs = f"needs at least {MIN_POINTS} sizes and {MIN_SEEDS} seeds"
        return "inconclusive", f"{points} sizes and {seeds} seed{'s' * (seeds != 1)}: {needs}"
    if growth.upper_tail(MEMBERSHIP_EXPONENT) <= CHECK_LEVEL:
        told = f"‖Δ‖ grows like n^{_interval(growth)} at the largest m"
        joint = f"with m in proportion to n like n^{_interval(proportional)}"
        if proportional.upper_tail(MEMBERSHIP_EXPONENT) <= CHECK_LEVEL:
            return "outside", f"{told}, {joint}: outside the class"
        return "inconclusive", f"{told}, but {joint}: m is too small for this n; raise --m"
    if growth.high >= MEMBERSHIP_EXPONENT:
        return "inconclusive", (
            f"‖Δ‖ grows like n^{_interval(growth)}, not clearly more or less than {limit}; "
            "more seeds, or larger n and m"
        )
    if last.high >= MEMBERSHIP_EXPONENT:
        return "inconclusive", (
            f"‖Δ‖ grows like n^{_interval(growth)} but like n^{_interval(last)} over the last two "
            f"sizes, not clearly less than {limit}; raise --m, then --n"
        )
    if unfitted > MEMBERSHIP_RESIDUAL:
        return "inconclusive", (
            f"‖Δ‖ does not grow, but {unfitted:.1%} of the labels are left unfitted; "
            "a smaller first ridge, or a larger m"
        )
    return "inside", f"‖Δ‖ saturates with n, it grows like n^{_interval(growth)}"


def _over_seeds(rows: Iterable[Mapping[str, Any]], statistic: str) -> list[float]:
    return [row["terms"][TERM][PROBE][statistic] for row in rows]


def _fit(rows: list[Mapping[str, Any]]) -> PowerLawFit | None:
    """‖Δ‖ along n, whatever m does; None with fewer than two sizes."""
    named = [
        series
        for series in observe(rows, axes=("n",), ignore=("m",))
        if (series.term, series.probe, series.statistic) == (TERM, PROBE, STATISTIC)
    ]
    return fit_power_laws(named)[0] if named else None


def _as_json(fit: PowerLawFit | None) -> dict[str, float] | None:
    if fit is None or not np.isfinite([fit.slope, fit.low, fit.high]).all():
        return None
    return {"slope": fit.slope, "low": fit.low, "high": fit.high}


def _last_two(series: Series) -> Series:
    return replace(series, points=series.points[-2:], values=series.values[:, -2:])


def _interval(fit: PowerLawFit) -> str:
    if not np.isfinite(fit.low):
        return two(fit.slope)
    return f"{two(fit.slope)} [{two(fit.low)}, {two(fit.high)}]"
