"""Both stages in coordinates of random orthonormal embeddings, step by step in NumPy.

Token s is row s of X, orthonormal; W_ov acts on it, and a score is x_s · W_kq x_q. Gradients are
those of the tokens' own coordinates, G X and Xᵀ G X, so that descent by the gradient or by the
gradient over its norm is the same but for rounding: a check of that invariance, much slower than
the kernels. Adam has moments per coordinate, and is another method here.
"""

from __future__ import annotations

import numpy as np

from ntkbound.core import streams
from ntkbound.core.tools import Progress
from ntkbound.theorems.next_token import first_kernel, kernel
from ntkbound.theorems.next_token.first import FirstPlan, FirstStage
from ntkbound.theorems.next_token.margin import MaxMargin, first_direction, gap
from ntkbound.theorems.next_token.second import (
    SecondPlan,
    SecondStage,
    best_logits,
    classes_of,
    draws,
    fixed,
    floors_of_one_type,
    layout,
    work,
)
from ntkbound.theorems.next_token.sentences import Sentences


def embeddings(V: int, seed: int) -> np.ndarray:
    """(V, V) random orthonormal rows."""
    drawn = streams.generator(seed, "next-token/embedding").standard_normal((V, V))
    return np.asarray(np.linalg.qr(drawn)[0])


def train_first(
    sentences: Sentences, plan: FirstPlan, X: np.ndarray, progress: Progress
) -> FirstStage:
    """Stage 1 on W with z = W x; matrices of the result are W Xᵀ, by token."""
    W, best = plan.start @ X, first_direction(sentences)
    rows = []
    for step in range(plan.steps + 1):
        of_tokens = np.ascontiguousarray(X @ W.T)
        gradient = np.empty_like(of_tokens)
        loss, along = first_kernel.sweep(of_tokens, sentences.next, plan.weights, gradient)
        G = gradient.T @ X
        size, norm = float(np.linalg.norm(G)), float(np.linalg.norm(W))
        rows.append((loss, norm, gap(of_tokens.T, best) if norm > 0 else 0.0, size, along))
        progress(step, plan.steps, loss)
        if step == plan.steps or size < first_kernel.STOP:
            break
        W = W - plan.eta * (G / size)
    return FirstStage(plan.start, W @ X.T, best, np.array(rows))


def train_second(
    sentences: Sentences, first: FirstStage, best: MaxMargin, plan: SecondPlan, X: np.ndarray,
    progress: Progress,
) -> SecondStage:  # fmt: skip
    """Stage 2 on W with scores x_s · W x_q; logits of the result are those of tokens."""
    packed = layout(sentences)
    fixed_part, floors = fixed(first.W, sentences)
    classes = classes_of(first.W, sentences, packed)
    weights, target = sentences.share[packed.kept], best_logits(best, packed)
    direction, room = target / np.linalg.norm(target), work(packed, sentences.V)
    W, moment, second = (np.zeros((len(X), len(X))) for _ in range(3))
    series = np.zeros((plan.steps + 1, kernel.SERIES))
    rng = streams.generator(plan.seed, "next-token/sgd")
    attention = np.zeros(len(weights))
    for row in range(plan.steps + 1):
        logits = packed.of_matrix(X @ W @ X.T)
        G = np.zeros_like(logits)
        kernel.sweep(packed.packed, fixed_part, classes, weights, logits, G, room)
        told = room[0]
        kernel.measure(series, row, logits, direction, (packed.won, packed.lost), G, told, weights)
        series[row, kernel.DROP] = max(0.0, (attention - told[2]).max()) if row else 0.0
        attention = told[2].copy()
        progress(row, plan.steps, float(series[row, kernel.LOSS]))
        if row == plan.steps or series[row, kernel.GRADIENT] < kernel.STOP:
            series = series[: row + 1]
            break
        if plan.method == "sgd":
            (drawn,) = draws(sentences, packed, plan, rng, 1)
            kernel.sweep(packed.packed, fixed_part, classes, drawn, logits, G, room)
        step = X.T @ packed.matrix(G, sentences.V) @ X
        if plan.method == "ngd":
            step = step / np.linalg.norm(step)
        elif plan.method == "adam":
            moment = 0.9 * moment + 0.1 * step
            second = 0.999 * second + 0.001 * step**2
            spread = np.sqrt(second / (1 - 0.999 ** (row + 1))) + 1e-8
            step = moment / (1 - 0.9 ** (row + 1)) / spread
        W = W - plan.eta * step
    series[:, kernel.LOSS] += floors_of_one_type(sentences, packed, floors)
    return SecondStage(packed, logits, target, series, float(sentences.share @ floors))
