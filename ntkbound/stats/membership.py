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
REQUIRED = "nu_"  # statistics √m max_i ‖Δ_i‖, one per block


@dataclass(frozen=True)
class MembershipVerdict:
    """``inside``, ``outside`` or ``inconclusive``, and why.

    growth: the exponent of ‖Δ‖ along n at the largest width; last: the same over the last two
    sizes; width: its exponent along m, over the last two widths, at the largest n. Each with its
    interval over the seeds; None where it cannot be had. norm: ‖Δ‖ at the largest m and n, and
    nu: its sup norm √m max_i ‖Δ_i‖ per block, each the largest of the seeds.
    """

    verdict: str
    reason: str
    norm: float
    nu: Mapping[str, float]
    growth: PowerLawFit | None
    last: PowerLawFit | None
    width: PowerLawFit | None

    def as_json(self) -> dict[str, Any]:
        fits = {"growth": self.growth, "last": self.last, "width": self.width}
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "norm": self.norm,
            "nu": dict(self.nu),
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
    last = growth and fit_power_laws([_last_two(growth.series)])[0]
    largest = _largest(
        row for row in rows if row["config"]["m"] == widest and row["config"]["n"] == most
    )
    norm = largest.pop(STATISTIC)
    verdict, reason = _decide(growth, last, width)
    if verdict == "inside":
        told = ", ".join(f"{block} {value:.3g}" for block, value in largest.items())
        reason = f"inside F_ν for ν ≥ ({told}), and for none with |ν| < {norm:.3g}: {reason}"
    return MembershipVerdict(verdict, reason, norm, largest, growth, last, width)


def _decide(
    growth: PowerLawFit | None, last: PowerLawFit | None, width: PowerLawFit | None
) -> tuple[str, str]:
    if growth is None or last is None:
        return "inconclusive", "‖Δ‖ was measured at one n only"
    points, seeds = len(growth.series.points), len(growth.series.seeds)
    if points < MIN_POINTS or seeds < MIN_SEEDS:
        needs = f"needs at least {MIN_POINTS} sizes and {MIN_SEEDS} seeds"
        return "inconclusive", f"{points} sizes and {seeds} seed{'s' * (seeds != 1)}: {needs}"
    if width is None:
        return "inconclusive", "one width only: m ≫ n cannot be seen"
    if not width.low > -MEMBERSHIP_EXPONENT:
        slope = _interval(width)
        return "inconclusive", f"‖Δ‖ still falls with m like m^{slope}: m is not ≫ n; raise --m"
    if growth.upper_tail(MEMBERSHIP_EXPONENT) <= CHECK_LEVEL:
        slope = _interval(growth)
        return "outside", f"‖Δ‖ grows like n^{slope} at m ≫ n: outside the class"
    if growth.high >= MEMBERSHIP_EXPONENT:
        place = _interval(growth)
    elif last.high >= MEMBERSHIP_EXPONENT:
        place = f"{_interval(last)} over the last two sizes"
    else:
        return "inside", f"‖Δ‖ saturates with n at m ≫ n, it grows like n^{_interval(growth)}"
    return "inconclusive", (
        f"‖Δ‖ grows like n^{place}, which does not settle whether by more or less than "
        f"n^{MEMBERSHIP_EXPONENT}; more seeds, or larger n and m"
    )


def _largest(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """‖Δ‖ and the sup norms by block, each the largest of the rows."""
    found: dict[str, float] = {}
    for row in rows:
        for name, value in row["terms"][TERM][PROBE].items():
            if name == STATISTIC or name.startswith(REQUIRED):
                block = name.removeprefix(REQUIRED)
                found[block] = max(found.get(block, 0.0), value)
    return found


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
