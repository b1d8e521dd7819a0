"""Loss, output and gradient of several runs of equal sizes, in closed form, a few rows at a time.

With r = f − y, M = 1{Z > 0} and token rows as columns, T = ds·N of them:

    Z = W_V Uᵀ,   F = s Σ_i ReLU(Z_i),   f = w_Oᵀ F,   E = (w_O ∘ W_V)ᵀ M,
    ∇O = w F r,   ∇V = w_O ∘ M (c ∘ U),   c = w s r of the row's sample,
    dA = c E Xᵀ,   dS = τ0 A∘(dA − rowsum(A∘dA)),   G = Σ_n Xᵀ dS X,   ∇Q = W_K Gᵀ,   ∇K = W_Q G.

E needs no residual: one pass over the rows of W_V yields f and E while Z is in the cache, and only
the signs of Z are kept (a byte each) for the second pass, ∇V. Three products of 2·T·d·dm
operations a step, memory of N·ds·dm bytes and of weights and gradient.

Source: arXiv 2311.01575, Section 1; gradients through P in docs/encoder-only.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ntkbound.machine.parallel import Workers, partition
from ntkbound.theorems.encoder_only.config import Sizes
from ntkbound.theorems.encoder_only.problem import Problem, Weights
from ntkbound.theorems.encoder_only.schedule import small

Found = TypeVar("Found")

SHARES = 16  # parts of the rows, at most: each one thread's at a time
ELEMENTS = 1 << 18  # rows times tokens at a time: two megabytes
FEWEST = 16  # rows at a time
ALIGNED = 8  # float64 of a cache line: products of matrices that start there have the same bits


@dataclass(frozen=True, eq=False)
class Value:
    """Of R runs at their weights: loss ℓ (R,), residual r (R, N), and ‖∇‖² of the blocks O, V, Q, K
    (R, 4)."""

    loss: Tensor
    residual: Tensor
    squares: Tensor


def up(size: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-size // unit) * unit


@dataclass(frozen=True)
class Room:
    """Sizes as they are computed with: those of small runs are padded with zeros, which change no
    number, so that the matrices of every run start at a cache line, whatever runs stand beside."""

    N: int
    ds: int
    d: int
    rows: int

    @classmethod
    def of(cls, problem: Problem, rows: int, padded: bool) -> Room:
        unit = ALIGNED if padded else 1
        N, d, rows = (up(size, unit) for size in (problem.N, problem.d, rows))
        return cls(N, problem.ds, d, rows)

    @property
    def T(self) -> int:
        """Token rows of one run."""
        return self.ds * self.N


def stacked(parts: Sequence[Tensor], *shape: int) -> Tensor:
    """(R, *shape): every part in a corner of its own, zeros beside."""
    whole = parts[0].new_zeros(len(parts), *shape)
    for one, part in zip(whole, parts, strict=True):
        one[tuple(slice(size) for size in part.shape)] = part
    return whole


class Objective:
    """ℓ and ∇ℓ of R runs whose problems have the same sizes and constants."""

    def __init__(self, problems: Sequence[Problem], rows: int, workers: Workers) -> None:
        """``rows``: of the weights held here. More than one run only where all are ``small``."""
        first, R = problems[0], len(problems)
        self.problem, self.held, self._workers = first, rows, workers
        padded = small(Sizes(workers.ranks.total(rows), first.N, first.ds, first.d))
        room = self.room = Room.of(first, rows, padded)
        self._X = stacked([one.X for one in problems], room.N, room.ds, room.d)
        self._y = stacked([one.y for one in problems], room.N)
        block = up(max(FEWEST, ELEMENTS // room.T), ALIGNED)
        share = max(block, up(-(-room.rows // SHARES), ALIGNED))
        scratch = Scratch(R * block * room.T)
        self._shares = [
            _Share(rows, block, R, room, scratch) for rows in partition(room.rows, share)
        ]
        self._U = self._X.new_empty(R, room.d, room.ds, room.N)

    def packed(self, weights: Sequence[Weights]) -> Weights:
        """The weights of R runs in one, (R, rows, d) and (R, rows)."""
        room = self.room
        matrices = {
            symbol: stacked([getattr(one, symbol) for one in weights], room.rows, room.d)
            for symbol in "QKV"
        }
        return Weights(**matrices, O=stacked([one.O for one in weights], room.rows))

    def of(self, weights: Weights, run: int) -> Weights:
        """A view of one run's own weights."""
        rows, d = self.held, self.problem.d
        matrices = {symbol: getattr(weights, symbol)[run, :rows, :d] for symbol in "QKV"}
        return Weights(**matrices, O=weights.O[run, :rows])

    def evaluate(self, weights: Weights, gradient: Weights) -> Value:
        """ℓ, r and the norms of ∇ℓ, which is written to ``gradient``."""
        problem, ranks = self.problem, self._workers.ranks
        A = self._attend(self._product(weights))
        U = self._U.flatten(2)
        ahead = self._each(lambda share: share.forward(weights, U))
        f, E = (ranks.sum_(total) for total in _sums(ahead))
        residual = problem.factor * f - self._y
        c = problem.weight * problem.factor * residual
        G = self._of_attention(A, E.view_as(self._U) * c[:, None, None])
        scaled = (self._U * c[:, None, None]).flatten(2)
        back = self._each(lambda share: share.backward(weights, gradient, (scaled, c, G)))
        (squares,) = (ranks.sum_(total) for total in _sums(back))
        loss = problem.weight / 2 * residual.square().sum(1)
        return Value(loss, residual[:, : problem.N], squares)

    def step(self, weights: Weights, gradient: Weights, gamma: Tensor, into: Weights) -> None:
        """``into`` = θ − γ∇ of every run, γ (R,); may be the weights themselves."""

        def move(share: _Share) -> None:
            for symbol in "OQKV":
                theta, g, out = (
                    getattr(w, symbol)[:, share.rows] for w in (weights, gradient, into)
                )
                each = -gamma.view(-1, *[1] * (theta.ndim - 1))
                torch.addcmul(theta, g, each, out=out)

        for _ in self._each(move):
            pass

    def _each(self, work: Callable[[_Share], Found]) -> Iterator[Found]:
        """Of every share in their order; a single one needs no second thread."""
        return (
            self._workers.map(work, self._shares) if self._shares[1:] else map(work, self._shares)
        )

    def _product(self, weights: Weights) -> Tensor:
        """P = W_QᵀW_K, (R, d, d)."""

        def product(share: _Share) -> tuple[Tensor]:
            return (torch.bmm(weights.Q[:, share.rows].mT, weights.K[:, share.rows]),)

        (P,) = _sums(self._each(product))
        return self._workers.ranks.sum_(P)

    def _attend(self, P: Tensor) -> Tensor:
        """A (R·N, ds, ds); U = A X is left in its place, tokens last."""
        X = self._X.flatten(0, 1)
        XP = torch.bmm(self._X.flatten(1, 2), P).view_as(X)
        A = torch.softmax(self.problem.tau0 * torch.bmm(XP, X.mT), dim=2)
        self._U.copy_(torch.bmm(A, X).view_as(self._X).permute(0, 3, 2, 1))
        return A

    def _of_attention(self, A: Tensor, e: Tensor) -> Tensor:
        """G = ∂ℓ/∂P (R, d, d) from e = ∂ℓ/∂U (R, d, ds, N)."""
        X = self._X.flatten(0, 1)
        dA = torch.bmm(e.permute(0, 3, 2, 1).reshape_as(X), X.mT)
        dS = self.problem.tau0 * A * (dA - (A * dA).sum(2, keepdim=True))
        dX = torch.bmm(dS, X).view_as(self._X).flatten(1, 2)
        return torch.bmm(self._X.flatten(1, 2).mT, dX)


