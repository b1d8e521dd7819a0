"""How often a process of ours looks for garbage.

Importing torch makes about a million objects, none of them garbage. With Python's defaults they are
searched over and over while they are made, and once more, in vain, when the process ends: together
almost a second (docs/measurements.md).
"""

from __future__ import annotations

import atexit
import gc

ALLOCATIONS = 100_000  # between two searches among the youngest objects (Python: 700)


def collect_rarely() -> None:
    """For a process that we own, before it imports anything large."""
    gc.set_threshold(ALLOCATIONS, 50, 100)
    atexit.register(gc.freeze)  # what is frozen is not searched again at the end
