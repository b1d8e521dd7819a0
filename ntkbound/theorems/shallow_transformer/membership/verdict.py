"""Inside the target class or not: how the norm that labels require grows with the samples.

For labels inside F_ν the norm ‖Δ‖ stays below the norm of the target whatever n is: exponent 0.
Labels with a component of independent noise require E‖Δ‖² ≥ s² n/κ (docs/linearized.md): exponent
at least 1/2. The verdict splits halfway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ntkbound.core.quantity import Key
from ntkbound.stats.columns import tabulate
from ntkbound.stats.margins import CHECK_LEVEL, MIN_POINTS, MIN_SEEDS
from ntkbound.stats.observations import Series, observe
from ntkbound.stats.powerlaw import PowerLawFit, fit_power_laws
from ntkbound.stats.words import two

NORM = Key("membership", "minimum_norm", "norm")

EXPONENT = 0.25
"""Halfway between the growth with n of the norm that labels inside the class require (bounded,
n^0) and the least that independent noise in labels forces (n^½, proved in docs/linearized.md)."""

UNFITTED = 0.01
"""Labels count as fitted, so that they can be `inside`, when this share of their norm is left."""


@dataclass(frozen=True)
class Requirement:
    """What fitting n labels with m heads requires, at one seed and ridge.

    norm: ‖Δ‖ of the minimum-norm displacement; rkhs_norm: that of the function it makes;
    residual: the share of the labels' norm left unfitted; nu: √m max_i ‖Δ_i‖ per block.
    """

    m: int
    n: int
    seed: int
    ridge: float
    norm: float
    rkhs_norm: float
    residual: float
    nu: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if name != "nu"}
        return told | {f"nu_{block}": value for block, value in self.nu.items()}


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


def judge_membership(rows: Sequence[Requirement]) -> MembershipVerdict:
    """The verdict on what was measured at several n and m, over seeds, at one ridge.

    outside: ‖Δ‖ grows faster than n^{1/4} at the largest width, and also with m in proportion to
    n, both one-sided at `CHECK_LEVEL` with seeds as sampling units. (At one width alone the cost
    of too few heads grows with n as well; in proportion it does not.) inside: the intervals of the
    growth and of its last step lie below 1/4, and the labels are fitted.
    """
    widest = max(row.m for row in rows)
    most = max(row.n for row in rows)
    wide = [row for row in rows if row.m == widest]
    final = [row for row in wide if row.n == most]
    growth = _fit(wide)
    last = growth and fit_power_laws([_last_two(growth.series)])[0]
    # n/m within 5 %: sizes and widths are rounded to whole samples and pairs of heads.
    proportional = _fit([row for row in rows if abs(row.n / row.m * widest / most - 1) < 0.05])
    norm = min(row.norm for row in final)
    nu = {block: max(row.nu[block] for row in final) for block in final[0].nu}
    unfitted = max(row.residual for row in final)
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
    limit = f"n^{EXPONENT:g}"
    points, seeds = len(growth.series.points), len(growth.series.seeds)
    if points < MIN_POINTS or seeds < MIN_SEEDS:
        needs = f"needs at least {MIN_POINTS} sizes and {MIN_SEEDS} seeds"
        return "inconclusive", f"{points} sizes and {seeds} seed{'s' * (seeds != 1)}: {needs}"
    if growth.upper_tail(EXPONENT) <= CHECK_LEVEL:
        told = f"‖Δ‖ grows like n^{_interval(growth)} at the largest m"
        joint = f"with m in proportion to n like n^{_interval(proportional)}"
        if proportional.upper_tail(EXPONENT) <= CHECK_LEVEL:
            return "outside", f"{told}, {joint}: outside the class"
        return "inconclusive", f"{told}, but {joint}: m is too small for this n; raise m"
    if growth.high >= EXPONENT:
        return "inconclusive", (
            f"‖Δ‖ grows like n^{_interval(growth)}, not clearly more or less than {limit}; "
            "more seeds, or larger n and m"
        )
    if last.high >= EXPONENT:
        return "inconclusive", (
            f"‖Δ‖ grows like n^{_interval(growth)} but like n^{_interval(last)} over the last two "
            f"sizes, not clearly less than {limit}; raise m, then n"
        )
    if unfitted > UNFITTED:
        return "inconclusive", (
            f"‖Δ‖ does not grow, but {unfitted:.1%} of the labels are left unfitted; "
            "a smaller first ridge, or a larger m"
        )
    return "inside", f"‖Δ‖ saturates with n, it grows like n^{_interval(growth)}"


def _fit(rows: Sequence[Requirement]) -> PowerLawFit | None:
    """‖Δ‖ along n, whatever m does; None with fewer than two sizes."""
    table = tabulate(({"n": row.n, "seed": row.seed}, {NORM: row.norm}) for row in rows)
    found = fit_power_laws(observe(table, axes=("n",)))
    return found[0] if found else None


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
