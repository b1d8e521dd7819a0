"""Every tolerance of the suite, by precision: relative to the largest magnitude of a comparison."""

from __future__ import annotations

import numpy as np
import torch

# Rounding of a few hundred additions of O(1) numbers.
ROUNDING = {torch.float32: 2e-5, torch.float64: 1e-12}

# Central differences of fourth order in float64, step 1e-3: truncation and cancellation meet there.
FINITE_DIFFERENCE = 1e-8

# Two descents whose rounding differs drift apart step by step.
TRAJECTORY = {torch.float32: 1e-3, torch.float64: 1e-10}


def assert_close(
    a: object, b: object, tolerance: float, what: str, *, floor: float = 1e-12
) -> None:
    """|a − b| ≤ tolerance · max(|a|, |b|, floor) over whole arrays; ``what`` opens the message.

    ``floor`` is the scale of the terms that cancelled, where the result itself may be zero.
    """
    left, right = _array(a), _array(b)
    assert left.shape == right.shape, f"{what}: shapes {left.shape} and {right.shape}"
    scale = max(float(np.abs(left).max()), float(np.abs(right).max()), floor)
    gap = float(np.abs(left - right).max())
    assert gap <= tolerance * scale, f"{what}: differ by {gap:.2e} at scale {scale:.2e}"


def _array(value: object) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().double().numpy()
    return np.asarray(value, dtype=np.float64)
