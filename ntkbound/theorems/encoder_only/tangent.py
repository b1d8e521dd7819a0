"""The tangent kernel K = K_O + K_V + K_Q + K_K in closed form, and the numbers read off it.

With D = 1{Z > 0} ∘ w_O per token row, F = s Σ_i ReLU(Z_i) and G_n = ∂f(X_n)/∂P (d, d),

    K_O = F Fᵀ,    K_V[n, m] = s² Σ_ij (D_i·D'_j)(U_i·U'_j),
    K_Q[n, m] = tr(G_n W_KᵀW_K G_mᵀ),    K_K[n, m] = tr(G_nᵀ W_QᵀW_Q G_m),

without residuals or the weight of the loss. All is a sum over rows of the weights, taken over fixed
blocks of them: memory does not grow with dm, rows may be dealt over ranks, and no bit depends on
the threads. Q and K are seen through P = W_QᵀW_K and their Gram matrices alone.

Source: arXiv 2311.01575, Section 3; the two blocks of Q and K follow from P (docs/encoder-only.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ntkbound.core.errors import InputError
from ntkbound.machine.parallel import Workers, partition
from ntkbound.theorems.encoder_only.problem import Problem, Weights, attention

BLOCK = 512  # rows of the weights at a time
TILE = 1 << 22  # numbers of an intermediate array at a time
NOISE = 1e-10  # of λ_max: eigenvalues up to it are rounding


@dataclass(frozen=True, eq=False)
class Tangent:
    """K in its blocks, (N, N) each; dm is the number of rows on all ranks."""

    O: Tensor  # noqa: E741 - the paper's symbol
    V: Tensor
    Q: Tensor
    K: Tensor
    dm: int

    @cached_property
    def whole(self) -> Tensor:
        return self.O + self.V + self.Q + self.K

    @property
    def blocks(self) -> dict[str, Tensor]:
        return {"O": self.O, "V": self.V, "Q": self.Q, "K": self.K}

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Of K, ascending, as computed: known to rounding of λ_max.

        Raises InputError for a kernel that overflowed.
        """
        if not self.whole.isfinite().all():
            raise InputError("the tangent kernel is no finite number; scale the data")
        found: Tensor = torch.linalg.eigvalsh(self.whole)
        return found

    @cached_property
    def spectrum(self) -> Tensor:
        """Eigenvalues of K, ascending; 0 where they are rounding, at most 1e-10 λ_max."""
        found = self.eigenvalues
        return torch.where(found > NOISE * found[-1], found, torch.zeros_like(found))

    @property
    def smallest(self) -> float:
        """λ_min(K)."""
        return float(self.spectrum[0])

    @property
    def largest(self) -> float:
        """λ_max(K)."""
        return float(self.spectrum[-1])

    @property
    def rank(self) -> int:
        """Eigenvalues above 1e-10 λ_max."""
        return int((self.spectrum > 0).sum())

    @cached_property
    def alpha_squared(self) -> float:
        """α² = σ_min(F)²; 0 where F has fewer columns than rows, or it is rounding of K."""
        found = smallest_singular(self.O, self.dm)
        return found if found > NOISE * self.largest else 0.0


def smallest_singular(gram: Tensor, dm: int) -> float:
    """σ_min(F)² from F Fᵀ (N, N), F (N, dm); 0 where dm < N, it is rounding of σ_max², or F Fᵀ
    overflowed."""
    if dm < len(gram) or not gram.isfinite().all():
        return 0.0
    found = torch.linalg.eigvalsh(gram)
    return float(found[0]) if found[0] > NOISE * found[-1] else 0.0


def distance(one: Tensor, other: Tensor) -> float:
    """1 − ⟨K, K'⟩/(‖K‖‖K'‖), as half the squared distance of K/‖K‖ and K'/‖K'‖; 1 to a kernel that
    vanished."""
    sizes = float(one.norm()), float(other.norm())
    if 0.0 in sizes:
        return float(sizes[0] != sizes[1])
    return float((one / sizes[0] - other / sizes[1]).square().sum()) / 2


