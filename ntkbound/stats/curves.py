"""What was fitted and what is claimed, as curves beside the points that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from ntkbound.core.claim import Exponential, Rate
from ntkbound.stats.columns import Array
from ntkbound.stats.margins import CONFIDENCE
from ntkbound.stats.observations import Series
from ntkbound.stats.verdicts import Verdict
from ntkbound.stats.words import two


class Curves(NamedTuple):
    """At the points x (p,) of a line: y of the fitted and of the claimed curve, each shifted to the
    same mean logarithm as the medians, for a claim is about a shape; None where there is none."""

    x: Array
    fitted: Array | None
    claimed: Array | None


def curves(fit: Verdict) -> Curves | None:
    """The curves of a line that was fitted; None of anything else.

    Of a rate x^b (log x)^k and of an exponential e^{−rx}; with a floor, a·x^b + c with the a and
    c ≥ 0 that are closest to the logarithms of the medians.
    """
    series = fit.evidence
    if not isinstance(series, Series) or fit.estimate is None:
        return None
    x, y = series.points, np.log(np.median(series.values, axis=0))
    claim, claimed = fit.claim, fit.claimed
    if isinstance(claim, Exponential):
        shape = None if claimed is None else -claimed * x
        return Curves(x, _placed(-fit.estimate * x, y), _placed(shape, y))
    if not isinstance(claim, Rate):
        return Curves(x, _placed(fit.estimate * np.log(x), y), None)
    if claim.floor:
        found = [_with_floor(b, x, y) for b in (fit.estimate, claim.exponent)]
        return Curves(x, found[0], None if claimed is None else found[1])
    shape = claim.exponent * np.log(x)
    if claim.log_power:
        shape = shape + claim.log_power * np.log(np.log(x))
    fitted = _placed(fit.estimate * np.log(x), y)
    return Curves(x, fitted, None if claimed is None else _placed(shape, y))


def _placed(shape: Array | None, y: Array) -> Array | None:
    """exp of a logarithmic shape, shifted to the mean of y (p,)."""
    return None if shape is None else np.exp(shape + (y - shape).mean())


def _with_floor(exponent: float, x: Array, y: Array) -> Array:
    """x^b + κ, κ on a grid that reaches from no floor to nothing but a floor, shifted to y."""
    power = x**exponent
    floors = np.concatenate([[0.0], power.max() * np.geomspace(1e-6, 1e6, 241)])
    shapes = np.log(power + floors[:, None])
    shapes += (y - shapes).mean(axis=1, keepdims=True)
    best: Array = np.exp(shapes[((shapes - y) ** 2).sum(axis=1).argmin()])
    return best


def median_interval(values: Array) -> tuple[float, float]:
    """An interval of the median of values (R,) that no distribution can upset: between the order
    statistics that enclose it with `CONFIDENCE`, all values where there are too few for that
    (five: 94 %, three: 75 %)."""
    ordered, seeds = np.sort(values), len(values)
    rank = max(int(binom.ppf((1 - CONFIDENCE) / 2, seeds, 0.5)), 1)
    return float(ordered[rank - 1]), float(ordered[seeds - rank])


def noted(fits: Sequence[Verdict]) -> str:
    """What a panel says of its fits: "slope −0.53 [−0.54, −0.51], claimed ≤ −0.5: tight"; of
    several, the range of their estimates."""
    if len(fits) == 1:
        (fit,) = fits
        if fit.claim is None:
            return fit.told
        return f"{fit.told}, claimed {fit.claim.sign}: {fit.verdict}"
    told = sorted({(fit.estimate, two(fit.estimate)) for fit in fits if fit.estimate is not None})
    if not told:
        return ""
    claimed = dict.fromkeys(fit.claim.sign for fit in fits if fit.claim)
    verdicts = dict.fromkeys(fit.verdict for fit in fits if fit.claim)
    ends = dict.fromkeys((told[0][1], told[-1][1]))
    parts = [f"slopes {' … '.join(ends)}", *(f"claimed {sign}" for sign in claimed)]
    return ", ".join(parts) + (f": {', '.join(verdicts)}" if verdicts else "")
