"""The classifier's numbers again, in NumPy, from the weights that were saved."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from ntkbound.core.outcome import Comparison
from ntkbound.core.record import Record
from ntkbound.theorems.attention_kernels.kernels import Kernel

EPS = 1e-5  # of LayerNorm's variance
NAMES = ("W_Q", "W_K", "W_V", "W_O", "scale", "shift")  # of a layer


def verify(record: Record, kernel: Kernel) -> list[Comparison]:
    """Training loss and test accuracy. Raises InputError for a record without its weights."""
    layers = range(int(record.config["layers"]))
    own = [f"{name}.{layer}" for layer in layers for name in NAMES]
    parts = [f"{part}.{name}" for part in ("train", "test") for name in ("patches", "classes")]
    record.require("E", "S", "head", "bias", *own, *parts)
    loss, _ = _again(record, "train", kernel)
    _, accuracy = _again(record, "test", kernel)
    image = record.terms["image"]
    return [
        Comparison("training loss, by NumPy", image["train"]["loss"], loss),
        Comparison("test accuracy, by NumPy", image["test"]["accuracy"], accuracy),
    ]


def _again(record: Record, part: str, kernel: Kernel) -> tuple[float, float]:
    classes = record.arrays[f"{part}.classes"]
    logits = _logits(record, record.arrays[f"{part}.patches"], kernel)
    loss = logsumexp(logits, axis=1) - logits[np.arange(len(classes)), classes]
    return float(loss.mean()), float((logits.argmax(axis=1) == classes).mean())


def _logits(record: Record, patches: np.ndarray, kernel: Kernel) -> np.ndarray:
    """(count, 10), head by head."""
    w = {name: a.astype(np.float64) for name, a in record.arrays.items() if "." not in name}
    X = patches @ w["E"] + w["S"]
    for layer in range(int(record.config["layers"])):
        own = {name: record.arrays[f"{name}.{layer}"].astype(np.float64) for name in NAMES}
        centred = X - X.mean(axis=2, keepdims=True)
        Z = centred / np.sqrt(np.square(centred).mean(axis=2, keepdims=True) + EPS)
        Z = Z * own["scale"] + own["shift"]
        heads = zip(*(own[name] for name in NAMES[:4]), strict=True)
        X = X + sum(kernel.attend(Z @ Q, Z @ K) @ Z @ V @ out for Q, K, V, out in heads)
    return np.asarray(X.mean(axis=1) @ w["head"] + w["bias"])
