"""Where the ticks of an axis stand, and what is written at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.report.notation import GLYPH, POINTS
from ntkbound.report.style import SMALL

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 6  # powers of ten along an axis
PLAIN = (1e-2, 1e4)  # between these a number is written as it is, unless it is a power among others
STEPS = ((1, 2, 5), (1, 2, 3, 5, 7))  # in a decade, where powers of ten are too few


def log_ticks(low: float, high: float, most: int = MOST) -> tuple[list[float], list[str]]:
    """At least two ticks between positive ends, and their labels: powers of ten where two of them
    are there, else 1, 2, 5 times them, else round numbers evenly apart."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last > first:
        every = -(-(last - first) // (most - 1))
        powers = range(-(-first // every) * every, last + 1, every)
        return [10.0**k for k in powers], [_power(k) for k in powers]
    for steps in STEPS:
        found = [k * 10.0**e for e in range(first - 1, last + 1) for k in steps]
        found = [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(found) > 1:
            return found, [told(tick) for tick in found]
    return _even(low, high)


def _even(low: float, high: float) -> tuple[list[float], list[str]]:
    from matplotlib.ticker import MaxNLocator

    found = [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    return found, [told(tick) for tick in found]


def told(value: float) -> str:
    """A number at a tick: as it is, or as 2 × 10^−5."""
    if value == 0 or PLAIN[0] <= abs(value) < PLAIN[1] or _whole(value):
        return f"{value:.12g}".replace("-", "−")
    power = math.floor(math.log10(abs(value)) + 1e-9)
    factor = value / 10.0**power
    if math.isclose(factor, 1):
        return _power(power)
    return rf"${factor:.4g}\times10^{{{power}}}$"


def is_short(value: float) -> bool:
    """Whether a number is one that somebody chose, such as 0.35 or 1024, and not a measured one."""
    return math.isclose(value, float(f"{value:.3g}"), rel_tol=1e-12) or _whole(value)


def _whole(value: float) -> bool:
    """A count, such as a width, is written out up to a million."""
    return float(value).is_integer() and abs(value) < 1e6


def _power(exponent: int) -> str:
    return f"$10^{{{exponent}}}$"


def spread(values: Sequence[float] | NDArray[np.float64], inches: float) -> list[float]:
    """Those of positive values whose labels find room along a logarithmic axis of this length; both
    ends stay."""
    ordered = sorted(set(map(float, values)))
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return ordered
    scale = inches * POINTS / math.log(ordered[-1] / ordered[0])
    kept = [ordered[0]]
    for value in ordered[1:-1]:
        if all(scale * abs(math.log(value / other)) >= _room(value, other)
               for other in (kept[-1], ordered[-1])):  # fmt: skip
            kept.append(value)
    return [*kept, ordered[-1]]


def _room(one: float, other: float) -> float:
    """Points between the middles of two labels."""
    letters = (len(told(one).strip("$")) + len(told(other).strip("$"))) / 2
    return (letters + 1) * GLYPH * 1.15 * SMALL


def set_log_ticks(axis: Any, most: int = MOST) -> None:
    """Of one side (``axes.xaxis`` or ``axes.yaxis``) with a logarithmic scale."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    found, labels = log_ticks(low, high, most)
    axis.set_ticks(found, labels=labels)
    few = math.log10(high / low) <= MOST
    axis.set_minor_locator(LogLocator(subs=range(2, 10)) if few else NullLocator())
    axis.set_minor_formatter(NullFormatter())
