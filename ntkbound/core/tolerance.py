"""When is a measured number above its bound, and when is it only rounding? One rule for everybody.

Numbers are measured in float64 at the parameters as stored. An amplitude, a sum or difference of
numbers of size 1, is known to ``FACTOR``·ε, and a square of one to the square of that: the rounding
of a quantity is that of what is summed, never a constant for quantities of every size.
"""

from __future__ import annotations

import math
from typing import Literal

Noise = Literal["amplitude", "square"]  # what a quantity's rounding is relative to

EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
FACTOR = 64.0  # covers the accumulation of long sums

# Of an amplitude: both sides are sums over samples and parameters, whose rounding grows with them.
RELATIVE = 1e-12

# Of one number measured twice by two versions of the code: another order of the same sums, or
# another library, may change it by this; the same code in the same environment by nothing.
REPEATED = 1e-9


def exceeds(measured: float, bound: float, noise: Noise = "amplitude") -> bool:
    """measured > bound, beyond rounding; squares (≥ 0) are compared by their roots."""
    if noise == "square":
        measured, bound = math.sqrt(max(measured, 0.0)), math.sqrt(max(bound, 0.0))
    return measured > bound + RELATIVE * abs(bound) + FACTOR * EPSILON["float64"]
