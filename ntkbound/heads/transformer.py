"""The shallow multi-head Transformer of arXiv 2601.16514, §2, with its closed forms.

    s = X W q,  p = softmax(s),  a = Σ_t p_t X_t,  z = U·a,  h(X; θ) = c σ(z)

    ∂h/∂c = σ(z)     ∂h/∂U = c σ'(z) a     ∂h/∂W = c σ'(z) (M U) qᵀ
    M = Σ_t p_t (X_t − a)(X_t − a)ᵀ

With v_t = U·X_t (so z = Σ p_t v_t), M U = Σ_t p_t (v_t − z) X_t: every quantity below is a weighted
sum over tokens, and M itself is never formed. Under a query shared by all samples W acts only
through k = W q, which is then trained instead (theory §1): block ``k`` replaces ``W``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads.activations import Activation
from ntkbound.heads.model import GradientFactor, HeadModel, Inputs, Params, together
from ntkbound.heads.native_model import NativeModel, runs_natively
from ntkbound.machine.parallel import Workers

if TYPE_CHECKING:
    from ntkbound.heads.native.kernel import NativeKernel


class ShallowTransformer(NativeModel):
    """Heads θ = (c, U, W), or (c, U, k) for a fixed query."""

    def __init__(self, d: int, activation: Activation, *, fixed_query: bool = False) -> None:
        self.d = d
        self.activation = activation
        self.key = "k" if fixed_query else "W"
        self.blocks = {"c": (), "U": (d,), self.key: (d,) if fixed_query else (d, d)}

    def context_numbers(self, T: int, m: int) -> int:
        """T·d: all tokens, since a new query weighs every one of them anew.

        A fixed query weighs them once and for all: per head max_t s_t, Σ_t e^{s_t} and
        Σ_t e^{s_t} X_t suffice, m (d + 2) numbers where that is fewer.
        """
        return min(T * self.d, m * (self.d + 2)) if self.key == "k" else T * self.d

    def native_kernel(
        self, inputs: Inputs, m: int, workers: Workers, *, y: Tensor | None = None, runs: int = 1
    ) -> NativeKernel:
        from ntkbound.heads.native.kernel import NativeKernel

        X, q = inputs.X.numpy(), inputs.q.numpy()
        labels = np.zeros(len(X), X.dtype) if y is None else y.numpy()
        query = None if self.key == "k" else q
        name = self.activation.name
        return NativeKernel(
            X, query, labels, heads=m, runs=runs, activation=name, dtype=X.dtype,
            threads=workers.threads, total_heads=workers.ranks.total(m),
        )  # fmt: skip

    def seen_by_samples(
        self, params: Params, inputs: Inputs
    ) -> tuple[HeadModel, Params, dict[str, Tensor]]:
        """One sample sees W only as k = W q, and δW in a Frobenius ball as δk in ‖q‖ that ball."""
        model, seen, stretch = super().seen_by_samples(params, inputs)
        if self.key == "k":
            return model, seen, stretch
        seen["k"] = torch.einsum("mde,ne->nmd", seen.pop("W")[0], inputs.q)
        stretch["k"] = inputs.q.norm(dim=-1) * stretch.pop("W")
        return ShallowTransformer(self.d, self.activation, fixed_query=True), seen, stretch

    def weighted_gradient_sums(
        self, params: Params, inputs: Inputs, weights: Tensor, workers: Workers
    ) -> Params:
        if not runs_natively(self):
            return super().weighted_gradient_sums(params, inputs, weights, workers)
        m = params["c"].shape[0]
        kernel = cast("NativeKernel", self._shared_kernel(inputs, 1, m, workers))
        sums = {b: torch.empty_like(v, dtype=inputs.X.dtype) for b, v in params.items()}
        # The kernel's factor is 2/(n √m), m being all heads.
        scaled = weights * (inputs.n * math.sqrt(workers.ranks.total(m)) / 2)
        residual = scaled.to(inputs.X.dtype).numpy()[None]
        at, into = (self._arrays(together(p), inputs) for p in (params, sums))
        kernel.backward(at, residual, into)
        return sums

    def h(self, params: Params, inputs: Inputs) -> Tensor:
        p, v = self.attention(params, inputs)
        z = (p * v).sum(-2)
        return params["c"].unsqueeze(-2) * self.activation.value(z)

    # Arrays over tokens are (..., n, T, m), heads last: long contiguous rows for the matrix
    # products, and softmax over a strided axis, are several times faster than tokens last.

    def _token_products(self, vectors: Tensor, inputs: Inputs) -> Tensor:
        """Products x · X_t of per-head vectors (..., m, d) with every token, (..., n, T, m)."""
        if vectors.ndim > 2:  # otherwise samples fold into one matrix product
            vectors = vectors.unsqueeze(-3)
        return torch.matmul(inputs.X, vectors.mT)

    def scores(self, key: Tensor, inputs: Inputs) -> Tensor:
        """X W q, or X k, (..., n, T, m); linear in the key block."""
        if self.key == "k":
            return self._token_products(key, inputs)
        Wq = torch.matmul(inputs.q, key.flatten(-3, -2).mT)  # (..., n, m·d)
        return torch.matmul(inputs.X, Wq.reshape(*Wq.shape[:-1], -1, self.d).mT)

    def attention(self, params: Params, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """p and v, each (..., n, T, m)."""
        p = torch.softmax(self.scores(params[self.key], inputs), dim=-2)
        return p, self._token_products(params["U"], inputs)

    def jvp(self, params: Params, delta: Params, inputs: Inputs) -> tuple[Tensor, Tensor]:
        p, v = self.attention(params, inputs)
        z = (p * v).sum(-2)
        # δz = Σ_t p_t δU·X_t + Σ_t p_t (v_t − z) X_t·δW q
        moved = self._token_products(delta["U"], inputs)
        moved = moved + (v - z.unsqueeze(-2)) * self.scores(delta[self.key], inputs)
        value = self.activation.value(z)
        slope = self.activation.slope(z, value)
        c, dc = params["c"].unsqueeze(-2), delta["c"].unsqueeze(-2)
        return c * value, dc * value + c * slope * (p * moved).sum(-2)

    def _per_sample(self, params: Params, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """σ(z), c σ'(z) (n, m) and a, M U (n, d, m)."""
        p, v = self.attention(params, inputs)
        z = (p * v).sum(-2)
        value = self.activation.value(z)
        a = torch.matmul(inputs.X.mT, p)
        MU = torch.matmul(inputs.X.mT, p * (v - z.unsqueeze(-2)))
        return value, params["c"].unsqueeze(-2) * self.activation.slope(z, value), a, MU

    def gradients(self, params: Params, inputs: Inputs) -> Params:
        value, slope, a, MU = self._per_sample(params, inputs)
        key = slope.unsqueeze(-1) * MU.mT
        if self.key == "W":
            key = key.unsqueeze(-1) * inputs.q.unsqueeze(-2).unsqueeze(-2)
        return {"c": value, "U": slope.unsqueeze(-1) * a.mT, self.key: key}

    def gradient_factors(self, params: Params, inputs: Inputs) -> list[GradientFactor]:
        """σ(z), c σ'(z) a and c σ'(z) M U, the last with q: ∂h/∂W itself is never formed."""
        value, slope, a, MU = self._per_sample(params, inputs)
        slope = slope.unsqueeze(-2)
        plain = [value, (slope * a).flatten(-2)]
        key = (slope * MU).flatten(-2)
        if self.key == "k":
            return [GradientFactor(torch.cat([*plain, key], dim=-1))]
        return [GradientFactor(torch.cat(plain, dim=-1)), GradientFactor(key, inputs.q)]

    def squared_gradient_norms(self, params: Params, inputs: Inputs) -> Tensor:
        value, slope, a, MU = self._per_sample(params, inputs)
        q2 = 1.0 if self.key == "k" else inputs.q.square().sum(-1, keepdim=True)
        inner = a.square().sum(-2) + MU.square().sum(-2) * q2
        return value.square() + slope.square() * inner
