"""Files that a run names: labels and inputs, initial weights, a kernel; one digest of all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ntkbound.core.config import cause, digest
from ntkbound.core.errors import InputError
from ntkbound.core.npz import arrays_of
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.kernels import SHIPPED, Kernel

Arrays = Mapping[str, np.ndarray]
LARGEST = 1e12  # beyond it products of weights leave the range of float64
SHAPES = {"W_Q": "HDd", "W_K": "HDd", "W_V": "HDd", "W_O": "Hd"}


@dataclass(frozen=True, eq=False)
class Files:
    """What was read: arrays y and X of labels, those of the initial weights, and the kernel."""

    kernel: Kernel
    labels: Arrays = field(default_factory=dict)
    initial: Arrays = field(default_factory=dict)


def read(config: Config) -> tuple[Files, dict[str, int], str | None]:
    """The files of a config, the sizes that follow from them, and their digest; None for none.

    Raises InputError, naming the option and the file, for one that cannot be used.
    """
    digests, sizes, arrays = {}, dict[str, int](), dict[str, Arrays]()
    readers: Mapping[str, Callable[[bytes], Arrays]] = {
        "labels": _labels,
        "initial": lambda content: _initial(content, config.values == "dense"),
    }
    for name, path in config.files.items():
        try:
            content = path.read_bytes()
            digests[name] = hashlib.sha256(content).hexdigest()
            arrays[name] = readers[name](content)
            _agree(sizes, _sizes(name, arrays[name]))
        except OSError as error:
            told = f"cannot be read ({cause(error)})"
            raise InputError(told, field=name, value=path) from None
        except InputError as error:
            raise InputError(str(error.args[0]), field=name, value=path) from None
    read_files = Files(kernel_of(config), arrays.get("labels", {}), arrays.get("initial", {}))
    return read_files, sizes, digest(digests) if digests else None


def kernel_of(config: Config) -> Kernel:
    """The one that is shipped under its name, or a user's own."""
    if config.own_kernel is None:
        return SHIPPED[config.kernel]
    from ntkbound.theorems.attention_kernels.own import load  # torch

    return load(*config.own_kernel)


def _labels(content: bytes) -> Arrays:
    """y (N, n), and X (N, n, D) if it is there."""
    try:
        arrays = {name: a for name, a in arrays_of(content).items() if name in ("X", "y")}
    except ValueError as error:
        raise InputError(f"not a readable .npz of plain arrays ({error})") from None
    if "y" not in arrays:
        raise InputError("array 'y' is missing; y (N, n) needed, X (N, n, D) possible")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise InputError(f"array {name!r} is not numeric ({array.dtype})")
        arrays[name] = _usable(name, array.astype(np.float64), {"y": 2, "X": 3}[name])
    if "X" in arrays and arrays["X"].shape[:2] != arrays["y"].shape:
        raise InputError(f"X has shape {arrays['X'].shape}, and y {arrays['y'].shape}")
    return arrays


def _initial(content: bytes, dense: bool) -> Arrays:
    """W_Q, W_K, W_V (H, D, d), or W_V (HD, Hd) where values are dense, and W_O (H, d)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"not a readable .safetensors ({error})") from None
    missing = [name for name in SHAPES if name not in found]
    if missing:
        raise InputError(f"array {missing[0]!r} is missing; {', '.join(SHAPES)} needed")
    for name in SHAPES:
        if found[name].dtype != np.float64:
            raise InputError(f"array {name!r} is {found[name].dtype}; float64 is needed")
    arrays = {name: _usable(name, found[name], 2 if name == "W_O" else None) for name in SHAPES}
    shape = arrays["W_Q"].shape
    if len(shape) != 3:
        raise InputError(f"W_Q has shape {shape}; (H, D, d) is needed")
    H, D, d = shape
    for name, wanted in {"W_K": shape, "W_V": shape, "W_O": (H, d)}.items():
        accepted = [wanted, (H * D, H * d)] if name == "W_V" and dense else [wanted]
        if arrays[name].shape not in accepted:
            raise InputError(f"{name} has shape {arrays[name].shape}; {wanted} is needed")
    return arrays


def _usable(name: str, array: np.ndarray, dimensions: int | None) -> np.ndarray:
    if dimensions is not None and array.ndim != dimensions:
        raise InputError(f"{name} has shape {array.shape}; {dimensions} dimensions are needed")
    if 0 in array.shape:
        raise InputError(f"{name} has shape {array.shape}; nothing is in it")
    if not np.isfinite(array).all():
        raise InputError(f"array {name!r} holds NaN or infinity")
    if np.abs(array).max() > LARGEST:
        told = f"array {name!r} reaches {np.abs(array).max():.3g}; {LARGEST:g} is the most"
        raise InputError(told)
    return np.ascontiguousarray(array)


def _sizes(name: str, arrays: Arrays) -> dict[str, int]:
    letters = {"y": "Nn", "X": "NnD"} if name == "labels" else {"W_Q": "HDd"}
    return {
        letter: size
        for array, of in letters.items()
        if array in arrays
        for letter, size in zip(of, arrays[array].shape, strict=True)
    }


def _agree(sizes: dict[str, int], found: Mapping[str, int]) -> None:
    for letter, size in found.items():
        if sizes.setdefault(letter, size) != size:
            raise InputError(f"{letter} is {size} here and {sizes[letter]} in the labels' file")
