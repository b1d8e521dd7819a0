"""The teacher task: labels that lie in the theorem's target class F_ν by construction.

y_j = (1/M) Σ_i ⟨v(θ_i), ∇h(X_j; θ_i)⟩ over M = ``teacher_heads`` fresh initial heads. That average
*is* the target, so the teacher is exact; its distance to the infinite-width f̃ is known by its
standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.heads.model import Inputs, fresh_heads, together
from ntkbound.heads.tasks.task import Task, query, unit_vector
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers, partition
from ntkbound.theorems.shallow_transformer import config as configs
from ntkbound.theorems.shallow_transformer import transport
from ntkbound.theorems.shallow_transformer.config import RunConfig
from ntkbound.theorems.shallow_transformer.transport import TransportMap

HEADS_PER_CHUNK = 8192

Arrays = dict[str, np.ndarray]


class Cache(Protocol):
    """Arrays kept by content, so that labels are computed once per (task, seed)."""

    def fetch(self, key: str, compute: Callable[[], Arrays]) -> Arrays: ...


def teacher_task(
    config: RunConfig, model: ShallowTransformer, workers: Workers, cache: Cache
) -> Task:
    """Inputs, labels and transport map of the ``teacher`` task."""
    assert config.data_seed is not None
    assert config.teacher_seed is not None
    inputs = draw_inputs(config, config.data_seed, "data")
    mapping = _transport_map(config, model, inputs)
    identity = {
        "labels": configs.NUMERICS,
        **config.model_dump(
            include={"n", "T", "d", "data_seed", "inputs", "input_norm", "query", "activation"}
            | {"transport", "teacher_seed", "teacher_heads", "nu"}
        ),
    }

    def compute() -> Arrays:
        mean, error = average_labels(config, model, mapping, inputs, workers)
        return {"y": mean.numpy(), "standard_error": error.numpy()}

    found = cache.fetch(configs.digest(identity), compute)
    token_norm = float(config.input_norm or 1.0)
    return Task(
        inputs=inputs,
        y=torch.from_numpy(found["y"]),
        token_norm=token_norm,
        query_norm=1.0 if config.query == "fixed" else token_norm,
        transport=mapping,
        standard_error=torch.from_numpy(found["standard_error"]),
    )


def draw_inputs(config: RunConfig, seed: int, purpose: str, count: int | None = None) -> Inputs:
    """n samples of T tokens in the ball of radius B_x, and their queries, in float64.

    ``shrunk``: x ~ N(0, I_d) divided by max(1, ‖x‖); ``ball``: uniform in the ball.
    """
    n, T, d = count or config.n, config.T, config.d
    assert n is not None
    assert T is not None
    assert d is not None
    uniform = config.inputs == "ball"

    def draw(rng: np.random.Generator, size: int) -> np.ndarray:
        x = rng.standard_normal((size, T, d))
        norms: np.ndarray = np.linalg.norm(x, axis=2, keepdims=True)
        shrink = rng.random((size, T, 1)) ** (1 / d) / norms if uniform else 1 / norms.clip(1.0)
        return np.asarray(x * shrink)

    x = torch.from_numpy(streams.rows(seed, f"{purpose}/{config.inputs}", 0, n, draw))
    X = x * float(config.input_norm or 1.0)
    direction = streams.generator(config.data_seed or 0, "query").standard_normal(d)
    return Inputs(X, query(config.query, X, unit_vector(torch.from_numpy(direction))))


def _transport_map(config: RunConfig, model: ShallowTransformer, inputs: Inputs) -> TransportMap:
    assert config.nu is not None
    seed, nu = config.teacher_seed or 0, config.nu
    drawn = streams.generator(seed, "transport/direction").standard_normal(model.d)
    e = inputs.q[0] if config.query == "fixed" else unit_vector(torch.from_numpy(drawn))
    shapes: Mapping[str, Callable[[], transport.Shape]] = {
        "rank-one": lambda: transport.rank_one(model, e),
        "constant": lambda: transport.constant(model, e),
        "random-feature": lambda: transport.random_feature(model, seed),
        "anchors": lambda: transport.anchors(
            model,
            draw_inputs(config, seed, "anchors", transport.ANCHORS),
            nu,
            float(config.input_norm or 1.0),
            seed,
        ),
    }
    name = config.transport or "rank-one"
    return TransportMap(name, nu, shapes[name]())


def average_labels(
    config: RunConfig,
    model: ShallowTransformer,
    mapping: TransportMap,
    inputs: Inputs,
    workers: Workers,
) -> tuple[Tensor, Tensor]:
    """Labels (n,) and their standard error (n,) around f̃, both float64.

    Terms of the average are evaluated in float32 blocks and accumulated in float64.
    """
    heads, seed = config.teacher_heads or 0, config.teacher_seed or 0
    single = inputs.to(torch.float32)
    total = torch.zeros(2, inputs.n, dtype=torch.float64)
    for chunk in partition(heads, HEADS_PER_CHUNK):
        theta = fresh_heads(model, seed, chunk.start, chunk.stop, torch.float32)
        one, moved = together(theta), together(mapping(theta))
        total += model.tangent_sums(one, moved, single, workers)[0, 1:3]
    mean = total[0] / heads
    variance = (total[1] / heads - mean.square()).clamp(min=0) * heads / (heads - 1)
    return mean, (variance / heads).sqrt()
