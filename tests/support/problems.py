"""Small problems: models, samples and parameters for the tests, from plain NumPy generators.

Nothing here uses the package's own streams, so that a fault in them cannot hide itself.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Inputs, Params, symmetric_init
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.runs.record import RUN, sealed
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem

QUERIES = ("last", "mean", "fixed", "given")
BOUNDED = ("tanh", "erf", "sigmoid", "bump")
SMALL_RUN = {
    "m": 8, "tau": 20, "n": 12, "T": 3, "d": 2, "teacher_heads": 512,
    "records": 4, "search_steps": 5, "search_samples": 2,
}  # fmt: skip
TRAIN = ["train", *(f"--{k.replace('_', '-')}={v}" for k, v in SMALL_RUN.items()), "--threads=1"]


parts = attrgetter("config", "digest", "data")  # of what a theorem's ``prepare`` returns


def tamper(folder: Path, **changed: object) -> None:
    """Edits a record as somebody would who knows about its checksums."""
    data = json.loads((folder / RUN).read_text(encoding="utf-8")) | changed
    del data["sha256"]
    for name in data["files"]:
        data["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / RUN).write_text(sealed(data), encoding="utf-8")


def make_model(activation: str, query: str, d: int) -> ShallowTransformer:
    return ShallowTransformer(d, ACTIVATIONS[activation], fixed_query=query == "fixed")


def make_inputs(
    n: int, T: int, d: int, query: str, seed: int, kind: str = "ball", norm: float = 1.0
) -> Inputs:
    """Tokens in the ball of radius ``norm``: inside, on its sphere, or ± one vector per sample.

    Antipodal tokens have the largest token covariance, ‖M‖ = B_x², so they press on the bounds.
    """
    rng = np.random.default_rng([seed, n, T, d])
    x = rng.standard_normal((n, T, d))
    if kind == "antipodal":
        x = x[:, :1] * rng.choice([-1.0, 1.0], (n, T, 1))
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    if kind == "ball":
        x *= rng.random((n, T, 1)) ** (1 / d)
    X = torch.from_numpy(x * norm)
    shared = rng.standard_normal(d)
    shared /= np.linalg.norm(shared)
    q = {
        "last": X[:, -1],
        "mean": X.mean(1),
        "fixed": torch.from_numpy(shared).expand(n, d),
        "given": torch.from_numpy(norm * rng.uniform(-1, 1, (n, d)) / math.sqrt(d)),
    }[query]
    return Inputs(X, q.contiguous())


def make_params(model: ShallowTransformer, m: int, seed: int, *, runs: int | None = None) -> Params:
    """Parameters without any symmetry; c is a real number, not a sign."""
    rng = np.random.default_rng([seed, m])
    lead = () if runs is None else (runs,)
    return {
        b: torch.from_numpy(np.array(rng.standard_normal((*lead, m, *shape))))
        for b, shape in model.blocks.items()
    }


def random_labels(n: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng([seed, n]).uniform(-1, 1, n))


def in_ball(centre: Params, radii: dict[str, float], seed: int, *, boundary: bool) -> Params:
    """A point of Ω: every head and block inside its ball, or on its sphere."""
    rng = np.random.default_rng(seed)
    moved = {}
    for block, value in centre.items():
        step = rng.standard_normal(tuple(value.shape))
        norms = (
            np.abs(step)
            if value.ndim == 1
            else np.linalg.norm(step.reshape(len(step), -1), axis=1).reshape(
                -1, *[1] * (value.ndim - 1)
            )
        )
        size = 1.0 if boundary else rng.random(norms.shape)
        moved[block] = value.double() + torch.from_numpy(radii[block] * size * step / norms)
    return moved


@dataclass(frozen=True)
class BoundCase:
    """One small configuration on which the bounds of theory §3 are attacked."""

    activation: str
    query: str
    n: int
    T: int
    d: int
    m: int
    rho: tuple[float, float, float]
    nu: tuple[float, float, float]
    norm: float
    kind: str
    seed: int

    @property
    def model(self) -> ShallowTransformer:
        return make_model(self.activation, self.query, self.d)

    @property
    def inputs(self) -> Inputs:
        return make_inputs(self.n, self.T, self.d, self.query, self.seed, self.kind, self.norm)

    @property
    def initial(self) -> Params:
        return symmetric_init(self.model, self.m, self.seed, torch.float64)

    def radii(self, norms: tuple[float, float, float]) -> dict[str, float]:
        return dict(zip(self.model.blocks, (r / math.sqrt(self.m) for r in norms), strict=True))

    @property
    def problem(self) -> Problem:
        """What the bounds know of this case before a head is drawn."""
        return Problem(
            n=self.n,
            m=self.m,
            d=self.d,
            T=self.inputs.T,
            activation=self.activation,
            rho=Norms(*self.rho),
            nu=Norms(*self.nu),
            eta=0.01,
            tau=10_000,
            delta=0.05,
            B_x=self.norm,
            B_q=1.0 if self.query == "fixed" else self.norm,
        )

    @property
    def u(self) -> np.ndarray:
        """‖U_i(0)‖, (m,)."""
        return self.initial["U"].norm(dim=1).numpy()


def small_arrays(n: int = 6) -> dict[str, np.ndarray]:
    """X (n, 3, 2) inside the unit ball and y (n,), for data files."""
    rng = np.random.default_rng(0)
    return {"X": rng.uniform(-0.5, 0.5, (n, 3, 2)), "y": rng.uniform(-1, 1, n)}


def make_case(query="last", activation="tanh", m=6, rho=1.0, dtype=torch.float64, n=5, T=4, d=3):
    """A linearized model, its task, radii ρ/√m and some φ̃ on the sphere of those radii."""
    model = make_model(activation, query, d)
    inputs = make_inputs(n, T, d, query, seed=1)
    initial = symmetric_init(model, m, 2, dtype)
    radii = dict.fromkeys(model.blocks, rho / math.sqrt(m))
    transported = in_ball(initial, radii, 3, boundary=True)
    task = Task(inputs, random_labels(n, seed=4), token_norm=1.0, query_norm=1.0)
    return Linearized(model, initial, inputs, Workers(1)), task, radii, transported
