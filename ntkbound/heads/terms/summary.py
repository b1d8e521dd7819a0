"""One error per sample, told by three statistics."""

from __future__ import annotations

from torch import Tensor

Statistics = dict[str, float]


def statistics(errors: Tensor) -> dict[str, Tensor]:
    """max, mean and root mean square over samples of |e_j|; ``errors`` (..., n)."""
    size = errors.abs()
    return {
        "max": size.amax(-1),
        "mean": size.mean(-1),
        "rms": size.square().mean(-1).sqrt(),
    }


def summarise(errors: Tensor) -> Statistics:
    """The same of one run's errors (n,)."""
    return {name: float(value) for name, value in statistics(errors).items()}
