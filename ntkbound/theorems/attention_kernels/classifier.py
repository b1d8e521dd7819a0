"""Labels ``images``: handwritten digits in place of the tasks of Figures 2 and 3.

16 patches of 2×2 pixels, embedded and given a place, through layers of attention alone,

    X_0 = P E + S,   X_l = X_{l−1} + Σ_h S_h(Z) Z W_V^h W_O^h,   Z = LayerNorm(X_{l−1}),

then the mean over tokens times ``head``; cross-entropy, mini-batches, every weight trained.
Weights are N(0, 1/fan-in) times the factors sq, sk, sv, so. Trained in float32, evaluated in
float64. Source: arXiv 2411.07538, Section 5; sizes as there, the data are scikit-learn's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, layer_norm

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Outcome
from ntkbound.core.tools import Tools
from ntkbound.heads.tasks.patches import CLASSES, PATCHES, PIXELS, Images, digits
from ntkbound.theorems.attention_kernels.autograd import FUNCTIONS
from ntkbound.theorems.attention_kernels.config import IMAGES, Config, known
from ntkbound.theorems.attention_kernels.files import Files, read
from ntkbound.theorems.attention_kernels.own import Own
from ntkbound.theorems.attention_kernels.weights import normal

POSITION = 0.3  # standard deviation of S at the start
RECORDED = 8  # times that the classifier is evaluated, evenly spaced
TOGETHER = 360  # images evaluated at a time

Kernel = Callable[[Tensor, Tensor], Tensor]
Weights = dict[str, Tensor]


def distances(q: Tensor, k: Tensor) -> Tensor:
    """−‖q − k‖²/(2√d), by products: as exact as float32 needs, and five times as fast."""
    squares = q.square().sum(-1, keepdim=True) + k.square().sum(-1)[..., None, :]
    return (q @ k.mT - squares / 2) / math.sqrt(q.shape[-1])


KERNELS: Mapping[str, Kernel] = {
    **FUNCTIONS,
    "gaussian": lambda q, k: torch.exp(distances(q, k)),
    "normalised-gaussian": lambda q, k: torch.softmax(distances(q, k), -1),
}


@dataclass(frozen=True)
class Seen:
    """After ``step`` steps: loss over all images trained on, accuracy on the others."""

    step: int
    loss: float
    accuracy: float


def split(whole: Images, seed: int) -> tuple[Images, Images]:
    """Those trained on, and the others, as the seed draws them."""
    order = streams.generator(seed, "attention-kernels/images/split").permutation(len(whole))
    chosen = torch.from_numpy(order)
    return whole.at(chosen[:IMAGES]), whole.at(chosen[IMAGES:])


def initial(config: Config) -> Weights:
    """Weights by name, those of layer l as W_Q.l, W_K.l, W_V.l (H, D, d) and W_O.l (H, d, D)."""
    _, _, D, d, H = config.sizes
    seed, layers = known(config.init_seed, "init_seed"), known(config.layers, "layers")
    shapes: dict[str, tuple[tuple[int, ...], float]] = {
        "E": ((PIXELS, D), PIXELS**-0.5),
        "S": ((PATCHES, D), POSITION),
        "head": ((D, CLASSES), D**-0.5),
    }
    for layer in range(layers):
        shapes |= {
            f"W_Q.{layer}": ((H, D, d), config.sq * D**-0.5),
            f"W_K.{layer}": ((H, D, d), known(config.sk, "sk") * D**-0.5),
            f"W_V.{layer}": ((H, D, d), config.sv * D**-0.5),
            f"W_O.{layer}": ((H, d, D), config.so * (H * d) ** -0.5),
        }
    drawn = {n: s * normal(seed, f"images/{n}", *shape) for n, (shape, s) in shapes.items()}
    drawn["bias"] = np.zeros(CLASSES)
    for layer in range(layers):
        drawn |= {f"scale.{layer}": np.ones(D), f"shift.{layer}": np.zeros(D)}
    return {name: torch.from_numpy(one.astype(np.float32)) for name, one in drawn.items()}


def forward(patches: Tensor, weights: Mapping[str, Tensor], kernel: Kernel) -> Tensor:
    """Logits (count, 10) of patches (count, 16, 4)."""
    X = patches @ weights["E"] + weights["S"]
    for layer in range(sum(name.startswith("W_Q.") for name in weights)):
        scale, shift = weights[f"scale.{layer}"], weights[f"shift.{layer}"]
        Z = layer_norm(X, (X.shape[-1],), scale, shift)
        q, k, v = (
            torch.einsum("bnD,hDd->bhnd", Z, weights[f"{name}.{layer}"])
            for name in ("W_Q", "W_K", "W_V")
        )
        X = X + torch.einsum("bhnd,hdD->bnD", kernel(q, k) @ v, weights[f"W_O.{layer}"])
    return X.mean(1) @ weights["head"] + weights["bias"]


def evaluate(images: Images, weights: Mapping[str, Tensor], kernel: Kernel) -> tuple[float, float]:
    """Mean cross-entropy, and the share whose largest logit is that of their class, in float64."""
    precise = {name: one.detach().double() for name, one in weights.items()}
    loss, right = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(images), TOGETHER):
            part = images.at(slice(start, start + TOGETHER))
            logits = forward(part.patches, precise, kernel)
            loss += float(cross_entropy(logits, part.classes, reduction="sum"))
            right += int((logits.argmax(1) == part.classes).sum())
    return loss / len(images), right / len(images)


def batches(seed: int, size: int, count: int) -> Iterator[Tensor]:
    """``count`` mini-batches without end of epoch: each pass over all images in a new order."""
    rng = streams.generator(seed, "attention-kernels/images/batches")
    left = np.empty(0, dtype=np.int64)
    for _ in range(count):
        while len(left) < size:
            left = np.append(left, rng.permutation(IMAGES))
        yield torch.from_numpy(left[:size])
        left = left[size:]


def train(
    config: Config, data: tuple[Images, Images], weights: Weights, kernel: Kernel
) -> Iterator[Seen]:
    """Trains in place, and says where it stands at the start and after each eighth of the steps."""
    steps, size = known(config.steps, "steps"), known(config.batch, "batch")
    leaves = [one.requires_grad_() for one in weights.values()]
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[known(config.optimizer, "optimizer")]
    optimizer = kind(leaves, lr=known(config.lr, "lr"))
    patches, classes = data[0].patches.float(), data[0].classes
    kept = set(np.linspace(0, steps, RECORDED + 1).round().astype(int).tolist())
    drawn = batches(known(config.init_seed, "init_seed"), size, steps)
    for step in range(steps + 1):
        if step in kept:
            loss = evaluate(data[0], weights, kernel)[0]
            yield Seen(step, loss, evaluate(data[1], weights, kernel)[1])
            if not math.isfinite(loss):
                return
        if step < steps:
            chosen = next(drawn)
            optimizer.zero_grad()
            logits = forward(patches[chosen], weights, kernel)
            cross_entropy(logits, classes[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def kernel_of(config: Config, files: Files) -> Kernel:
    """S of queries and keys (…, n, d), for autograd."""
    return files.kernel if isinstance(files.kernel, Own) else KERNELS[config.kernel]


def run(config: Config, tools: Tools) -> Outcome:
    """Trains a prepared config with labels ``images`` and measures it."""
    files: Files = tools.data or read(config)[0]
    data, weights = split(digits("labels"), known(config.data_seed, "data_seed")), initial(config)
    start = {f"initial.{name}": one.numpy().copy() for name, one in weights.items()}
    seen = []
    for one in train(config, data, weights, kernel_of(config, files)):
        tools.progress(one.step, known(config.steps, "steps"), one.loss)
        seen.append(one)
    finite = [one for one in seen if math.isfinite(one.loss)]
    if not finite:
        raise InputError("the loss at the start is not finite")
    diverged = len(finite) < len(seen)
    end = {} if diverged else {name: one.detach().numpy() for name, one in weights.items()}
    inputs = {
        f"{part}.{name}": getattr(images, name).numpy()
        for part, images in zip(("train", "test"), data, strict=True)
        for name in ("patches", "classes")
    }
    return Outcome(
        {"image": {"test": {"accuracy": finite[-1].accuracy}, "train": {"loss": finite[-1].loss}}},
        status="diverged" if diverged else "complete",
        notes=["the loss ceased to be finite: lr is too large"] if diverged else [],
        trace={
            "step": np.array([one.step for one in finite]),
            "image/train/loss": np.array([one.loss for one in finite]),
            "image/test/accuracy": np.array([one.accuracy for one in finite]),
        },
        params=start | end if tools.save else {},
        inputs=inputs,
    )
