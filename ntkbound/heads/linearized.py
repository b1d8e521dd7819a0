"""A head model, its linearization at φ_0, and the samples on which both are evaluated.

f(X_j; φ) = m^{-1/2} Σ_i h(X_j; θ_i) and f_lin(X_j; φ) = ⟨∇f(X_j; φ_0), φ − φ_0⟩, for symmetric
initialisation makes f(·; φ_0) = 0. Every question about a model near its initialisation is asked of
a ``Linearized``: errors in ``terms``, the tangent kernel, worst cases over Ω_ρ.

All measured quantities are sums over heads in float64; they meet here, over ranks too, streamed
over chunks, so that no float64 copy of all parameters is ever held. Parameters (m, *shape) of one
run give (n,) numbers where those of R runs, (R, m, *shape), give (R, n), each the bits that its run
gets alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs, Params, together
from ntkbound.heads.sums import CHUNK_HEADS, in_chunks, measured
from ntkbound.machine.parallel import Workers, partition


@dataclass(frozen=True)
class Linearized:
    """f and f_lin at φ_0 = ``initial`` on ``inputs``; ``initial`` is in float64 as a rule.

    Under ranks the parameters are those of the heads held here.
    """

    model: HeadModel
    initial: Params  # block → (..., m, *shape)
    inputs: Inputs  # n samples in float64
    workers: Workers

    @property
    def heads(self) -> int:
        """How many heads are held here."""
        return self.initial[self.model.output_block].shape[-1]

    @property
    def m(self) -> int:
        """How many heads there are, over all ranks."""
        return self.workers.ranks.total(self.heads)

    def rows(self, rows: slice | Tensor) -> Linearized:
        """The same on some of the samples."""
        return replace(self, inputs=self.inputs.rows(rows))

    def on(self, inputs: Inputs) -> Linearized:
        """The same on other samples."""
        return replace(self, inputs=inputs)

    def at(self, params: Params) -> Linearized:
        """The same model on the same samples, linearized at ``params``."""
        return replace(self, initial=params)

    def outputs(self, params: Params) -> Tensor:
        """f(X_j; φ), (..., n)."""
        return self.tangent(params, params, params)[0]

    def linear_outputs(self, params: Params) -> Tensor:
        """f_lin(X_j; φ) = ⟨∇f(X_j; φ_0), φ − φ_0⟩, (..., n)."""
        return self.tangent(self.initial, params, self.initial)[1]

    def squared_feature_norms(self, params: Params) -> Tensor:
        """‖∇f(X_j; φ)‖² = (1/m) Σ_i ‖∇h(X_j; θ_i)‖², (..., n)."""
        return self.tangent_and_norm(params, params, params)[2]

    def tangent(self, at: Params, to: Params, origin: Params) -> tuple[Tensor, Tensor]:
        """f(X_j; φ) and ⟨∇f(X_j; φ), to − origin⟩ at φ = ``at``, (..., n) each."""
        return self.tangent_and_norm(at, to, origin)[:2]

    def tangent_and_norm(
        self, at: Params, to: Params, origin: Params
    ) -> tuple[Tensor, Tensor, Tensor]:
        """f, ⟨∇f, to − origin⟩ and ‖∇f(X_j; φ)‖² at φ = ``at`` in one pass, (..., n) each."""
        m = self.m
        h, dh, _, norm = self._sums(at, to, origin)
        return h / math.sqrt(m), dh / math.sqrt(m), norm / m

    def adjoint(self, weights: Tensor) -> Params:
        """Jᵀw = Σ_j w_j ∇f(X_j; φ_0), float64, block → (m, *shape); ``weights`` (n,)."""
        model, root = self.model, math.sqrt(self.m)

        def part(heads: slice) -> Params:
            base = measured(self.initial, heads, model)
            sums = model.weighted_gradient_sums(base, self.inputs, weights, self.workers)
            return {b: v / root for b, v in sums.items()}

        return in_chunks(self.initial, part)

    def _sums(self, at: Params, to: Params, origin: Params) -> Tensor:
        """(4, ..., n), as ``HeadModel.tangent_sums``, over all heads of all ranks."""
        model, inputs = self.model, self.inputs
        lead, m = at[model.output_block].shape[:-1], at[model.output_block].shape[-1]
        if not lead:
            at, to, origin = together(at), together(to), together(origin)
        total = torch.zeros(*(lead or (1,)), 4, inputs.n, dtype=torch.float64)
        for heads in partition(m, CHUNK_HEADS):
            end, start = measured(to, heads, model), measured(origin, heads, model)
            delta = {b: end[b] - start[b] for b in end}
            base = measured(at, heads, model)
            total += model.tangent_sums(base, delta, inputs, self.workers)
        sums = self.workers.ranks.sum_(total)
        return sums.movedim(1, 0) if lead else sums[0]
