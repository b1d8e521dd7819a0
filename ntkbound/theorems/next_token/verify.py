"""A record's numbers again from what it saved, by other means than those that made them.

The model is written out with torch and differentiated by autograd, and W_kq* is found by Hildreth's
method on the dual problem; neither the native kernels nor active sets take part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntkbound.core.outcome import Comparison
from ntkbound.core.record import Record

STEPS = 3  # first steps of stage 2 that are walked again
VISIBLE = 1e-9  # a loss above its floor by less is invisible to plain cross-entropy
SWEEPS, SETTLED = 100_000, 1e-15


@dataclass(frozen=True)
class Kept:
    """What the record saved: sentences as index tensors, their shares, and both matrices."""

    sentences: Sequence[Tensor]
    targets: Tensor
    share: Tensor
    W_ov: Tensor
    W_kq: Tensor
    start: Tensor


def verify(record: Record) -> list[Comparison]:
    """Every recomputable number of the record.

    Raises InputError unless parameters and inputs were saved with it.
    """
    record.require("W_ov", "W_kq", "start.W_ov", "inputs", "targets", "counts")
    kept = _kept(record.arrays)
    best = _best(kept)
    return [*_first(record, kept), *_direction(record, kept, best), *_losses(record, kept),
            *_steps(record, kept, best)]  # fmt: skip


def _kept(arrays: Any) -> Kept:
    counts = torch.from_numpy(arrays["counts"].copy()).double()
    return Kept(
        [torch.from_numpy(row[row >= 0].copy()) for row in arrays["inputs"]],
        torch.from_numpy(arrays["targets"].copy()),
        counts / counts.sum(),
        *(torch.from_numpy(arrays[name].copy()) for name in ("W_ov", "W_kq", "start.W_ov")),
    )


def logits(kept: Kept, W_kq: Tensor) -> tuple[Tensor, Tensor]:
    """(N, V) logits z of every input, and (N,) attention on the optimal token."""
    before = {int(t): int(s[0]) for s, t in zip(kept.sentences, kept.targets, strict=True)
              if len(s) == 1}  # fmt: skip
    rows, found = [], []
    for sentence, target in zip(kept.sentences, kept.targets, strict=True):
        attention = torch.softmax(W_kq[sentence, sentence[-1]], 0)
        rows.append(kept.W_ov[:, sentence] @ attention)
        found.append(attention[sentence == before[int(target)]].sum())
    return torch.stack(rows), torch.stack(found)


def loss(kept: Kept, W_kq: Tensor) -> Tensor:
    """Σ π_n CE(softmax(z_n), y_n), as torch has it."""
    z, _ = logits(kept, W_kq)
    each = torch.nn.functional.cross_entropy(z, kept.targets, reduction="none")
    return kept.share @ each


def _best(kept: Kept) -> Tensor:
    """(V, V) W_kq*, column by column."""
    size = len(kept.W_ov)
    before = {int(t): int(s[0]) for s, t in zip(kept.sentences, kept.targets, strict=True)
              if len(s) == 1}  # fmt: skip
    edges: dict[int, set[tuple[int, int]]] = {}
    for sentence, target in zip(kept.sentences, kept.targets, strict=True):
        best = before[int(target)]
        for token in set(sentence.tolist()) - {best}:
            edges.setdefault(int(sentence[-1]), set()).add((best, token))
    found = np.zeros((size, size))
    for query, pairs in edges.items():
        found[:, query] = hildreth(sorted(pairs), size)
    return torch.from_numpy(found)


def hildreth(pairs: Sequence[tuple[int, int]], size: int) -> np.ndarray:
    """min ‖w‖² subject to w_o − w_b ≥ 1 for the pairs (o, b), by coordinate ascent on the dual.

    Of each pair in turn, λ ← max(0, λ + (1 − w_o + w_b)/2), with w = Σ λ (e_o − e_b) kept up to
    date, until a sweep changes nothing (Hildreth 1957).
    """
    w, multipliers = np.zeros(size), np.zeros(len(pairs))
    for _ in range(SWEEPS):
        moved = 0.0
        for place, (winner, loser) in enumerate(pairs):
            step = (1 - w[winner] + w[loser]) / 2
            step = max(step, -multipliers[place])
            multipliers[place] += step
            w[winner] += step
            w[loser] -= step
            moved = max(moved, abs(step))
        if moved < SETTLED:
            break
    return w


def _first(record: Record, kept: Kept) -> Iterator[Comparison]:
    """W_ov: its direction, and that its start is where the trace begins."""
    size = len(kept.W_ov)
    known = torch.tensor([[int(s[0]), int(t)] for s, t in zip(kept.sentences, kept.targets,
                          strict=True) if len(s) == 1])  # fmt: skip
    best = torch.zeros_like(kept.W_ov)
    best[:, known[:, 0]] = -1 / size
    best[known[:, 1], known[:, 0]] += 1
    terms = record.terms
    yield Comparison("direction / ov / gap", terms["direction"]["ov"]["gap"], gap(kept.W_ov, best))
    start = float(kept.start.norm())
    yield Comparison("norm of W_ov at the start", float(record.trace["norm/ov/norm"][0]), start)
    last = float(record.trace["norm/ov/norm"][-1])
    yield Comparison("norm of W_ov at the end", last, float(kept.W_ov.norm()))


def gap(one: Tensor, other: Tensor) -> float:
    """½‖A/‖A‖ − B/‖B‖‖²."""
    return float((one / one.norm() - other / other.norm()).square().sum()) / 2


def _direction(record: Record, kept: Kept, best: Tensor) -> Iterator[Comparison]:
    """W_kq: norm of the max-margin solution, direction, and the margin certificate."""
    terms = record.terms
    norm = terms["margin"]["qp"]["norm"]
    yield Comparison("margin / qp / norm", norm, float(best.norm()))
    recorded = terms["direction"]["kq"]
    yield Comparison("direction / kq / gap", recorded["gap"], gap(kept.W_kq, best))
    last = float(record.trace["norm/kq/norm"][-1])
    yield Comparison("norm of W_kq at the end", last, float(kept.W_kq.norm()))


def _losses(record: Record, kept: Kept) -> Iterator[Comparison]:
    """Loss at the start and the end of stage 2, attention, and the floor."""
    training, attention = record.terms["loss"]["training"], record.terms["attention"]["training"]
    zero = torch.zeros_like(kept.W_kq)
    yield Comparison("loss / initial", training["initial"], float(loss(kept, zero)))
    yield Comparison("loss / final", training["final"], float(loss(kept, kept.W_kq)))
    found = float(logits(kept, kept.W_kq)[1].min())
    yield Comparison("attention / final minimum", attention["final_min"], found)
    excess = float(loss(kept, kept.W_kq)) - training["floor"]
    yield Comparison("loss / excess", training["excess"], excess)


def _steps(record: Record, kept: Kept, best: Tensor) -> Iterator[Comparison]:
    """The first steps of stage 2 by autograd, and the descent along W_kq* at the last."""
    config, trace = record.config, record.trace
    if config["method"] in ("ngd", "gd"):
        W = torch.zeros_like(kept.W_kq)
        gaps = dict(zip(trace["direction/kq/step"].tolist(), trace["direction/kq/gap"].tolist(),
                        strict=True))  # fmt: skip
        for step in range(1, min(STEPS, config["tau"]) + 1):
            gradient = _gradient(kept, W)
            size = gradient.norm() if config["method"] == "ngd" else 1.0
            W = W - config["eta"] * gradient / size
            if step in gaps:
                yield Comparison(f"gap at step {step}, by autograd", gaps[step], gap(W, best))
    if record.terms["loss"]["training"]["excess"] > VISIBLE:
        gradient = _gradient(kept, kept.W_kq)
        along = -float((gradient * best).sum() / (gradient.norm() * best.norm()))
        recorded = float(trace["audit/lemma6/descent"][-1])
        yield Comparison("descent along W_kq* at the last step, by autograd", recorded, along)


def _gradient(kept: Kept, W_kq: Tensor) -> Tensor:
    W = W_kq.clone().requires_grad_()
    loss(kept, W).backward()  # type: ignore[no-untyped-call]
    return torch.zeros_like(W) if W.grad is None else W.grad
