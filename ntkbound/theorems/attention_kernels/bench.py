"""What a step costs: all seeds in the native code, plain autograd, and the arithmetic alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ntkbound.theorems.attention_kernels.autograd import FUNCTIONS
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.descent import descend
from ntkbound.theorems.attention_kernels.files import Files
from ntkbound.theorems.attention_kernels.problem import Problem, problem

ROUNDS = 5  # the fastest of so many is told


@dataclass(frozen=True)
class Timing:
    """Seconds of one step of all seeds each way; elements: multiply-adds of all seeds."""

    elements: int
    seconds: dict[str, float]

    @property
    def ns_per_element(self) -> dict[str, float]:
        return {name: 1e9 * one / self.elements for name, one in self.seconds.items()}


def bench(config: Config, files: Files, seeds: int, steps: int) -> Timing:
    """Times steps of ``seeds`` seeds together; elements are R·H·N·(2nDd·|train| + 3n²d)."""
    N, n, D, d, H = config.sizes
    configs = [
        config.model_copy(update={"tau": steps, "records": 2, **dict.fromkeys(Config.seeds, seed)})
        for seed in range(seeds)
    ]
    problems = [problem(one, files) for one in configs]
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "native": (lambda: descend(problems, lambda *_: None), steps),
        "arithmetic": (_arithmetic(problems), 1),
    }
    if config.kernel in FUNCTIONS:
        ways["autograd"] = _autograd(problems), 1
    else:
        ways["autograd"] = ways.pop("native")
    seconds = {}
    for name, (run, count) in ways.items():
        run()  # compiled, allocated
        seconds[name] = min(_timed(run) for _ in range(ROUNDS)) / count
    elements = seeds * H * N * (2 * n * D * d * len(config.train) + 3 * n**2 * d)
    return Timing(elements, seconds)


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _autograd(problems: Sequence[Problem]) -> Callable[[], None]:
    """Loss and gradients of all seeds as one batch in torch."""
    first, kernel = problems[0], FUNCTIONS[problems[0].config.kernel]
    X = torch.from_numpy(np.stack([one.X for one in problems]))
    y = torch.from_numpy(np.stack([one.y for one in problems]))
    starts = [one.start for one in problems]
    W_Q, W_K, u = leaves = [
        torch.from_numpy(np.stack(part)).requires_grad_()
        for part in ([w.W_Q for w in starts], [w.W_K for w in starts], [w.u for w in starts])
    ]
    wanted = [leaf for letter, leaf in zip("QKV", leaves, strict=True)
              if letter in first.config.train]  # fmt: skip

    def run() -> None:
        S = kernel(X[:, None] @ W_Q[:, :, None], X[:, None] @ W_K[:, :, None])
        v = torch.einsum("riaD,rhD->rhia", X, u)
        loss = (torch.einsum("rhiaj,rhij->ria", S, v) - y).square().sum() / 2
        torch.autograd.grad(loss, wanted)

    return run


def _arithmetic(problems: Sequence[Problem]) -> Callable[[], None]:
    """The products with X of queries, keys and their gradients alone, as NumPy has them."""
    tokens = np.stack([one.X.reshape(-1, one.X.shape[-1]) for one in problems])[:, None]
    W = np.stack([one.start.W_Q for one in problems])
    q = np.empty((*W.shape[:2], tokens.shape[2], W.shape[3]))
    back, turned = np.empty_like(W), np.swapaxes(tokens, 2, 3)

    def run() -> None:
        for _ in range(2):
            np.matmul(tokens, W, out=q)
            np.matmul(turned, q, out=back)

    return run
