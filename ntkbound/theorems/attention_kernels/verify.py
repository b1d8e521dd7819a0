"""A record's numbers again from what it saved, by other means than those that made them.

The model is written out with torch as the paper has it, W_V and W_O apart, and differentiated by
autograd; floors are found sample by sample and by scipy. The native code takes no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from ntkbound.core.config import build
from ntkbound.core.outcome import Comparison
from ntkbound.core.record import Record
from ntkbound.theorems.attention_kernels import classifier_verify
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.files import kernel_of
from ntkbound.theorems.attention_kernels.own import Own

NAMES = ("W_Q", "W_K", "W_V", "W_O")


def softmax(q: Tensor, k: Tensor) -> Tensor:
    return torch.softmax(torch.einsum("ac,jc->aj", q, k) / math.sqrt(q.shape[1]), 1)


def gaussian(q: Tensor, k: Tensor) -> Tensor:
    return torch.exp(-torch.cdist(q, k).square() / (2 * math.sqrt(q.shape[1])))


def linear(q: Tensor, k: Tensor) -> Tensor:
    return torch.einsum("ac,jc->aj", q, k) / math.sqrt(q.shape[1])


def normalised_gaussian(q: Tensor, k: Tensor) -> Tensor:
    weights = gaussian(q, k)
    return weights / weights.sum(1, keepdim=True)


KERNELS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": softmax, "gaussian": gaussian, "linear": linear,
    "normalised-gaussian": normalised_gaussian,
}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """What the record saved: inputs, labels, and the weights at the start and at the end."""

    kernel: Callable[[Tensor, Tensor], Tensor]
    normalised: bool
    X: Tensor
    y: Tensor
    start: Mapping[str, Tensor]
    final: Mapping[str, Tensor]


def verify(record: Record) -> list[Comparison]:
    """Every recomputable number of the record.

    Raises InputError unless parameters and inputs were saved with it, and for a user's kernel
    unless its file is named: a record never causes one to be run.
    """
    config = build(Config, record.config)
    kernel = kernel_of(config)
    if config.images:
        return classifier_verify.verify(record, kernel)
    record.require("X", "y", *NAMES, *(f"initial.{name}" for name in NAMES))
    tensors = {key: torch.from_numpy(a.copy()) for key, a in record.arrays.items()}
    kept = Kept(
        kernel if isinstance(kernel, Own) else KERNELS[config.kernel], kernel.normalised,
        tensors["X"], tensors["y"],
        {key: tensors[f"initial.{key}"] for key in NAMES}, {key: tensors[key] for key in NAMES},
    )  # fmt: skip
    return [*_losses(record, kept), *_floors(record, kept), *_gradients(record, kept),
            *_spectra(record, kept)]  # fmt: skip


def attention(kept: Kept, weights: Mapping[str, Tensor], sample: int, head: int) -> Tensor:
    """(n, n) S_ih."""
    X = kept.X[sample]
    return kept.kernel(X @ weights["W_Q"][head], X @ weights["W_K"][head])


def u(weights: Mapping[str, Tensor]) -> Tensor:
    """(H, D) W_V^h W_O^h, or W_V W_O of one matrix."""
    W_V, W_O = weights["W_V"], weights["W_O"]
    if W_V.ndim == 2:
        return (W_V @ W_O.flatten()).reshape(len(W_O), -1)
    return torch.stack([W_V[h] @ W_O[h] for h in range(len(W_O))])


def loss(kept: Kept, weights: Mapping[str, Tensor]) -> Tensor:
    """½ Σ_i ‖Σ_h S_h X_i W_V^h W_O^h − y_i‖²"""
    found, values = torch.zeros((), dtype=torch.float64), u(weights)
    for i, X in enumerate(kept.X):
        heads = [attention(kept, weights, i, h) @ (X @ values[h]) for h in range(len(values))]
        found = found + (torch.stack(heads).sum(0) - kept.y[i]).square().sum() / 2
    return found


def _losses(record: Record, kept: Kept) -> Iterator[Comparison]:
    training = record.terms["optimization"]["training"]
    if not record.complete:
        return
    last, first = float(loss(kept, kept.final)), float(loss(kept, kept.start))
    # Both are sums of squared residuals of size y: far below them only rounding is left.
    size = float(kept.y.square().sum()) / 2
    yield Comparison("f_T over ½‖y‖²", training["loss_final"] / size, last / size)
    yield Comparison("f_0", float(record.trace["optimization/training/loss_final"][0]), first)
    if "loss_ratio" in training and first > 0:
        yield Comparison("f_T/f_0", training["loss_ratio"], last / first)


def _floors(record: Record, kept: Kept) -> Iterator[Comparison]:
    floor = record.terms["floor"]
    if "attainable" in floor:
        found = sum(_outside(kept, i) for i in range(len(kept.y)))
        yield Comparison("attainable floor", floor["attainable"]["value"], found / 2)
    B, y = _B(kept), kept.y.numpy().reshape(-1)
    Q, R, _ = scipy.linalg.qr(B, mode="economic", pivoting=True)
    size = np.abs(np.diag(R))
    Q = Q[:, size > size[0] * max(B.shape) * np.finfo(np.float64).eps]
    left = float(np.square(y - Q @ (Q.T @ y)).sum()) / 2
    yield Comparison("least-squares floor", floor["least_squares"]["value"], left)


def _outside(kept: Kept, sample: int) -> float:
    """Σ dist(y, interval)² of one sample."""
    found, values = 0.0, [kept.X[sample] @ one for one in u(kept.start)]
    if kept.normalised:
        low, high = (sum(float(pick(v)) for v in values) for pick in (torch.min, torch.max))
    else:
        low = sum(float(v.clamp(max=0).sum()) for v in values)
        high = sum(float(v.clamp(min=0).sum()) for v in values)
    for label in kept.y[sample].tolist():
        found += max(low - label, label - high, 0.0) ** 2
    return found


def _B(kept: Kept) -> np.ndarray:
    """(Nn, HD) at the start."""
    rows = [
        torch.cat([attention(kept, kept.start, i, h) @ X for h in range(len(kept.start["W_O"]))], 1)
        for i, X in enumerate(kept.X)
    ]
    return torch.cat(rows).numpy()


def _gradients(record: Record, kept: Kept) -> Iterator[Comparison]:
    """‖∇f‖²/(2f) at the start and the end, by autograd."""
    pl = record.trace["pl/trajectory/ratio_min"]
    ends = {"start": (kept.start, 0)}
    seen = record.trace["pl/trajectory/step"]
    if record.complete and len(seen) and seen[-1] == record.trace["step"][-1]:
        ends["end"] = (kept.final, -1)
    for told, (weights, place) in ends.items():
        leaves = {key: W.clone().requires_grad_() for key, W in weights.items()}
        value = loss(kept, leaves)
        found = torch.autograd.grad(value, [leaves[f"W_{one}"] for one in record.config["train"]])
        squared = float(sum(g.square().sum() for g in found))
        if value.item() > 1e-12:  # else it is a ratio of rounding
            ratio = squared / (2 * value.item())
            yield Comparison(f"‖∇f‖²/(2f) at the {told}, by autograd", float(pl[place]), ratio)


def _spectra(record: Record, kept: Kept) -> Iterator[Comparison]:
    spectrum, B = record.terms["spectrum"], _B(kept)
    values = scipy.linalg.svdvals(B)
    yield Comparison("σ_min(B)", spectrum["B"]["sigma_min"], float(values[-1]))
    W_O = kept.start["W_O"]
    columns = B.shape[1] // len(W_O)
    squares = W_O.square().sum(1).numpy()
    if kept.start["W_V"].ndim == 2:
        squares = np.full_like(squares, squares.sum())
    G = sum(
        c * B[:, h * columns : (h + 1) * columns] @ B[:, h * columns : (h + 1) * columns].T
        for h, c in enumerate(squares)
    )
    largest = float(scipy.linalg.eigvalsh(G)[-1])
    yield Comparison("λ_max(G)", spectrum["gram"]["lambda_max"], largest)