def _sums(parts: Iterator[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Of what every share has, in their order; what the first has is overwritten."""
    totals = next(parts)
    for part in parts:
        for total, one in zip(totals, part, strict=True):
            total += one
    return totals


class Scratch(threading.local):
    """Room that every thread has for itself, so that it stays in the cache of its core."""

    def __init__(self, size: int) -> None:
        self.numbers = torch.empty(size, dtype=torch.float64)


class _Share:
    """Some rows of every run, and what one pass leaves for the next."""

    def __init__(self, rows: slice, block: int, runs: int, room: Room, scratch: Scratch) -> None:
        self.rows, self._room, self._scratch = rows, room, scratch
        count = rows.stop - rows.start
        size = up(-(-count // -(-count // block)), ALIGNED)  # blocks of about the same size
        self._blocks = [slice(rows.start + b.start, rows.start + b.stop)
                        for b in partition(count, size)]  # fmt: skip
        self._E = torch.empty(runs, room.d, room.T, dtype=torch.float64)
        self._signs = torch.empty(runs, count, room.T, dtype=torch.int8)
        self._F = torch.empty(runs, count, room.N, dtype=torch.float64)

    def forward(self, weights: Weights, U: Tensor) -> tuple[Tensor, Tensor]:
        """What these rows add to f/s (R, N) and to E (R, d, T)."""
        R, room = len(U), self._room
        f, E = U.new_zeros(R, room.N), self._E
        for block, signs, F in self._parts():
            V, O = weights.V[:, block], weights.O[:, block]  # noqa: E741
            Z = self._room_for(block, R)
            torch.bmm(V, U, out=Z)
            Z.clamp_min_(0)
            torch.sum(Z.view(R, -1, room.ds, room.N), 2, out=F)
            signs.copy_(Z.gt_(0))
            f += (O[..., None] * F).sum(1)
            OV = (O[..., None] * V).mT
            if block is self._blocks[0]:
                torch.bmm(OV, Z, out=E)
            else:
                E.baddbmm_(OV, Z)
        return f, E

    def backward(
        self, weights: Weights, gradient: Weights, known: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor]:
        """Writes these rows of ∇ℓ, from c ∘ U (R, d, T), c (R, N) and G (R, d, d); their squares
        (R, 4)."""
        scaled, c, G = known
        squares = c.new_zeros(len(c), 4)
        for block, signs, F in self._parts():
            M = self._room_for(block, len(c))
            M.copy_(signs)
            found = (
                (F * c[:, None]).sum(2),
                torch.bmm(M, scaled.mT).mul_(weights.O[:, block, None]),
                torch.bmm(weights.K[:, block], G.mT),
                torch.bmm(weights.Q[:, block], G),
            )
            for place, (symbol, part) in enumerate(zip("OVQK", found, strict=True)):
                getattr(gradient, symbol)[:, block] = part
                squares[:, place] += part.flatten(1).square().sum(1)
        return (squares,)

    def _parts(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Blocks of rows, and where their signs and F are kept."""
        for block in self._blocks:
            own = slice(block.start - self.rows.start, block.stop - self.rows.start)
            yield block, self._signs[:, own], self._F[:, own]

    def _room_for(self, block: slice, runs: int) -> Tensor:
        rows, T = block.stop - block.start, self._room.T
        return self._scratch.numbers[: runs * rows * T].view(runs, rows, T)
