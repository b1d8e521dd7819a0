"""The teacher task: labels that lie in the theorem's target class F_ν by construction.

y_j = (1/M) Σ_i ⟨v(θ_i), ∇h(X_j; θ_i)⟩ over M = ``teacher_heads`` fresh initial heads. That average
*is* the target, so the teacher is exact; its distance to the infinite-width f̃ is known by its
standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.core.config import digest
from ntkbound.core.tools import Arrays, Cache
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.model import Inputs, fresh_heads, together
from ntkbound.heads.tasks.task import Task, query, unit_vector
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.heads.transport import Shape, TransportMap
from ntkbound.machine.parallel import Workers, partition
from ntkbound.theorems.shallow_transformer import transport
from ntkbound.theorems.shallow_transformer.config import Config, Sizes, known

HEADS_PER_CHUNK = 8192

LABELS = 5  # raised when labels change: they are cached by content


@dataclass(frozen=True)
class Teacher:
    """All that inputs and labels depend on."""

    sizes: Sizes
    data_seed: int
    seed: int
    inputs: str  # "shrunk" or "ball"
    token_norm: float  # B_x
    query: str
    activation: str
    transport: str
    nu: Mapping[str, float]
    heads: int

    @classmethod
    def of(cls, config: Config) -> Teacher:
        """The teacher of a config; raises InputError where its task is another."""
        return cls(
            sizes=config.sizes,
            data_seed=known(config.data_seed, "data_seed"),
            seed=known(config.teacher_seed, "teacher_seed"),
            inputs=known(config.inputs, "inputs"),
            token_norm=known(config.input_norm, "input_norm"),
            query=known(config.query, "query"),
            activation=config.activation,
            transport=known(config.transport, "transport"),
            nu=known(config.nu, "nu"),
            heads=known(config.teacher_heads, "teacher_heads"),
        )

    @property
    def model(self) -> ShallowTransformer:
        """Whose heads the labels average, whatever model is trained."""
        activation = ACTIVATIONS[self.activation]
        return ShallowTransformer(self.sizes.d, activation, fixed_query=self.query == "fixed")

    @property
    def key(self) -> str:
        """Under which the labels are cached."""
        return digest({"labels": LABELS, **vars(self)})


def teacher_task(teacher: Teacher, workers: Workers, cache: Cache) -> Task:
    """Inputs, labels and transport map of the ``teacher`` task."""
    inputs = draw_inputs(teacher, teacher.data_seed, "data", teacher.sizes.n)
    mapping = transport_map(teacher, inputs)

    def compute() -> Arrays:
        mean, error = average_labels(teacher, mapping, inputs, workers)
        return {"y": mean.numpy(), "standard_error": error.numpy()}

    found = cache.fetch(teacher.key, ("y", "standard_error"), compute)
    return Task(
        inputs=inputs,
        y=torch.from_numpy(found["y"]),
        token_norm=teacher.token_norm,
        query_norm=1.0 if teacher.query == "fixed" else teacher.token_norm,
        transport=mapping,
        standard_error=torch.from_numpy(found["standard_error"]),
    )


def draw_inputs(teacher: Teacher, seed: int, purpose: str, n: int) -> Inputs:
    """n samples of T tokens in the ball of radius B_x, and their queries, in float64.

    ``shrunk``: x ~ N(0, I_d) divided by max(1, ‖x‖); ``ball``: uniform in the ball.
    """
    _, T, d = teacher.sizes
    uniform = teacher.inputs == "ball"

    def draw(rng: np.random.Generator, size: int) -> np.ndarray:
        x = rng.standard_normal((size, T, d))
        norms: np.ndarray = np.linalg.norm(x, axis=2, keepdims=True)
        shrink = rng.random((size, T, 1)) ** (1 / d) / norms if uniform else 1 / norms.clip(1.0)
        return np.asarray(x * shrink)

    x = torch.from_numpy(streams.rows(seed, f"{purpose}/{teacher.inputs}", 0, n, draw))
    X = x * teacher.token_norm
    direction = streams.generator(teacher.data_seed, "query").standard_normal(d)
    return Inputs(X, query(teacher.query, X, unit_vector(torch.from_numpy(direction))))


def transport_map(teacher: Teacher, inputs: Inputs) -> TransportMap:
    """v, of which a fixed query's rank-one direction depends on the ``inputs``."""
    model, seed, nu = teacher.model, teacher.seed, teacher.nu
    drawn = streams.generator(seed, "transport/direction").standard_normal(model.d)
    e = inputs.q[0] if teacher.query == "fixed" else unit_vector(torch.from_numpy(drawn))
    shapes: Mapping[str, Callable[[], Shape]] = {
        "rank-one": lambda: transport.rank_one(model, e),
        "constant": lambda: transport.constant(model, e),
        "random-feature": lambda: transport.random_feature(model, seed),
        "anchors": lambda: transport.anchors(
            model,
            draw_inputs(teacher, seed, "anchors", transport.ANCHORS),
            nu,
            teacher.token_norm,
            seed,
        ),
    }
    return TransportMap(teacher.transport, nu, shapes[teacher.transport]())


def average_labels(
    teacher: Teacher, mapping: TransportMap, inputs: Inputs, workers: Workers
) -> tuple[Tensor, Tensor]:
    """Labels (n,) and their standard error (n,) around f̃, both float64.

    Terms of the average are evaluated in float32 blocks and accumulated in float64.
    """
    model, heads, seed = teacher.model, teacher.heads, teacher.seed
    single = inputs.to(torch.float32)
    total = torch.zeros(2, inputs.n, dtype=torch.float64)
    for chunk in partition(heads, HEADS_PER_CHUNK):
        theta = fresh_heads(model, seed, chunk.start, chunk.stop, torch.float32)
        one, moved = together(theta), together(mapping(theta))
        total += model.tangent_sums(one, moved, single, workers)[0, 1:3]
    mean = total[0] / heads
    variance = (total[1] / heads - mean.square()).clamp(min=0) * heads / (heads - 1)
    return mean, (variance / heads).sqrt()
