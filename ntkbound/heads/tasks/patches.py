"""Handwritten digits as patches, for classifiers: 16 tokens of 2×2 pixels each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ntkbound.core.errors import InputError

PATCHES, PIXELS, CLASSES = 16, 4, 10
BRIGHTEST = 16.0


@dataclass(frozen=True, eq=False)
class Images:
    """Patches (count, 16, 4), brightness 0 to 1, and classes (count,)."""

    patches: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def at(self, chosen: slice | Tensor) -> Images:
        return Images(self.patches[chosen], self.classes[chosen])


def digits(field: str) -> Images:
    """scikit-learn's 1797 digits of 8×8 pixels, in float64.

    Raises InputError naming the field that asks for them where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        told = "'images' needs scikit-learn; pip install 'ntkbound[data]'"
        raise InputError(told, field=field) from None
    bunch = load_digits()
    pixels = np.asarray(bunch.images, dtype=np.float64) / BRIGHTEST
    patches = pixels.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, PATCHES, PIXELS)
    return Images(torch.from_numpy(patches), torch.from_numpy(np.asarray(bunch.target)))
