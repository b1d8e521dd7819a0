"""Head models: f(X; φ) = m^{-1/2} Σ_i h(X; θ_i), written once for every architecture.

A head model names its parameter blocks with their per-head shapes and gives ``h``; everything the
theory needs (the tangent h, Dh[Δ], gradient norms, symmetric initialisation) follows from ``h`` by
``torch.func``. A model may override the derived methods with closed forms; ``AutogradView`` hides
them again, so that tests and ``ntkbound verify`` hold one against the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.heads.blocks import BLOCK_ELEMENTS, sum_heads
from ntkbound.machine.parallel import Workers, partition
from ntkbound.machine.ranks import ALONE, Ranks

Derived = TypeVar("Derived")
Params = dict[str, Tensor]  # block → (..., m, *shape of the block)


@dataclass(frozen=True)
class Inputs:
    """Samples as a head sees them."""

    X: Tensor  # (..., n, T, d) tokens
    q: Tensor  # (..., n, d) query of each sample
    _derived: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    def derived(self, key: object, make: Callable[[], Derived]) -> Derived:
        """What ``make`` derives from these samples (a kernel's layout), made once and kept."""
        if key not in self._derived:
            self._derived[key] = make()
        found: Derived = self._derived[key]
        return found

    def rows(self, rows: slice | Tensor) -> Inputs:
        return Inputs(self.X[..., rows, :, :], self.q[..., rows, :])

    def to(self, dtype: torch.dtype, device: str = "cpu") -> Inputs:
        if dtype == self.X.dtype and self.X.device.type == device:
            return self
        return Inputs(self.X.to(device, dtype), self.q.to(device, dtype))

    @property
    def n(self) -> int:
        return self.X.shape[-3]

    @property
    def T(self) -> int:
        return self.X.shape[-2]


@dataclass(frozen=True)
class GradientFactor:
    """A part of the gradients of all heads: features (n, K), each times a vector of its sample.

    It stands for the outer product F ⊗ Q, which is never formed; Q = None stands for the number 1.
    """

    features: Tensor  # F (n, K)
    vectors: Tensor | None = None  # Q (n, r)


class HeadModel(ABC):
    """One attention (or recurrent) head h(X; θ), with θ split into named blocks.

    Leading dimensions of the parameters broadcast against leading dimensions of the inputs: one
    call evaluates many runs, or many candidates of a search, at once.
    """

    blocks: Mapping[str, tuple[int, ...]]
    output_block = "c"  # h is linear in it; symmetric initialisation flips its sign

    @abstractmethod
    def h(self, params: Params, inputs: Inputs) -> Tensor:
        """h(X_j; θ_i), shape (..., n, m)."""

    @abstractmethod
    def context_numbers(self, T: int, m: int) -> int:
        """Context memory: numbers to be kept, beside the parameters, to emit the output after T
        tokens of a sequence that arrives token by token."""

    def draw(self, block: str, rng: np.random.Generator, heads: int) -> np.ndarray:
        """``heads`` independent initial values of one block: a fair sign for c, else N(0, 1)."""
        if block == self.output_block:
            return rng.integers(0, 2, size=heads) * 2.0 - 1.0
        return rng.standard_normal((heads, *self.blocks[block]))

    def jvp(self, params: Params, delta: Params, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """h and its directional derivative ⟨∇h(X_j; θ_i), Δ_i⟩, each (..., n, m)."""
        value, tangent = torch.func.jvp(lambda p: self.h(p, inputs), (params,), (delta,))[:2]
        return value, tangent

    def gradients(self, params: Params, inputs: Inputs) -> Params:
        """∂h(X_j; θ_i)/∂block, block → (n, m, *shape), for parameters without leading axes."""

        def one(theta: Params, x: Tensor, q: Tensor) -> Tensor:
            single = {b: v.unsqueeze(0) for b, v in theta.items()}
            return self.h(single, Inputs(x.unsqueeze(0), q.unsqueeze(0)))[0, 0]

        per_head = torch.func.vmap(torch.func.grad(one), in_dims=(0, None, None))
        per_sample = torch.func.vmap(per_head, in_dims=(None, 0, 0))
        grads: Params = per_sample(params, inputs.X, inputs.q)
        return grads

    def gradient_factors(self, params: Params, inputs: Inputs) -> list[GradientFactor]:
        """Factors whose products give Σ_i ⟨∇h(X; θ_i), ∇h(X'; θ_i)⟩ = Σ (F·F')(Q·Q')."""
        grads = self.gradients(params, inputs)
        return [GradientFactor(torch.cat([g.flatten(1) for g in grads.values()], dim=1))]

    def weighted_gradient_sums(
        self, params: Params, inputs: Inputs, weights: Tensor, workers: Workers
    ) -> Params:
        """Σ_j w_j ∂h(X_j; θ_i)/∂block over all samples, block → (m, *shape); ``weights`` (n,)."""
        m = params[self.output_block].shape[0]
        rows = partition(inputs.n, max(1, BLOCK_ELEMENTS // (inputs.T * m)))

        def block(row: slice) -> tuple[Tensor, ...]:
            leaves = {b: v.detach().requires_grad_() for b, v in params.items()}
            weighted = (self.h(leaves, inputs.rows(row)).sum(-1) * weights[row]).sum()
            return torch.autograd.grad(weighted, list(leaves.values()))

        total = {b: torch.zeros_like(v) for b, v in params.items()}
        for parts in workers.map(block, rows):
            for value, part in zip(total.values(), parts, strict=True):
                value += part
        return total

    def squared_gradient_norms(self, params: Params, inputs: Inputs) -> Tensor:
        """‖∇h(X_j; θ_i)‖² over all blocks, (n, m)."""
        grads = self.gradients(params, inputs)
        return torch.stack(
            [g.reshape(*g.shape[:2], -1).square().sum(2) for g in grads.values()]
        ).sum(0)

    def tangents(
        self, params: Params, delta: Params, inputs: Inputs
    ) -> tuple[Tensor, Tensor, Tensor]:
        """h, ⟨∇h, Δ⟩ and ‖∇h‖², each (n, m), for parameters without leading axes."""
        return *self.jvp(params, delta, inputs), self.squared_gradient_norms(params, inputs)

    def seen_by_samples(
        self, params: Params, inputs: Inputs
    ) -> tuple[HeadModel, Params, dict[str, Tensor]]:
        """The smallest equivalent of these heads for each sample by itself.

        A model, its parameters, block → (n, m, *shape), linear in those given, and for every block
        the factor (n,) by which it stretches a ball of displacements. Here: nothing changes.
        """
        seen = {b: v.expand(inputs.n, *v.shape) for b, v in params.items()}
        return self, seen, {b: torch.ones(inputs.n, dtype=torch.float64) for b in params}

    def tangent_sums(
        self, params: Params, delta: Params, inputs: Inputs, workers: Workers
    ) -> Tensor:
        """Σ_i h, Σ_i ⟨∇h, Δ_i⟩, Σ_i ⟨∇h, Δ_i⟩² and Σ_i ‖∇h‖² over the given heads, (R, 4, n).

        ``params`` and the Δ of ``delta`` are those of R runs, (R, m, *shape).
        """
        runs, m = params[self.output_block].shape

        def of_run(run: int) -> Tensor:
            at, toward = ({b: v[run] for b, v in p.items()} for p in (params, delta))

            def block(rows: slice, heads: slice) -> Tensor:
                base, moved = slice_heads(at, heads, self), slice_heads(toward, heads, self)
                h, dh, norms = self.tangents(base, moved, inputs.rows(rows))
                return torch.stack([h, dh, dh.square(), norms])

            return sum_heads(block, inputs.n, m, inputs.T, workers)

        return torch.stack([of_run(run) for run in range(runs)]).double()


class AutogradView(HeadModel):
    """The same model with every closed form hidden: only ``h`` and its initialisation remain."""

    def __init__(self, model: HeadModel) -> None:
        self.model = model
        self.blocks = model.blocks
        self.output_block = model.output_block

    def h(self, params: Params, inputs: Inputs) -> Tensor:
        return self.model.h(params, inputs)

    def context_numbers(self, T: int, m: int) -> int:
        return self.model.context_numbers(T, m)

    def draw(self, block: str, rng: np.random.Generator, heads: int) -> np.ndarray:
        return self.model.draw(block, rng, heads)

    def seen_by_samples(
        self, params: Params, inputs: Inputs
    ) -> tuple[HeadModel, Params, dict[str, Tensor]]:
        model, seen, stretch = self.model.seen_by_samples(params, inputs)
        return AutogradView(model), seen, stretch


def symmetric_init(
    model: HeadModel, m: int, seed: int, dtype: torch.dtype, ranks: Ranks = ALONE
) -> Params:
    """φ_0: m/2 independent heads, then the same heads with c negated, so f(·; φ_0) = 0.

    Block → (m, *shape), or the pairs that this rank holds. Pair i is the same for every m (streams
    of fixed chunks). Raises InputError naming m where pairs cannot be dealt evenly.
    """
    try:
        pairs = ranks.pairs(m)
    except InputError as error:
        raise InputError(str(error), field="m", value=m) from None
    params = {}
    for block in model.blocks:
        drawn = _draw(model, block, seed, "init", pairs.start, pairs.stop)
        half = torch.from_numpy(drawn).to(dtype)
        params[block] = torch.cat([half, -half if block == model.output_block else half])
    return params


def fresh_heads(
    model: HeadModel,
    seed: int,
    start: int,
    stop: int,
    dtype: torch.dtype,
    purpose: str = "teacher",
) -> Params:
    """Heads ``start … stop − 1`` of an endless sequence of independent initial heads.

    Sequences of different ``purpose`` are independent of each other.
    """
    return {
        block: torch.from_numpy(_draw(model, block, seed, purpose, start, stop)).to(dtype)
        for block in model.blocks
    }


def _draw(
    model: HeadModel, block: str, seed: int, purpose: str, start: int, stop: int
) -> np.ndarray:
    return streams.rows(
        seed, f"{purpose}/{block}", start, stop, lambda rng, k: model.draw(block, rng, k)
    )


def together(*runs: Params) -> Params:
    """The parameters of runs, (R, m, *shape); those of a single one are not copied."""
    return {
        b: v.unsqueeze(0) if len(runs) == 1 else torch.stack([run[b] for run in runs])
        for b, v in runs[0].items()
    }


def slice_heads(params: Params, heads: slice, model: HeadModel) -> Params:
    """The parameters of some heads; leading axes stay."""
    return {
        b: v.narrow(v.ndim - len(model.blocks[b]) - 1, heads.start, heads.stop - heads.start)
        for b, v in params.items()
    }
