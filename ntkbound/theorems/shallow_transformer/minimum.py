"""The smallest value of a bound over its free parameter.

Every value of the parameter gives a valid bound, so a grid refined around its best point is enough,
and all points of it are evaluated at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

POINTS = 17  # of a grid; the next one spans the two cells beside the best of them
GRIDS = 6  # so the parameter is known to 8^-5/16, about 2e-6, of its range


def minimum(bound: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> float:
    """min of ``bound`` on [low, high], for one valley; ``bound`` takes and returns (k,).

    What is returned was evaluated: never below the minimum, above it by rounding where the curve
    is smooth. Points where the bound overflows, or is not a number, are passed over.
    """
    smallest = np.inf
    for _ in range(GRIDS):
        grid = np.linspace(low, high, POINTS)
        with np.errstate(over="ignore", invalid="ignore"):
            found = bound(grid)
        found = np.where(np.isnan(found), np.inf, found)
        best = int(np.argmin(found))
        smallest = min(smallest, float(found[best]))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, POINTS - 1)]
    return smallest