def kernel(problem: Problem, weights: Weights, workers: Workers) -> Tangent:
    """K at these weights."""
    grams = Grams.of(weights, workers)
    A, U = attention(problem, grams.P)
    flat = U.flatten(0, 1)
    O, V, E = summed(  # noqa: E741
        workers, weights, lambda rows: _block(problem, flat, weights, rows)
    )
    Q, K = _of_attention(problem, A, E.reshape(U.shape), grams, workers)
    return Tangent(O, V, Q, K, workers.ranks.total(len(weights.O)))


def output_kernel(problem: Problem, weights: Weights, workers: Workers) -> Tensor:
    """K_O = F Fᵀ alone, (N, N): its smallest eigenvalue is σ_min(F)² where dm ≥ N."""
    grams = Grams.of(weights, workers)
    flat = attention(problem, grams.P)[1].flatten(0, 1)

    def block(rows: slice) -> tuple[Tensor, ...]:
        F = _features(problem, flat @ weights.V[rows].mT)
        return (F @ F.mT,)

    return summed(workers, weights, block)[0]


@dataclass(frozen=True, eq=False)
class Grams:
    """W_QᵀW_K, W_QᵀW_Q and W_KᵀW_K, (d, d) each."""

    P: Tensor
    QQ: Tensor
    KK: Tensor

    @classmethod
    def of(cls, weights: Weights, workers: Workers) -> Grams:
        def block(rows: slice) -> tuple[Tensor, ...]:
            Q, K = weights.Q[rows], weights.K[rows]
            return Q.mT @ K, Q.mT @ Q, K.mT @ K

        return cls(*summed(workers, weights, block))


def summed(
    workers: Workers, weights: Weights, block: Callable[[slice], tuple[Tensor, ...]]
) -> list[Tensor]:
    """The sums of what every block of rows returns, over this rank's blocks and over ranks."""
    parts = workers.map(block, partition(len(weights.O), BLOCK))
    total = [part.clone() for part in next(parts)]
    for found in parts:
        for whole, part in zip(total, found, strict=True):
            whole += part
    return [workers.ranks.sum_(whole) for whole in total]


def _features(problem: Problem, Z: Tensor) -> Tensor:
    """The columns of F that belong to the columns of Z (N·ds, rows): (N, rows)."""
    return problem.factor * Z.clamp(min=0).reshape(problem.N, problem.ds, -1).sum(dim=1)


def _block(problem: Problem, U: Tensor, weights: Weights, rows: slice) -> tuple[Tensor, ...]:
    """What some rows of W_V and w_O add to K_O and K_V (N, N), and to s·D W_V (N·ds, d)."""
    W_V, w_O = weights.V[rows], weights.O[rows]
    Z = U @ W_V.mT
    F = _features(problem, Z)
    D = torch.where(Z > 0, problem.factor * w_O, 0.0)
    V = F.new_empty(problem.N, problem.N)
    for part in partition(problem.N, max(1, TILE // (problem.ds**2 * problem.N))):
        tokens = slice(part.start * problem.ds, part.stop * problem.ds)
        both = (D[tokens] @ D.mT) * (U[tokens] @ U.mT)
        V[part] = both.reshape(-1, problem.ds, problem.N, problem.ds).sum(dim=(1, 3))
    return F @ F.mT, V, D @ W_V


def _of_attention(
    problem: Problem, A: Tensor, E: Tensor, grams: Grams, workers: Workers
) -> tuple[Tensor, Tensor]:
    """K_Q and K_K from E = ∂f/∂U (N, ds, d): G = Xᵀ dS X, dS = τ0 A∘(dA − rowsum(A∘dA)),
    dA = E Xᵀ. Some samples at a time, as G has d² numbers each."""
    dA = E @ problem.X.mT
    dS = problem.tau0 * A * (dA - (A * dA).sum(dim=2, keepdim=True))
    parts = partition(problem.N, max(1, TILE // problem.d**2))

    def of(part: slice) -> Tensor:
        return problem.X[part].mT @ dS[part] @ problem.X[part]

    def rows(part: slice) -> tuple[Tensor, Tensor]:
        G = of(part)
        left = torch.stack([G @ grams.KK, grams.QQ @ G]).flatten(2)
        Q, K = torch.cat([left @ of(other).flatten(1).mT for other in parts], dim=2)
        return Q, K

    Q, K = zip(*workers.map(rows, parts), strict=True)
    return torch.cat(Q), torch.cat(K)
