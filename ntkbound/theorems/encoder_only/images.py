"""The task ``images``: handwritten digits in place of MNIST, for Figures 4 and 7.

One layer, one head: 16 patches of 2×2 pixels, embedded and given a place, are the tokens of §1's
model with ten outputs,

    X = B E + S,   f = s Σ_i ReLU(softmax(τ0 X W_Qᵀ W_K Xᵀ) X W_Vᵀ)_i W_Oᵀ,

B (16, 4) patches, E (4, d) and S (16, d) learned too. Cross-entropy, mini-batches, momentum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ntkbound.core import streams
from ntkbound.core.outcome import Comparison, Outcome, Terms
from ntkbound.core.record import Record
from ntkbound.core.steps import recorded_steps
from ntkbound.core.tools import Tools
from ntkbound.heads.tasks.patches import CLASSES, PATCHES, PIXELS, Images, digits
from ntkbound.theorems.encoder_only.config import Config, config_of, known
from ntkbound.theorems.encoder_only.initial import output_scale, variances

TRAINED_ON = 0.8
POSITION = 0.3  # standard deviation of S at the start; that of E is PIXELS^(-1/2)
TOGETHER = 512  # images evaluated at a time

BLOCKS = ("E", "S", "W_Q", "W_K", "W_V", "W_O")


@dataclass(frozen=True, eq=False)
class Split:
    """What is trained on, and what is held out."""

    train: Images
    test: Images


@dataclass(frozen=True)
class Scale:
    """τ0 of the logits, and s of the output."""

    tau0: float
    factor: float


@dataclass(frozen=True, eq=False)
class Seen:
    """After some epochs: training loss over all images, and test accuracy."""

    step: int
    loss: float
    accuracy: float


def split(images: Images, seed: int) -> Split:
    """Four fifths to train on, drawn by the seed."""
    order = streams.generator(seed, "encoder-only/images/split").permutation(len(images))
    count = int(TRAINED_ON * len(images))
    first, rest = torch.from_numpy(order[:count]), torch.from_numpy(order[count:])
    return Split(images.at(first), images.at(rest))


def initial(config: Config) -> dict[str, Tensor]:
    """Weights by name; those of attention have the variances of the theorem's initialisation."""
    dm, d = known(config.dm, "dm"), known(config.d, "d")
    seed, scale = known(config.init_seed, "init_seed"), variances(config.init, dm, d)
    shapes = {
        "E": ((PIXELS, d), 1 / PIXELS),
        "S": ((PATCHES, d), POSITION**2),
        **dict.fromkeys(("W_Q", "W_K", "W_V"), ((dm, d), scale.matrix)),
        "W_O": ((CLASSES, dm), scale.output),
    }
    return {
        name: torch.from_numpy(
            math.sqrt(variance)
            * streams.generator(seed, f"encoder-only/images/{name}").standard_normal(shape)
        )
        for name, (shape, variance) in shapes.items()
    }


def scale_of(config: Config) -> Scale:
    """As §1 has them: τ0 = dm^{-1/2} or dm^{-1}; s = τ1 over the number of tokens, or τ1."""
    dm = known(config.dm, "dm")
    tau1 = output_scale(config.init, dm)
    return Scale(
        dm**-0.5 if config.scaling == "half" else 1 / dm,
        tau1 / PATCHES if config.pooling == "mean" else tau1,
    )


def forward(patches: Tensor, weights: dict[str, Tensor], scale: Scale) -> Tensor:
    """Logits (n, 10) of patches (n, 16, 4)."""
    X = patches @ weights["E"] + weights["S"]
    P = weights["W_Q"].mT @ weights["W_K"]
    U = torch.softmax(scale.tau0 * (X @ P @ X.mT), dim=2) @ X
    return scale.factor * (torch.relu(U @ weights["W_V"].mT).sum(1) @ weights["W_O"].mT)


def evaluate(images: Images, weights: dict[str, Tensor], scale: Scale) -> tuple[float, float]:
    """Mean cross-entropy, and the share whose largest logit is that of their class."""
    loss, right = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(images), TOGETHER):
            part = images.at(slice(start, start + TOGETHER))
            logits = forward(part.patches, weights, scale)
            loss += float(cross_entropy(logits, part.classes, reduction="sum"))
            right += int((logits.argmax(1) == part.classes).sum())
    return loss / len(images), right / len(images)


