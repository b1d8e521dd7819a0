"""When a measured number counts as above its bound: one rule for a run and for a check of many."""

from __future__ import annotations

# float32 training leaves φ_s on the spheres of Ω_ρ only up to its own rounding.
ROUNDING = 1e-5
ABSOLUTE_ROUNDING = 1e-12  # a measured error is a float64 difference of numbers of size 1


def exceeds(measured: float, bound: float) -> bool:
    """measured > bound, beyond rounding."""
    return measured > bound + ROUNDING * abs(bound) + ABSOLUTE_ROUNDING
