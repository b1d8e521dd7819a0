"""Does a curve bend towards its claim, so that the rate may be reached beyond the range?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntkbound.stats.inference import Array, seed_mean
from ntkbound.stats.margins import BEND_LEVEL, END_LEVEL, VIOLATION_MARGIN


@dataclass(frozen=True)
class Bend:
    """How far a slope is from the claimed one on its wrong side, along the range.

    p: one-sided, of "the gap does not shrink along the axis"; start, end: the gap at both ends of
    the range by the best parabola; late: its mean over the later half of the points; closed:
    one-sided p-value of "there is no gap at the end of the range".
    """

    p: float
    start: float
    end: float
    late: float
    closed: float

    @property
    def seen(self) -> bool:
        """Whether it shows above the noise; else more seeds may tell that there is none."""
        return self.p <= BEND_LEVEL

    @property
    def harmless(self) -> bool:
        """The gap shrinks, and is closed at the end of the range or on the way there by half; or
        nothing speaks against its being closed."""
        closes = self.late <= VIOLATION_MARGIN or self.end <= self.start / 2
        return self.closed > END_LEVEL or (self.seen and closes)


def bend(x: Array, gap: Array) -> Bend | None:
    """The bend of `gap` (R, p), logarithms of measured over claimed curve, signed so that growth
    is what the claim forbids, over the logarithm of the axis x (p,); None below three points or
    two seeds."""
    if len(x) < 3 or len(gap) < 2:
        return None
    x = x - x.mean()
    square = x**2 - (x**2).mean()
    lean = (square @ x) / (x @ x)
    square = square - lean * x  # orthogonal to the constant and the line
    line, arc = x / (x @ x), square / (square @ square)
    bends = seed_mean(gap, arc, x)
    steep = [2 * at - lean for at in (x[0], x[-1])]  # slopes of the parabola at both ends
    ends = seed_mean(gap, line + steep[1] * arc, steep[1] * x - square)
    mean = gap.mean(axis=0)
    start = float(mean @ (line + steep[0] * arc))
    later = x[len(x) // 2 :] if len(x) > 3 else x[-2:]
    centred = later - later.mean()
    late = float(mean[-len(later) :] @ centred / (centred @ centred))
    shrinks, closed = float(bends.mirrored().pooled_tail()), float(ends.pooled_tail())
    return Bend(shrinks, start, float(ends.mean), late, closed)


def local_slopes(x: Array, y: Array) -> Array:
    """(p − 1,) slopes between neighbouring points of log values y (R, p), mean over seeds."""
    return np.asarray((np.diff(y, axis=1) / np.diff(x)).mean(axis=0))
