"""The fixture of the specification, random problems, and the model written out for autograd."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch

from ntkbound.machine.parallel import Workers
from ntkbound.theorems.encoder_only.problem import Problem, Weights

WORKERS = Workers(1)
HALF, ONE = 16**-0.5, 1 / 16  # τ0 of the fixture, dm = 16


def chirp(c, *shape):
    """cos(0.37 (k + c)²), k = 0, 1, … in C order."""
    k = torch.arange(int(np.prod(shape)), dtype=torch.float64)
    return torch.cos(0.37 * (k + c) ** 2).reshape(shape)


def fixture(tau0=HALF, pooling="mean"):
    factor = 1 / 3 if pooling == "mean" else 1.0
    problem = Problem(chirp(1, 6, 3, 5), chirp(6, 6), tau0, 1.0, factor, 1.0)
    blocks = (chirp(c, 16, 5) / 5**0.5 for c in (2, 3, 4))
    return problem, Weights(*blocks, chirp(5, 16) / 4)


def drawn(seed, N=5, ds=3, d=4, dm=7, tau0=0.5, pooling="mean", init="lecun", weight=1.0):
    """Gaussian tokens, targets and weights."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    of_output, of_input, tau1 = {
        "lecun": (1 / dm, 1 / d, 1.0), "he": (2 / dm, 2 / d, 1.0), "ntk": (1.0, 1.0, dm**-0.5)
    }[init]  # fmt: skip
    factor = tau1 / ds if pooling == "mean" else tau1
    problem = Problem(normal(N, ds, d), normal(N), tau0, tau1, factor, weight)
    blocks = (of_input**0.5 * normal(dm, d) for _ in range(3))
    return problem, Weights(*blocks, of_output**0.5 * normal(dm))


def leaves(weights):
    """Q, K, V, O as tensors that autograd follows."""
    return [getattr(weights, one.name).clone().requires_grad_() for one in fields(Weights)]


def outputs(problem, Q, K, V, O):  # noqa: E741
    """f (N,), as the paper writes the model."""
    logits = problem.tau0 * (problem.X @ Q.T) @ (problem.X @ K.T).mT
    Z = torch.softmax(logits, dim=-1) @ (problem.X @ V.T)
    return problem.factor * (torch.relu(Z) @ O).sum(dim=1)


def loss(problem, *blocks):
    return problem.weight / 2 * (outputs(problem, *blocks) - problem.y).square().sum()


def jacobians(problem, weights):
    """(N, size of the block) of every block."""
    blocks = leaves(weights)
    rows = [torch.autograd.grad(one, blocks, retain_graph=True)
            for one in outputs(problem, *blocks)]  # fmt: skip
    names = (one.name for one in fields(Weights))
    columns = zip(*rows, strict=True)
    return {name: torch.stack([one.flatten() for one in column])
            for name, column in zip(names, columns, strict=True)}  # fmt: skip


def descended(problem, weights, steps, gamma):
    """Plain autograd gradient descent: the weights after that many steps."""
    blocks = leaves(weights)
    for _ in range(steps):
        for block, gradient in zip(
            blocks, torch.autograd.grad(loss(problem, *blocks), blocks), strict=True
        ):
            block.data -= gamma * gradient
    return Weights(*(block.detach() for block in blocks))
