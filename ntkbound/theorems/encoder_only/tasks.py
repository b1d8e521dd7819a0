"""Data of a run: drawn from seeds, or read from an .npz; one line for what cannot be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ntkbound.core import streams
from ntkbound.core.config import cause
from ntkbound.core.errors import InputError
from ntkbound.core.npz import arrays_of
from ntkbound.theorems.encoder_only.config import Config, known

SAMPLES = 16  # drawn together; part of the stream's definition


@dataclass(frozen=True, eq=False)
class Data:
    """X (N, ds, d) tokens as rows and y (N,) targets, float64; SHA-256 (hex) where read."""

    X: np.ndarray
    y: np.ndarray
    digest: str | None = None


def read(path: Path) -> Data:
    """The arrays X and y of an .npz.

    Raises InputError naming the file and what is wrong with it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _refused(path, f"cannot be read ({cause(error)})") from None
    try:
        arrays = arrays_of(content)
    except ValueError as error:
        raise _refused(path, f"not a readable .npz of plain arrays ({error})") from None
    X, y = (_numbers(path, arrays, name) for name in ("X", "y"))
    if X.ndim != 3 or 0 in X.shape:
        raise _refused(path, f"X has shape {X.shape}; (N, ds, d) with no zero is needed")
    if y.shape != X.shape[:1]:
        raise _refused(path, f"y has shape {y.shape}; ({X.shape[0]},) is needed")
    return Data(X, y, hashlib.sha256(content).hexdigest())


def _numbers(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise _refused(path, f"array {name!r} is missing; X (N, ds, d), y (N,) needed")
    array = arrays[name]
    if array.dtype.kind not in "fiub":
        raise _refused(path, f"array {name!r} is not numeric ({array.dtype})")
    numbers = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise _refused(path, f"array {name!r} holds NaN or infinity")
    return numbers


def _refused(path: Path, told: str) -> InputError:
    return InputError(told, field="task", value=path)


def gaussian(N: int, ds: int, d: int, seed: int) -> Data:
    """Standard normal X and y; sample n is the same whatever N."""
    X = streams.rows(
        seed, f"encoder-only/X/{ds}/{d}", 0, N,
        lambda rng, count: rng.standard_normal((count, ds, d)), SAMPLES,
    )  # fmt: skip
    y = streams.rows(seed, "encoder-only/y", 0, N, lambda rng, count: rng.standard_normal(count))
    return Data(X, y)


def data(config: Config, found: Data | None = None) -> Data:
    """Data of a config whose sizes are known; ``found`` is what its file held.

    Raises InputError for a token of norm 0 that should have norm 1.
    """
    if found is None:
        sizes = config.sizes
        found = gaussian(sizes.N, sizes.ds, sizes.d, known(config.data_seed, "data_seed"))
    return Data(_tokens(config, found.X), found.y, found.digest)


def _tokens(config: Config, X: np.ndarray) -> np.ndarray:
    if config.tokens == "centred":
        return np.asarray(X - X.mean(axis=1, keepdims=True))
    if config.tokens == "raw":
        return X
    norms = np.linalg.norm(X, axis=2, keepdims=True)
    if not norms.all():
        sample, token, _ = np.argwhere(norms == 0)[0]
        told = f"token {token} of sample {sample} is zero and has no direction; use raw tokens"
        raise InputError(told, field="tokens")
    return np.asarray(X / norms)
