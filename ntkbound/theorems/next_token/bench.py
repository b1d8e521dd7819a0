"""What a step of stage 2 costs: the kernel, plain autograd, and the arithmetic alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ntkbound.theorems.next_token import kernel
from ntkbound.theorems.next_token.second import classes_of, fixed, layout, work
from ntkbound.theorems.next_token.sentences import Sentences

ROUNDS = 5  # the fastest of so many is told


@dataclass(frozen=True)
class Timing:
    """Seconds of one step each way; elements: positions of all inputs times V."""

    elements: int
    seconds: dict[str, float]

    @property
    def ns_per_element(self) -> dict[str, float]:
        return {name: 1e9 * one / self.elements for name, one in self.seconds.items()}


def bench(sentences: Sentences, W_ov: np.ndarray, eta: float, steps: int) -> Timing:
    """Times ``steps`` steps of normalised descent from zero, everything measured in the kernel."""
    elements = sum(map(len, sentences.inputs)) * sentences.V
    ways = {
        "kernel": _native(sentences, W_ov, eta, steps),
        "autograd": _autograd(sentences, W_ov, eta, max(2, steps // 20)),
        "arithmetic": _arithmetic(sentences, W_ov, max(2, steps // 2)),
    }
    seconds = {}
    for name, (run, count) in ways.items():
        run()  # compiled, allocated
        seconds[name] = min(_timed(run) for _ in range(ROUNDS)) / count
    return Timing(elements, seconds)


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _native(
    sentences: Sentences, W_ov: np.ndarray, eta: float, steps: int
) -> tuple[Callable[[], None], int]:
    packed = layout(sentences)
    first, _ = fixed(W_ov, sentences)
    weights, size = sentences.share[packed.kept], len(packed.cells)
    direction = np.full(size, size**-0.5)
    classes = classes_of(W_ov, sentences, packed)
    problem = (packed.packed, first, classes, weights, direction, (packed.won, packed.lost))
    room, none = work(packed, sentences.V), np.zeros((0, len(weights)))

    def run() -> None:
        state = (*(np.zeros(size) for _ in range(5)), np.zeros(len(weights)), room)
        series = np.zeros((steps + 1, kernel.SERIES))
        kernel.descend(problem, state, series, (0, steps, eta, kernel.NGD), none)

    return run, steps


def _autograd(
    sentences: Sentences, W_ov: np.ndarray, eta: float, steps: int
) -> tuple[Callable[[], None], int]:
    """Padded inputs, softmax, cross-entropy and its backward pass as torch has them."""
    tokens, mask = _padded(sentences)
    index, last = torch.from_numpy(tokens), torch.tensor([s[-1] for s in sentences.inputs])
    hidden = torch.from_numpy(~mask)
    rows = torch.from_numpy(np.ascontiguousarray(W_ov.T))[index]
    targets, share = torch.tensor(sentences.targets), torch.from_numpy(sentences.share)

    def run() -> None:
        W = torch.zeros(W_ov.shape, dtype=torch.float64, requires_grad=True)
        for _ in range(steps):
            scores = W[index, last[:, None]].masked_fill(hidden, -torch.inf)
            z = torch.einsum("nl,nlv->nv", torch.softmax(scores, 1), rows)
            each = torch.nn.functional.cross_entropy(z, targets, reduction="none")
            (gradient,) = torch.autograd.grad(share @ each, W)
            with torch.no_grad():
                W -= eta * gradient / gradient.norm()

    return run, steps


def _arithmetic(
    sentences: Sentences, W_ov: np.ndarray, steps: int
) -> tuple[Callable[[], None], int]:
    """Two products with the table of every position and one exponential per input and token."""
    tokens, mask = _padded(sentences)
    rows = np.ascontiguousarray(W_ov.T)[tokens]
    phi = (mask / mask.sum(axis=1, keepdims=True))[:, None, :]
    z, g = np.empty((len(tokens), 1, sentences.V)), np.empty((len(tokens), tokens.shape[1], 1))

    def run() -> None:
        for _ in range(steps):
            np.matmul(phi, rows, out=z)
            np.expm1(z, out=z)
            np.matmul(rows, z.transpose(0, 2, 1), out=g)

    return run, steps


def _padded(sentences: Sentences) -> tuple[np.ndarray, np.ndarray]:
    """(N, L) tokens, 0 after the end, and whether there is one."""
    tokens = np.zeros((len(sentences.inputs), sentences.longest), dtype=np.int64)
    mask = np.zeros(tokens.shape, dtype=bool)
    for n, sentence in enumerate(sentences.inputs):
        tokens[n, : len(sentence)], mask[n, : len(sentence)] = sentence, True
    return tokens, mask
