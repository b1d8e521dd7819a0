"""The deterministic fixture, runs without disk, and a user's kernels."""

from __future__ import annotations

import numpy as np

from ntkbound.core import userfile
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.descent import descend
from ntkbound.theorems.attention_kernels.kernels import SHIPPED
from ntkbound.theorems.attention_kernels.problem import Problem
from ntkbound.theorems.attention_kernels.run import prepare
from ntkbound.theorems.attention_kernels.trained import Trained, train
from ntkbound.theorems.attention_kernels.weights import Weights

KERNELS = tuple(SHIPPED)

# The shipped softmax and Gaussian, written as a user would, and one of no kind.
MINE = """
import torch

def softmax(q, k):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1)

softmax.normalised = True

def gaussian(q, k):
    apart = q.unsqueeze(-2) - k.unsqueeze(-3)
    return torch.exp(-apart.square().sum(-1) / (2 * q.shape[-1] ** 0.5))

gaussian.bounded = True

def cubic(q, k):
    return (q @ k.mT) ** 3 / 10
"""


def mine(folder, text=MINE):
    """The path of a file of the user's own, named as the command line would."""
    (folder / "mine.py").write_text(text)
    return userfile.name(folder / "mine.py")


def chirp(c, *shape):
    """cos(0.37 (k + c)²), k = 0, 1, …"""
    return np.cos(0.37 * (np.arange(np.prod(shape)) + c) ** 2).reshape(shape)


def fixture(H, kernel, train="QKV", dense=False, **fields):
    """The problem of the deterministic fixture: N = 2, n = 3, D = 6, d = 4."""
    N, n, D, d = 2, 3, 6, 4
    settled = {"method": "fixed", "eta": 0.1, "tau": 20} | fields
    config = Config(kernel=kernel, train=train, N=N, n=n, D=D, d=d, H=H, **settled)
    start = Weights(
        chirp(2, H, D, d), chirp(3, H, D, d), chirp(4, H, D, d) / 2, chirp(5, H, d)
    )  # fmt: skip
    start = start.as_dense() if dense else start
    X, y = chirp(1, N, n, D) / np.sqrt(6), chirp(6, N, n)
    return Problem(config, SHIPPED[kernel], X, y, start)


def descended(problem):
    """The fixture, trained."""
    return Trained(problem, descend([problem], lambda *_: None)[0])


def many(seeds, **fields):
    """Runs of seeds 0, 1, … as one."""
    prepared = [prepare(Config(seed=seed, **fields)) for seed in range(seeds)]
    return train([one.config for one in prepared], prepared[0].data, lambda *_: None)


def one(**fields):
    """One run."""
    prepared = prepare(Config(**fields))
    return train([prepared.config], prepared.data, lambda *_: None)[0]