def train(config: Config, data: Split, weights: dict[str, Tensor], tools: Tools) -> Iterator[Seen]:
    """Descends in place, and says where it stands after each epoch that is recorded."""
    scale, batch = scale_of(config), known(config.batch, "batch")
    epochs = known(config.epochs, "epochs")
    lr, momentum = known(config.lr, "lr"), known(config.momentum, "momentum")
    rng = streams.generator(known(config.init_seed, "init_seed"), "encoder-only/images/batches")
    velocity = {name: torch.zeros_like(one) for name, one in weights.items()}
    step, parts = 0, -(-len(data.train) // batch)
    kept = recorded_steps(epochs, config.records)
    for epoch in range(epochs + 1):
        if epoch in kept:
            loss, _ = evaluate(data.train, weights, scale)
            yield Seen(step, loss, evaluate(data.test, weights, scale)[1])
            tools.progress(step, parts * epochs, loss)
            if epoch == epochs or not math.isfinite(loss):
                return
        order = torch.from_numpy(rng.permutation(len(data.train)))
        for start in range(0, len(order), batch):
            part = data.train.at(order[start : start + batch])
            descend(part, weights, velocity, scale, (lr, momentum))
            step += 1


def descend(
    images: Images,
    weights: dict[str, Tensor],
    velocity: dict[str, Tensor],
    scale: Scale,
    pace: tuple[float, float],
) -> None:
    """One step, v ← μv + ∇ℓ and θ ← θ − lr·v, in place."""
    leaves = {name: one.detach().requires_grad_() for name, one in weights.items()}
    loss = cross_entropy(forward(images.patches, leaves, scale), images.classes)
    gradient = torch.autograd.grad(loss, list(leaves.values()))
    lr, momentum = pace
    for name, one in zip(leaves, gradient, strict=True):
        velocity[name].mul_(momentum).add_(one)
        weights[name].sub_(velocity[name], alpha=lr)


def run(config: Config, tools: Tools) -> Outcome:
    """Trains a resolved config of the task ``images`` and measures it."""
    data, weights = split(digits("task"), known(config.data_seed, "data_seed")), initial(config)
    start = {f"initial.{name}": one.numpy().copy() for name, one in weights.items()}
    seen = list(train(config, data, weights, tools))
    finite = [one for one in seen if math.isfinite(one.loss)]
    diverged = len(finite) < len(seen)
    end = {} if diverged else {f"final.{name}": one.numpy() for name, one in weights.items()}
    inputs = {
        f"{part}.{name}": getattr(getattr(data, part), name).numpy()
        for part in ("train", "test")
        for name in ("patches", "classes")
    }
    return Outcome(
        _terms(finite),
        status="diverged" if diverged else "complete",
        notes=["the loss is no finite number any more: lr is too large"] if diverged else [],
        trace={
            "step": np.array([one.step for one in finite]),
            "image/train/loss": np.array([one.loss for one in finite]),
            "image/test/accuracy": np.array([one.accuracy for one in finite]),
        },
        params=start | end if tools.save else {},
        inputs=inputs,
    )


def _terms(seen: list[Seen]) -> Terms:
    if not seen:
        return {}
    return {
        "image": {
            "train": {"loss": seen[-1].loss},
            "test": {"accuracy": seen[-1].accuracy},
        }
    }


def verify(record: Record) -> list[Comparison]:
    """Training loss and test accuracy again, in NumPy, from the parameters as saved.

    Raises InputError for a record that was saved without them.
    """
    parts = [f"{part}.{name}" for part in ("train", "test") for name in ("patches", "classes")]
    record.require(*(f"final.{name}" for name in BLOCKS), *parts)
    scale = scale_of(config_of(record))
    weights = {name: record.arrays[f"final.{name}"] for name in BLOCKS}
    loss, _ = _again(record, "train", weights, scale)
    _, accuracy = _again(record, "test", weights, scale)
    image = record.terms["image"]
    return [
        Comparison("training loss, by NumPy", image["train"]["loss"], loss),
        Comparison("test accuracy, by NumPy", image["test"]["accuracy"], accuracy),
    ]


def _again(
    record: Record, part: str, weights: dict[str, np.ndarray], scale: Scale
) -> tuple[float, float]:
    patches, classes = record.arrays[f"{part}.patches"], record.arrays[f"{part}.classes"]
    X = np.einsum("npk,kd->npd", patches, weights["E"]) + weights["S"]
    queries, keys = X @ weights["W_Q"].T, X @ weights["W_K"].T
    A = np.exp(scale.tau0 * np.einsum("nim,njm->nij", queries, keys))
    A /= A.sum(axis=2, keepdims=True)
    hidden = np.maximum(A @ (X @ weights["W_V"].T), 0).sum(axis=1)
    logits = scale.factor * hidden @ weights["W_O"].T
    largest = logits.max(axis=1)
    total = np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest
    loss = (total - logits[np.arange(len(classes)), classes]).mean()
    return float(loss), float((logits.argmax(axis=1) == classes).mean())
