"""A record's numbers again from what it saved, by other means than those that made them.

The model is written out with torch as the paper has it and differentiated by autograd: the kernel
is the Gram matrix of its Jacobian where that is small enough, and the first steps are walked again.
Neither closed forms nor blocks of rows take part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntkbound.core.outcome import Comparison
from ntkbound.core.record import Record
from ntkbound.theorems.encoder_only import images
from ntkbound.theorems.encoder_only.config import Config, config_of, known

BLOCKS = ("W_Q", "W_K", "W_V", "w_O")
STEPS = 3  # first steps that are walked again
LARGEST = 1 << 25  # numbers of a Jacobian: a quarter of a GiB
VISIBLE = 1e-20  # a loss over its first below it is rounding of outputs
ROUNDING = 1e-10  # of the largest eigenvalue, reported as 0


@dataclass(frozen=True, eq=False)
class Kept:
    """Data of the record, and the constants of its config."""

    X: Tensor
    y: Tensor
    tau0: float
    factor: float
    weight: float

    def outputs(self, weights: Sequence[Tensor]) -> Tensor:
        """f (N,), from W_Q, W_K, W_V and w_O."""
        Q, K, V, O = weights  # noqa: E741
        logits = self.tau0 * (self.X @ Q.mT) @ (self.X @ K.mT).mT
        Z = torch.softmax(logits, dim=-1) @ (self.X @ V.mT)
        return self.factor * (torch.relu(Z) @ O).sum(dim=1)

    def loss(self, weights: Sequence[Tensor]) -> Tensor:
        """(w/2) Σ (f − y)²."""
        return self.weight / 2 * (self.outputs(weights) - self.y).square().sum()

    def gradient(self, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        leaves = [one.clone().requires_grad_() for one in weights]
        return torch.autograd.grad(self.loss(leaves), leaves)

    def jacobian(self, weights: Sequence[Tensor]) -> dict[str, Tensor]:
        """∂f by block, (N, size of the block)."""
        leaves = [one.clone().requires_grad_() for one in weights]
        rows = [torch.autograd.grad(one, leaves, retain_graph=True)
                for one in self.outputs(leaves)]  # fmt: skip
        return {name: torch.stack([row[place].flatten() for row in rows])
                for place, name in enumerate(BLOCKS)}  # fmt: skip


def verify(record: Record) -> list[Comparison]:
    """Every recomputable number of the record.

    Raises InputError unless parameters and inputs were saved with it.
    """
    config = config_of(record)
    if config.images:
        return images.verify(record)
    record.require("X", "y", *(f"initial.{name}" for name in BLOCKS))
    kept, start = _kept(record, config), _weights(record, "initial")
    found = [*_steps(record, kept, start), *_kernel(record, kept, start)]
    if record.complete:
        found += _end(record, kept, start)
    return found


def _kept(record: Record, config: Config) -> Kept:
    X, y = (torch.from_numpy(record.arrays[name].copy()) for name in ("X", "y"))
    N, ds, _ = X.shape
    dm = known(config.dm, "dm")
    scale = dm**-0.5 if config.init == "ntk" else 1.0
    return Kept(
        X,
        y,
        tau0=dm**-0.5 if config.scaling == "half" else 1 / dm,
        factor=scale / ds if config.pooling == "mean" else scale,
        weight=1 / N if config.loss == "mean" else 1.0,
    )


def _weights(record: Record, group: str) -> list[Tensor]:
    return [torch.from_numpy(record.arrays[f"{group}.{name}"].copy()) for name in BLOCKS]


def _steps(record: Record, kept: Kept, weights: list[Tensor]) -> Iterator[Comparison]:
    """The loss at the start and after the first steps of a constant size, by autograd."""
    trace = record.trace
    losses = dict(zip(trace["step"].tolist(), trace["optimization/training/loss"], strict=True))
    yield Comparison("loss at the start", float(losses[0]), float(kept.loss(weights)))
    gamma = trace["descent/ratio/gamma"]
    if record.config["step"] == "adaptive" or not len(gamma):
        return
    for step in range(1, STEPS + 1):
        gradient = kept.gradient(weights)
        weights = [one - float(gamma[0]) * g for one, g in zip(weights, gradient, strict=True)]
        if step in losses:
            again = float(kept.loss(weights))
            yield Comparison(f"loss at step {step}, by autograd", float(losses[step]), again)


def _small(kept: Kept, weights: Sequence[Tensor]) -> bool:
    return len(kept.X) * sum(one.numel() for one in weights) <= LARGEST


def _kernel(record: Record, kept: Kept, weights: list[Tensor]) -> Iterator[Comparison]:
    """K_0 and α², from the Jacobian."""
    if not _small(kept, weights):
        return
    jacobian = kept.jacobian(weights)
    told = record.terms["kernel"]["initial"]
    for name, rows in jacobian.items():
        label = f"trace_{name[-1]}"
        yield Comparison(f"kernel / {label}", told[label], float(rows.square().sum()))
    values = torch.linalg.eigvalsh(sum_of_grams(jacobian))
    largest = float(values[-1])
    yield Comparison("kernel / λ_max", told["lambda_max"], largest)
    features = torch.linalg.svdvals(jacobian["w_O"])
    square = float(features[-1]) ** 2 if len(features) == len(kept.X) <= len(weights[3]) else 0.0
    for name, key, value in (
        ("λ_min/λ_max", "lambda_min", float(values[0])), ("α²/λ_max", "alpha_squared", square)
    ):  # fmt: skip
        known_value = value / largest if value > ROUNDING * largest else 0.0
        yield Comparison(f"kernel / {name}", told[key] / told["lambda_max"], known_value)


def sum_of_grams(jacobian: dict[str, Tensor]) -> Tensor:
    """K (N, N)."""
    return torch.stack([rows @ rows.mT for rows in jacobian.values()]).sum(dim=0)


def _end(record: Record, kept: Kept, start: list[Tensor]) -> Iterator[Comparison]:
    """Final loss, gradient and, where it is small, the kernel's distance."""
    weights, trace = _weights(record, "final"), record.trace
    first, last = float(kept.loss(start)), float(kept.loss(weights))
    told = record.terms["optimization"]["training"].get("loss_ratio")
    if told is not None and first > 0 and told > VISIBLE:
        yield Comparison("loss ratio", told, last / first)
        yield Comparison("loss at the end", float(trace["optimization/training/loss"][-1]), last)
        size = torch.stack([one.square().sum() for one in kept.gradient(weights)]).sum().sqrt()
        told_size = float(trace["descent/training/gradient_norm"][-1])
        yield Comparison("gradient norm at the end, by autograd", told_size, float(size))
    if _small(kept, start):
        before, after = (sum_of_grams(kept.jacobian(one)) for one in (start, weights))
        sizes = float(before.norm() * after.norm())
        cosine = float((before * after).sum()) / sizes if sizes > 0 else 0.0
        distance = record.terms["kernel"]["final"]["distance"]
        yield Comparison("1 − cosine of the kernels", distance, 1 - cosine)
