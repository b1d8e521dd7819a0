"""A kernel of a user's own, FILE.py:f: f(q, k) → weights (…, n, n) of torch tensors (…, n, d).

The file is the user's own (``core.userfile``), executed because it was named; gradients come by
autograd. ``f.normalised = True`` says that weights are non-negative and rows sum to 1, ``f.bounded
= True`` that they lie in [0, 1]: floors are known for such kernels alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import userfile
from ntkbound.core.errors import InputError

ROUNDING = 1e-9  # of weights that are marked as normalised or bounded

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Own:
    """``f`` of a user's file, and where it stands."""

    function: Function
    path: Path

    @property
    def normalised(self) -> bool:
        return bool(getattr(self.function, "normalised", False))

    @property
    def bounded(self) -> bool:
        return self.normalised or bool(getattr(self.function, "bounded", False))

    def __call__(self, q: Tensor, k: Tensor) -> Tensor:
        """Its weights. Raises InputError, with file and line, for what it raises or returns."""
        try:
            found = self.function(q, k)
        except SystemExit as error:  # it would end this process, and say nothing
            raise userfile.raised(error) or error from None
        wanted = (*q.shape[:-1], k.shape[-2])
        if not isinstance(found, Tensor) or found.shape != wanted or found.dtype != q.dtype:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            kind = f" {found.dtype}" if isinstance(found, Tensor) else ""
            told = f"returns {shape}{kind} of q {tuple(q.shape)}; {wanted} {q.dtype} is needed"
            raise InputError(f"{self._place}: {told}", field="kernel")
        return found

    def checked(self, q: np.ndarray, k: np.ndarray) -> None:
        """Raises InputError where weights at the start are not finite, or not as they are marked:
        floors would be wrong."""
        S = self.attend(q, k)
        wrong = ""
        if not np.isfinite(S).all():
            wrong = "returns NaN or infinity at the start"
        elif self.bounded and not (S.min() >= 0 and S.max() <= 1 + ROUNDING):
            wrong = f"is marked as bounded and returns {S.min():.3g} to {S.max():.3g}"
        elif self.normalised and np.abs(S.sum(axis=-1) - 1).max() > ROUNDING:
            wrong = "is marked as normalised and returns rows that do not sum to 1"
        if wrong:
            raise InputError(f"{self._place}: {wrong}", field="kernel")

    @property
    def _place(self) -> str:
        code = getattr(self.function, "__code__", None)
        return f"{self.path.name}, line {code.co_firstlineno}" if code else self.path.name

    def attend(self, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self(torch.from_numpy(q), torch.from_numpy(k)).numpy()

    def jacobian(self, X: np.ndarray, W_Q: np.ndarray, k: np.ndarray) -> np.ndarray:
        inputs, keys = torch.from_numpy(X), torch.from_numpy(k)

        def of(W: Tensor) -> Tensor:
            return self(inputs @ W, keys)

        derivative: Any = torch.autograd.functional.jacobian  # untyped
        return np.asarray(derivative(of, torch.from_numpy(W_Q)).reshape(-1, W_Q.size).numpy())


def load(path: Path, name: str) -> Own:
    """The function of FILE.py:f, of a file that was named.

    Raises InputError where it was not named, where it raises, and where it has no such function.
    """
    file = userfile.load(path)
    found = file.attribute(name, "the kernel, a function f(q, k)")
    if not callable(found):
        told = f"{path.name}: {name} is a {type(found).__name__}, no function f(q, k)"
        raise InputError(told, field="kernel")
    return Own(found, file.path)
