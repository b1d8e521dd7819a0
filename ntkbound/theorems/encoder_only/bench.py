"""What a step costs: in closed form over blocks, by autograd of the model as it is written, by
autograd of the same through P = W_QᵀW_K, and as its three products alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ntkbound.machine.parallel import Workers
from ntkbound.theorems.encoder_only.model import Objective
from ntkbound.theorems.encoder_only.problem import Problem, Weights, attention

ROUNDS = 5  # the fastest of so many is told


@dataclass(frozen=True)
class Timing:
    """Seconds of one step each way; elements: the 4·N·ds·d·dm multiply-adds of two products ahead
    and two back."""

    elements: int
    seconds: dict[str, float]

    @property
    def ns_per_element(self) -> dict[str, float]:
        return {name: 1e9 * one / self.elements for name, one in self.seconds.items()}


def bench(problem: Problem, weights: Weights, steps: int, workers: Workers) -> Timing:
    """Times ``steps`` steps each way, the ways in turn, so that none has the machine for itself."""
    ways = {
        "closed form": _closed(problem, weights, workers),
        "autograd": _autograd(problem, weights, output),
        "autograd through P": _autograd(problem, weights, output_through_P),
        "products": _products(problem, weights),
    }
    seconds = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way(1)  # allocated
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way(steps)
            seconds[name] = min(seconds[name], (time.perf_counter() - began) / steps)
    dm = len(weights.O)
    return Timing(4 * problem.N * problem.ds * problem.d * dm, seconds)


def _closed(problem: Problem, weights: Weights, workers: Workers) -> Callable[[int], None]:
    objective = Objective([problem], len(weights.O), workers)
    now = [objective.started([weights])]
    gamma = torch.full((1,), 1e-9, dtype=torch.float64)

    def run(steps: int) -> None:
        for _ in range(steps):
            _, gradient = objective.evaluate(now[0])
            now[0] = objective.moved(now[0], gradient, gamma, now[0])

    return run


Output = Callable[[Problem, Weights], torch.Tensor]


def output(problem: Problem, weights: Weights) -> torch.Tensor:
    """f (N,) as it is written: queries, keys and values of every token."""
    queries, keys = problem.X @ weights.Q.mT, problem.X @ weights.K.mT
    A = torch.softmax(problem.tau0 * (queries @ keys.mT), dim=2)
    Z = A @ problem.X @ weights.V.mT
    return problem.factor * (torch.relu(Z).sum(1) @ weights.O)


def output_through_P(problem: Problem, weights: Weights) -> torch.Tensor:
    """f (N,) with logits through P (d, d), as whoever has seen that they depend on no more."""
    _, U = attention(problem, weights.Q.mT @ weights.K)
    return problem.factor * (torch.relu(U @ weights.V.mT).sum(1) @ weights.O)


def _autograd(problem: Problem, weights: Weights, model: Output) -> Callable[[int], None]:
    theta = [w.clone().requires_grad_() for w in (weights.Q, weights.K, weights.V, weights.O)]

    def run(steps: int) -> None:
        for _ in range(steps):
            f = model(problem, Weights(*theta))
            loss = problem.weight / 2 * (f - problem.y).square().sum()
            gradient = torch.autograd.grad(loss, theta)
            with torch.no_grad():
                for one, g in zip(theta, gradient, strict=True):
                    one -= 1e-9 * g

    return run


def _products(problem: Problem, weights: Weights) -> Callable[[int], None]:
    """The three products that every step has, of the same sizes."""
    V = weights.V
    U = problem.X.flatten(0, 1).T.contiguous()
    Z, back, E = V @ U, torch.empty_like(V), torch.empty_like(U)

    def run(steps: int) -> None:
        for _ in range(steps):
            torch.mm(V, U, out=Z)
            torch.mm(Z, U.T, out=back)
            torch.mm(V.T, Z, out=E)

    return run
