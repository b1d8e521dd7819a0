"""A kernel of a user's own, FILE.py:f: f(q, k) → weights (…, n, n) of torch tensors (…, n, d).

The bytes that were read are run, so that a record's digest is that of what made it. The file is run
because it was named on the command line, or in a preset named there; never because a record names
it. ``f.normalised = True`` says that weights are non-negative and rows sum to 1, ``f.bounded =
True`` that they lie in [0, 1]: floors are known for such kernels alone. Gradients by autograd.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
        except (Exception, SystemExit) as error:  # whatever a user's function raises
            raise InputError(raised(error, self.path), field="kernel") from None
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
        return f"{self.path}, line {code.co_firstlineno}" if code else str(self.path)

    def attend(self, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self(torch.from_numpy(q), torch.from_numpy(k)).numpy()

    def jacobian(self, X: np.ndarray, W_Q: np.ndarray, k: np.ndarray) -> np.ndarray:
        inputs, keys = torch.from_numpy(X), torch.from_numpy(k)

        def of(W: Tensor) -> Tensor:
            return self(inputs @ W, keys)

        derivative: Any = torch.autograd.functional.jacobian  # untyped
        return np.asarray(derivative(of, torch.from_numpy(W_Q)).reshape(-1, W_Q.size).numpy())


@lru_cache
def load(content: bytes, kernel: str) -> Own:
    """The function of FILE.py:f, from the file's content, which is run once in a process.

    Raises InputError, naming file and line, where the file raises or has no such function.
    """
    path, _, name = kernel.rpartition(":")
    digest = hashlib.sha256(content).hexdigest()
    module = types.ModuleType(f"ntkbound_kernel_{digest[:16]}")
    module.__file__ = path
    linecache.checkcache(path)
    sys.modules[module.__name__] = module  # dataclasses and pickles look for it there
    try:
        exec(compile(content, path, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise InputError(raised(error, Path(path)), field="kernel") from None
    found = getattr(module, name, None)
    if not callable(found):
        has = ", ".join(k for k, v in vars(module).items() if isinstance(v, types.FunctionType))
        raise InputError(f"has no function {name!r}; it has {has or 'none'}", field="kernel")
    return Own(found, Path(path))


def raised(error: Exception | SystemExit, path: Path) -> str:
    """In one line what was raised, and the last line of this file that led there."""
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [
        frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    place = f"{path}, line {lines[-1]}" if lines else str(path)
    return " ".join(f"{place}: {type(error).__name__}: {error}".split())
