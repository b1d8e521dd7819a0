"""Loss, output and gradient of several runs of equal sizes, in closed form, a few rows at a time.

With r = f − y, M = 1{Z > 0} and token rows as columns, T = ds·N of them:

    Z = W_V Uᵀ,   F = s Σ_i ReLU(Z_i),   f = w_Oᵀ F,   E = (w_O ∘ W_V)ᵀ M,
    ∇O = w F r,   ∇V = w_O ∘ M (c ∘ U),   c = w s r of the row's sample,
    dA = c E Xᵀ,   dS = τ0 A∘(dA − rowsum(A∘dA)),   G = Σ_n Xᵀ dS X,   ∇Q = W_K Gᵀ,   ∇K = W_Q G.

E needs no residual: one pass over the rows of W_V yields f and E while Z is in the cache, and only
the signs of Z are kept (a byte each) for the second pass, ∇V. Three products of T·d·dm
multiply-adds a step, memory of N·ds·dm bytes and of the weights; queries and keys are moved without
their rows (``factors``).

Source: arXiv 2311.01575, Section 1; gradients through P: E1 of docs/encoder-only.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from ntkbound.machine.parallel import Workers, partition
from ntkbound.theorems.encoder_only.config import Sizes
from ntkbound.theorems.encoder_only.factors import Factors
from ntkbound.theorems.encoder_only.problem import Problem, Weights
from ntkbound.theorems.encoder_only.schedule import small

Found = TypeVar("Found")

SHARES = 16  # parts of the rows, at most: each one thread's at a time
ELEMENTS = 1 << 18  # rows times tokens at a time: two megabytes
FEWEST = 16  # rows at a time
ALIGNED = 8  # float64 of a cache line: products of matrices that start there have the same bits


@dataclass(frozen=True, eq=False)
class State:
    """Weights of R runs: W_V (R, rows, d), w_O (R, rows), and queries and keys as ``factors`` of
    those (R, rows, d) that they started from."""

    start: tuple[Tensor, Tensor]
    V: Tensor
    O: Tensor  # noqa: E741 - the paper's symbol
    factors: Factors


@dataclass(frozen=True, eq=False)
class Gradient:
    """∇V (R, rows, d), ∇O (R, rows) and G = ∂ℓ/∂P (R, d, d), which has those of Q and K in it."""

    V: Tensor
    O: Tensor  # noqa: E741 - the paper's symbol
    G: Tensor


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

    def started(self, weights: Sequence[Weights]) -> State:
        """The state of R runs at their weights."""
        room = self.room
        Q, K, V = (
            stacked([getattr(one, symbol) for one in weights], room.rows, room.d)
            for symbol in "QKV"
        )
        O = stacked([one.O for one in weights], room.rows)  # noqa: E741

        def grams(share: _Share) -> tuple[Tensor, ...]:
            q, k = Q[:, share.rows], K[:, share.rows]
            return torch.bmm(q.mT, k), torch.bmm(q.mT, q), torch.bmm(k.mT, k)

        found = (self._workers.ranks.sum_(total) for total in _sums(self._each(grams)))
        return State((Q, K), V, O, Factors.of(*found))

    def of(self, state: State, run: int) -> Weights:
        """One run's own weights."""
        rows, d = self.held, self.problem.d
        Q, K = state.factors.rows(state.start, run)
        return Weights(Q[:rows, :d], K[:rows, :d], state.V[run, :rows, :d], state.O[run, :rows])

    def evaluate(self, state: State) -> tuple[Value, Gradient]:
        """ℓ, r and ∇ℓ with its norms."""
        problem, ranks = self.problem, self._workers.ranks
        A = self._attend(state.factors.P)
        U = self._U.flatten(2)
        ahead = self._each(lambda share: share.forward(state, U))
        f, E = (ranks.sum_(total) for total in _sums(ahead))
        residual = problem.factor * f - self._y
        c = problem.weight * problem.factor * residual
        G = self._of_attention(A, E.view_as(self._U) * c[:, None, None])
        scaled = (self._U * c[:, None, None]).flatten(2)
        gradient = Gradient(torch.empty_like(state.V), torch.empty_like(state.O), G)
        back = self._each(lambda share: share.backward(state, gradient, scaled, c))
        (squares,) = (ranks.sum_(total) for total in _sums(back))
        whole = torch.cat([squares, torch.stack(state.factors.squares(G), dim=1)], dim=1)
        loss = problem.weight / 2 * residual.square().sum(1)
        return Value(loss, residual[:, : problem.N], whole), gradient

    def moved(self, state: State, gradient: Gradient, gamma: Tensor, into: State) -> State:
        """θ − γ∇ of every run, γ (R,); V and O are those of ``into``, which may be θ itself."""

        def move(share: _Share) -> None:
            for theta, g, out in (
                (state.V, gradient.V, into.V), (state.O, gradient.O, into.O)
            ):  # fmt: skip
                size = -gamma.view(-1, *[1] * (theta.ndim - 1))
                rows = (slice(None), share.rows)
                torch.addcmul(theta[rows], g[rows], size, out=out[rows])

        for _ in self._each(move):
            pass
        return replace(into, factors=state.factors.moved(gradient.G, gamma))

    def _each(self, work: Callable[[_Share], Found]) -> Iterator[Found]:
        """Of every share in their order; a single one needs no second thread."""
        shares = self._shares
        return self._workers.map(work, shares) if shares[1:] else map(work, shares)

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

    def forward(self, state: State, U: Tensor) -> tuple[Tensor, Tensor]:
        """What these rows add to f/s (R, N) and to E (R, d, T)."""
        R, room = len(U), self._room
        f, E = U.new_zeros(R, room.N), self._E
        for block, signs, F in self._parts():
            V, O = state.V[:, block], state.O[:, block]  # noqa: E741
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
        self, state: State, gradient: Gradient, scaled: Tensor, c: Tensor
    ) -> tuple[Tensor]:
        """Writes these rows of ∇O and ∇V, from c ∘ U (R, d, T) and c (R, N); their squares
        (R, 2)."""
        squares = c.new_zeros(len(c), 2)
        for block, signs, F in self._parts():
            M = self._room_for(block, len(c))
            M.copy_(signs)
            of_O = (F * c[:, None]).sum(2)
            of_V = torch.bmm(M, scaled.mT).mul_(state.O[:, block, None])
            for place, (whole, part) in enumerate(((gradient.O, of_O), (gradient.V, of_V))):
                whole[:, block] = part
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
