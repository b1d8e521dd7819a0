"""Which fields of a run's config follow from others, so that they separate no arms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def follows(config: Mapping[str, Any]) -> dict[str, Any]:
    """Field → what it follows.

    η = eta_scale/√τ follows τ: left as a number it would put every τ into an arm of its own. T
    and d of windows follow their lag.
    """
    found: dict[str, Any] = {}
    eta, scale, tau = config.get("eta"), config.get("eta_scale"), config.get("tau")
    if scale is not None and tau:
        derived = scale / math.sqrt(tau)
        if eta is None or math.isclose(eta, derived, rel_tol=1e-6):
            found["eta"] = "eta_scale/sqrt(tau)"
    if config.get("lag") is not None:
        found["T"] = "lag + 1"
        if config.get("positions") == "onehot":
            found["d"] = "lag + 2"
    return found
