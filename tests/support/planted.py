"""Series along an axis that follow a known curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ntkbound.stats import Series


def planted(
    points: Sequence[float], curve: Callable, seeds: int = 4, noise: float = 0.01
) -> Series:
    """``curve`` at these points with log-normal noise."""
    rng = np.random.default_rng(7)
    x = np.array(points, dtype=float)
    values = curve(x) * np.exp(noise * rng.standard_normal((seeds, len(x))))
    names = tuple(map(str, range(seeds)))
    return Series("T", "gradient", "training", "feature_norm_max", (), x, values, names)
