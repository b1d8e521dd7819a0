"""Does something grow, and how: exponentially, like a power, like a logarithm, not at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.stats import Series, Verdict, compare_growth, fit_power_laws, observe
from ntkbound.stats.columns import Table
from ntkbound.stats.margins import AICC_MARGIN, RATE_MARGIN
from ntkbound.stats.verdicts import describe
from ntkbound.stats.words import two

Word = Literal["exponential", "power", "log", "none", "undecided"]


@dataclass(frozen=True)
class Growth:
    """What the fits say: whether it grows (None: not resolved), how, and the numbers in words."""

    grows: bool | None
    word: Word
    reason: str


def growth(series: Series) -> Growth:
    """The form of growth, by the slope's interval first and AICc's preference then.

    It grows if the 95 % interval of the log-log slope lies above 0; it does not if the interval
    reaches down to 0 and ends below `RATE_MARGIN`; a wider one resolves nothing. The form counts
    as decided when AICc prefers it to both others by more than `AICC_MARGIN`.
    """
    (fit,) = fit_power_laws([series])
    slope = f"slope {two(fit.slope)} [{two(fit.low)}, {two(fit.high)}]"
    if not fit.low > 0:
        flat = fit.high < RATE_MARGIN
        return Growth(False, "none", slope) if flat else Growth(None, "undecided", slope)
    scores = compare_growth(series)
    told = f"{slope}; AICc above the best: exponential {scores.exponential:.1f}, "
    told += f"power {scores.power:.1f}, logarithm {scores.log:.1f}"
    others = sorted((scores.power, scores.log, scores.exponential))
    word: Word = scores.best if others[1] > AICC_MARGIN else "undecided"
    return Growth(True, word, told)


def series_of(
    records: Sequence[Record] | Table, axis: str, quantities: Sequence[Quantity]
) -> list[tuple[Quantity, Series]]:
    """Series of these quantities along an axis, one per quantity and arm."""
    wanted = {quantity.key: quantity for quantity in quantities}
    found = observe(records, axes=(axis,))
    return [(wanted[series.key], series) for series in found if series.key in wanted]


def unclaimed(records: Sequence[Record], axis: str, quantity: Quantity) -> list[Verdict]:
    """The slopes of a quantity of which no rate is claimed along this axis, one per arm."""
    series = [found for _, found in series_of(records, axis, [quantity])]
    return [describe(fit) for fit in fit_power_laws(series)]
