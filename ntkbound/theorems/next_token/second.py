"""Stage 2: descent on W_kq with W_ov fixed; by the normalised gradient in the theorem.

Source: arXiv 2409.17335, Algorithm 1. Arithmetic in ``kernel``.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkbound.core import streams
from ntkbound.core.tools import Progress
from ntkbound.theorems.next_token import kernel
from ntkbound.theorems.next_token.margin import MaxMargin
from ntkbound.theorems.next_token.sentences import ABSENT, Sentences

CHUNK = 500  # steps between two lines of progress
METHODS = {"ngd": kernel.NGD, "gd": kernel.GD, "sgd": kernel.SGD, "adam": kernel.ADAM}


@dataclass(frozen=True, eq=False)
class Layout:
    """The inputs that compare tokens, packed, and the logits of W_kq that occur in them.

    cells (P, 2): token and query of each logit. packed: start, token, logit and count of each type
    of each input, the place of the optimal one, target, optimal token. kept (N',) places of these
    inputs among all; won, lost (E,) logits of each compared pair.
    """

    cells: np.ndarray
    packed: tuple[np.ndarray, ...]
    kept: np.ndarray
    won: np.ndarray
    lost: np.ndarray

    def matrix(self, logits: np.ndarray, V: int) -> np.ndarray:
        """(V, V) W_kq, 0 where nothing was trained."""
        found = np.zeros((V, V))
        found[self.cells[:, 0], self.cells[:, 1]] = logits
        return found

    def of_matrix(self, W: np.ndarray) -> np.ndarray:
        """(P,) the logits of W_kq (V, V)."""
        return np.asarray(W[self.cells[:, 0], self.cells[:, 1]])


def layout(sentences: Sentences) -> Layout:
    """Packs the inputs with two types of tokens or more; the gradient of others is 0."""
    slots: dict[tuple[int, int], int] = {}
    kept: list[int] = []
    types: list[tuple[int, int, int]] = []  # token, logit, count
    rows: list[tuple[int, int, int, int]] = []  # of each input: end, optimal place, target, token
    for n, sentence in enumerate(sentences.inputs):
        counts, best = Counter(sentence), sentences.optimal[n]
        if len(counts) < 2:
            continue
        kept.append(n)
        place = len(types) + list(counts).index(best)
        for token, count in counts.items():
            types.append((token, slots.setdefault((token, sentence[-1]), len(slots)), count))
        rows.append((len(types), place, sentences.targets[n], best))
    of_types, of_inputs = np.array(types).T.copy(), np.array(rows).T.copy()
    start = np.append(0, of_inputs[0])
    packed = (start, of_types[0], of_types[1], of_types[2].astype(np.float64), *of_inputs[1:])
    edges = [(slots[o, q], slots[b, q]) for q, one in sentences.order.items() for o, b in one.pairs]
    won, lost = np.array(edges).T.copy()
    return Layout(np.array(list(slots)), packed, np.array(kept), won, lost)


@dataclass(frozen=True, eq=False)
class SecondStage:
    """The trained logits (P,), W_kq* at the same places, and ``series`` (T + 1, `kernel.SERIES`) of
    every step; floor: the loss of perfect attention."""

    layout: Layout
    logits: np.ndarray
    best: np.ndarray
    series: np.ndarray
    floor: float

    def of(self, column: int) -> np.ndarray:
        """(T + 1,) one series."""
        return np.asarray(self.series[:, column])

    @property
    def steps(self) -> int:
        """T1, or fewer where the gradient vanished before."""
        return len(self.series) - 1


@dataclass(frozen=True)
class SecondPlan:
    """How stage 2 is run: steps T1, step size η, the method, and of sgd the batch and a seed."""

    steps: int
    eta: float
    method: str
    batch: int
    seed: int


def train_second(
    sentences: Sentences, W_ov: np.ndarray, best: MaxMargin, plan: SecondPlan, progress: Progress
) -> SecondStage:
    """Descent from W_kq = 0; every step is measured, the end included."""
    packed = layout(sentences)
    first, floors = fixed(W_ov, sentences)
    weights = sentences.share[packed.kept]
    target = best_logits(best, packed)
    direction = target / np.linalg.norm(target)
    classes = classes_of(W_ov, sentences, packed)
    problem = (packed.packed, first, classes, weights, direction, (packed.won, packed.lost))
    logits = np.zeros(len(packed.cells))
    state = (logits, *(np.zeros_like(logits) for _ in range(4)), np.zeros(len(weights)),
             work(packed, sentences.V))  # fmt: skip
    series = np.zeros((plan.steps + 1, kernel.SERIES))
    rng = streams.generator(plan.seed, "next-token/sgd")
    rows = 0
    while rows < len(series):
        stop = min(rows + CHUNK, len(series))
        drawn = draws(sentences, packed, plan, rng, stop - rows)
        reached = kernel.descend(
            problem, state, series, (rows, stop, plan.eta, METHODS[plan.method]), drawn
        )
        progress(reached - 1, plan.steps, float(series[reached - 1, kernel.LOSS]))
        if reached < stop or series[reached - 1, kernel.GRADIENT] < kernel.STOP:
            series = series[:reached]
        rows = reached
    series[:, kernel.LOSS] += floors_of_one_type(sentences, packed, floors)
    return SecondStage(packed, logits, target, series, float(sentences.share @ floors))


def fixed(W_ov: np.ndarray, sentences: Sentences) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """What the kernel wants of W_ov: its rows by token, b_v = W[v,o] − W[n(o),o] by optimal token
    o, e^{b_v}, their sums S_0, the least b_v and the largest, at least 0; and the floor log1p(S_0)
    of every input (N,)."""
    by_token = np.ascontiguousarray(W_ov.T)
    after = sentences.next.clip(0)
    rows = np.arange(len(after))
    floor = by_token - by_token[rows, after][:, None]
    exponential = np.exp(np.minimum(floor, kernel.HUGE))
    exponential[rows, after] = 0.0
    total = exponential.sum(axis=1)
    ends = floor.min(axis=1), floor.max(axis=1)
    parts = (by_token, floor, exponential, total, *ends)
    return parts, np.log1p(total[list(sentences.optimal)])


def floors_of_one_type(sentences: Sentences, packed: Layout, floors: np.ndarray) -> float:
    """What inputs of one type of token add to the loss: perfect attention, whatever W_kq is."""
    alone = np.ones(len(floors), dtype=bool)
    alone[packed.kept] = False
    return float(sentences.share[alone] @ floors[alone])


def classes_of(
    W_ov: np.ndarray, sentences: Sentences, packed: Layout
) -> tuple[np.ndarray, np.ndarray]:
    """Where every column x of W_ov is one value but for n(x): by how much n(x) is above it (V,),
    and for each type of each input e^b over the tokens of its class (1, K). Else both empty.

    Descent from zero leaves W_ov of this form, whatever the weights of stage 1 are.
    """
    V, rows = sentences.V, np.arange(sentences.V)
    known = sentences.next != ABSENT
    rest = W_ov.copy()
    rest[sentences.next[known], rows[known]] = np.nan
    low = np.nanmin(rest, axis=0)
    if not (low == np.nanmax(rest, axis=0)).all():
        return np.empty(0), np.empty((0, 0))
    above = np.where(known, W_ov[sentences.next.clip(0), rows] - low, 0.0)
    start, token, optimal, best = (packed.packed[k] for k in (0, 1, 4, 6))
    leads = known[token].astype(np.float64)
    leads[optimal] = 0.0
    sizes = np.add.reduceat(leads, start[:-1])
    leads[optimal] = V - 1 - sizes
    exponential = np.exp(np.minimum(-above[best], kernel.HUGE))
    return above, (leads * np.repeat(exponential, np.diff(start)))[None]


def work(packed: Layout, V: int) -> tuple[Any, ...]:
    """Room for one sweep over the inputs."""
    inputs, types = len(packed.kept), int(packed.packed[0][-1])
    vectors = (tuple(np.zeros(size) for _ in range(3)) for size in (V, types))
    return (np.zeros((3, inputs)), np.zeros(types), np.zeros(types), *vectors)


def best_logits(best: MaxMargin, packed: Layout) -> np.ndarray:
    """(P,) W_kq* at the logits that occur."""
    values = {
        (token, query): value
        for query, column in best.columns.items()
        for token, value in zip(column.tokens, column.values.tolist(), strict=True)
    }
    return np.array([values[token, query] for token, query in packed.cells.tolist()])


def draws(
    sentences: Sentences, packed: Layout, plan: SecondPlan, rng: Any, steps: int
) -> np.ndarray:
    """(steps, N') share of each input in the batch of each step of sgd; of others nothing."""
    if plan.method != "sgd":
        return np.zeros((0, len(packed.kept)))
    drawn = rng.multinomial(plan.batch, sentences.share, size=steps) / plan.batch
    return np.ascontiguousarray(drawn[:, packed.kept])


def law_rate(eta: float, best: np.ndarray) -> float:
    """η/‖W_kq*‖, the rate at which the excess decays in the long run (docs/next-token.md)."""
    return eta / math.sqrt(float(best @ best))
