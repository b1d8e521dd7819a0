"""One error per sample, told by three statistics."""

from __future__ import annotations

from torch import Tensor

Statistics = dict[str, float]


def summarise(errors: Tensor) -> Statistics:
    """max, mean and root mean square over samples of |e_j|; ``errors`` (n,)."""
    size = errors.abs()
    return {
        "max": float(size.max()),
        "mean": float(size.mean()),
        "rms": float(size.square().mean().sqrt()),
    }


def larger(a: Statistics | None, b: Statistics) -> Statistics:
    """Statistic by statistic the larger of two: each at its own worst recorded step."""
    return b if a is None else {name: max(a[name], b[name]) for name in b}
