"""Which steps of a run are recorded."""

from __future__ import annotations


def recorded_steps(last: int, count: int) -> list[int]:
    """At most ``count`` steps from 0 to ``last``, both among them, geometrically spaced: 0 and the
    rounded last^{k/(count − 2)}, k = 0 … count − 2. ``count`` is 2 at least."""
    spaced = {round(last ** (k / (count - 2))) for k in range(count - 1)} if count > 2 else {last}
    return sorted({0, last} | {step for step in spaced if step < last})
