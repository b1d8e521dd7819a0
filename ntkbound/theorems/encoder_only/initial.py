"""Where a run starts: weights of one of three initialisations, or of a file.

Source: arXiv 2311.01575, Table 1: variances of w_O and of W_V, W_Q, W_K, and τ1.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.core.config import cause
from ntkbound.core.errors import InputError
from ntkbound.machine.ranks import Ranks
from ntkbound.theorems.encoder_only.config import Config, known
from ntkbound.theorems.encoder_only.problem import Weights

BLOCKS = {"Q": "W_Q", "K": "W_K", "V": "W_V", "O": "w_O"}  # symbol → name in a file


class Variances(NamedTuple):
    """Of w_O and of the three matrices."""

    output: float
    matrix: float


def variances(init: str, dm: int, d: int) -> Variances:
    """LeCun (1/dm, 1/d), He twice these, NTK (1, 1)."""
    if init == "ntk":
        return Variances(1.0, 1.0)
    factor = 2.0 if init == "he" else 1.0
    return Variances(factor / dm, factor / d)


def output_scale(init: str, dm: int) -> float:
    """τ1: dm^{-1/2} of NTK, 1 of the others."""
    return 1 / math.sqrt(dm) if init == "ntk" else 1.0


def drawn(config: Config, ranks: Ranks) -> Weights:
    """The rows held here; row i is the same direction whatever dm, and whatever the ranks."""
    dm, d = known(config.dm, "dm"), known(config.d, "d")
    seed, scale = known(config.init_seed, "init_seed"), variances(config.init, dm, d)

    def block(name: str, variance: float, *shape: int) -> Tensor:
        def normal(rng: np.random.Generator, count: int) -> np.ndarray:
            return rng.standard_normal((count, *shape))

        purpose = "/".join(["encoder-only", name, *map(str, shape)])
        parts = [streams.rows(seed, purpose, rows.start, rows.stop, normal)
                 for rows in held(dm, ranks)]  # fmt: skip
        return torch.from_numpy(math.sqrt(variance) * np.concatenate(parts))

    matrices = {symbol: block(BLOCKS[symbol], scale.matrix, d) for symbol in "QKV"}
    return Weights(**matrices, O=block(BLOCKS["O"], scale.output))


def held(dm: int, ranks: Ranks) -> list[slice]:
    """The rows of this rank. Raises InputError where they cannot be dealt evenly."""
    if ranks.count == 1:
        return [slice(0, dm)]
    if dm % 2:
        told = f"is odd, and {ranks.count} ranks share pairs of rows"
        raise InputError(told, field="dm", value=dm)
    try:
        pairs = ranks.pairs(dm)
    except InputError as error:
        raise InputError(str(error), field="dm", value=dm) from None
    count = 2 * (pairs.stop - pairs.start)
    return ranks.held(slice(0, count), count)


def gathered(weights: Weights, ranks: Ranks) -> dict[str, np.ndarray]:
    """All rows, by their names in a file."""
    return {name: ranks.gather(getattr(weights, symbol)).numpy() for symbol, name in BLOCKS.items()}


def of_arrays(arrays: dict[str, np.ndarray], ranks: Ranks) -> Weights:
    """The rows held here of weights (dm, d) and (dm,) by their names in a file."""
    rows = held(len(arrays["w_O"]), ranks)
    found = {
        symbol: torch.from_numpy(np.concatenate([arrays[name][part] for part in rows]))
        for symbol, name in BLOCKS.items()
    }
    return Weights(**found)


def read(path: Path) -> tuple[dict[str, np.ndarray], bytes]:
    """The four arrays of a file by their names, and its bytes.

    Raises InputError naming the file and what is wrong with it.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
        arrays = load(content)
    except OSError as error:
        raise _refused(path, f"cannot be read ({cause(error)})") from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise _refused(path, f"not a readable .safetensors ({told})") from None
    _check(path, arrays)
    return {name: arrays[name] for name in BLOCKS.values()}, content


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    for name in BLOCKS.values():
        if name not in arrays:
            raise _refused(path, f"{name!r} is missing; W_Q, W_K, W_V (dm, d), w_O (dm,) needed")
        if arrays[name].dtype != np.float64:
            raise _refused(path, f"{name!r} is {arrays[name].dtype}; float64 is needed")
        if not np.isfinite(arrays[name]).all():
            raise _refused(path, f"{name!r} holds NaN or infinity")
    shape = arrays["W_Q"].shape
    if len(shape) != 2 or 0 in shape:
        raise _refused(path, f"'W_Q' has shape {shape}; (dm, d) with no zero is needed")
    needed = {"W_K": shape, "W_V": shape, "w_O": shape[:1]}
    for name, expected in needed.items():
        if arrays[name].shape != expected:
            told = f"{name!r} has shape {arrays[name].shape}; {expected} is needed"
            raise _refused(path, told)


def _refused(path: Path, told: str) -> InputError:
    return InputError(told, field="initial", value=path)
