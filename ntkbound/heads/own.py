"""A head of the user's own as a head model: of ``f`` per sample and head, or of a batched ``h``.

Heads, samples and leading axes are mapped by ``torch.func.vmap``; every derivative is plain
autograd's, which, unlike forward mode, is safe in several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import HeadModel, Inputs, Params, fresh_heads
from ntkbound.heads.written import OUTPUT, WrittenHead

CHECKED_HEADS, CHECKED_SAMPLES = 4, 3
TOLERANCE = 1e-9  # of linearity in c, in float64

Call = Callable[[Params, Tensor, Tensor], Tensor]


class OwnHead(HeadModel):
    """h(X; θ) = c f(θ, X, q), or what the class writes as ``h``; blocks of any number and shape."""

    def __init__(self, written: WrittenHead, d: int) -> None:
        self.written, self.d = written, d
        self.blocks = written.blocks(d)

    def context_numbers(self, T: int, m: int) -> int:
        """As the class says, else T·d: all tokens."""
        if self.written.has("context_numbers"):
            return int(self.written.call("context_numbers", T, m))
        return T * self.d

    def draw(self, block: str, rng: np.random.Generator, heads: int) -> np.ndarray:
        added = block == OUTPUT and not self.written.batched
        if added or not self.written.has("draw"):
            return super().draw(block, rng, heads)
        drawn = self.written.call("draw", block, rng, heads)
        if drawn is None:
            return super().draw(block, rng, heads)
        values, wanted = np.asarray(drawn), (heads, *self.blocks[block])
        if values.shape != wanted or values.dtype.kind not in "iuf":
            told = f"block {block}: {values.dtype} {values.shape}, not numbers of shape {wanted}"
            raise self.written.wrong("draw", told)
        if not np.isfinite(values).all():
            raise self.written.wrong("draw", f"block {block}: not every number is finite")
        return values.astype(np.float64)

    def h(self, params: Params, inputs: Inputs) -> Tensor:
        if self.written.batched:
            return self._mapped(self._all, params, inputs)
        inner = {b: v for b, v in params.items() if b != OUTPUT}
        return params[OUTPUT].unsqueeze(-2) * self._mapped(self._each, inner, inputs)

    def _mapped(self, call: Call, params: Params, inputs: Inputs) -> Tensor:
        """``call`` of parameters and samples without leading axes, over all of them.

        One vmap per axis, the innermost first; what has no such axis is not copied.
        """
        heads = next(v.shape[self._lead(b, v)] for b, v in params.items())
        own = {b: v.shape[: self._lead(b, v)] for b, v in params.items()}
        samples = inputs.X.shape[:-3]
        sizes = np.broadcast_shapes(samples, *own.values())
        for k in reversed(range(len(sizes))):
            if sizes[k] == 1:
                continue
            place = k - len(sizes)
            dims = {b: _there(lead, place) for b, lead in own.items()}
            call = torch.func.vmap(call, in_dims=(dims, *[_there(samples, place)] * 2))
        theta = {b: _tight(v, self._lead(b, v)) for b, v in params.items()}
        value = call(theta, _tight(inputs.X, len(samples)), _tight(inputs.q, len(samples)))
        return value.reshape(*sizes, inputs.n, heads)

    def _lead(self, block: str, value: Tensor) -> int:
        """How many axes there are before that of the heads."""
        return value.ndim - len(self.blocks[block]) - 1

    def _each(self, theta: Params, X: Tensor, q: Tensor) -> Tensor:
        """f of every head at every sample, (n, m)."""
        per_head = torch.func.vmap(self._one, in_dims=(0, None, None))
        found: Tensor = torch.func.vmap(per_head, in_dims=(None, 0, 0))(theta, X, q)
        return found

    def _one(self, theta: Params, X: Tensor, q: Tensor) -> Tensor:
        return self._checked(self.written.call("f", theta, X, q), X, ())

    def _all(self, theta: Params, X: Tensor, q: Tensor) -> Tensor:
        value = self.written.call("h", theta, Inputs(X, q))
        return self._checked(value, X, (X.shape[0], theta[OUTPUT].shape[0]))

    def _checked(self, value: Any, X: Tensor, wanted: tuple[int, ...]) -> Tensor:
        what = f"a tensor of shape {wanted} and dtype {_name(X.dtype)}"
        if not isinstance(value, Tensor):
            raise self.written.wrong(self.written.written, f"a {type(value).__name__}, not {what}")
        if tuple(value.shape) != wanted or value.dtype != X.dtype:
            told = f"shape {tuple(value.shape)}, dtype {_name(value.dtype)}, not {what}"
            raise self.written.wrong(self.written.written, told)
        return value

    def jvp(self, params: Params, delta: Params, inputs: Inputs) -> tuple[Tensor, Tensor]:
        value, grads = self._per_sample(params, inputs)
        return value, self._along(grads, delta)

    def gradients(self, params: Params, inputs: Inputs) -> Params:
        return self._per_sample(params, inputs)[1]

    def tangents(
        self, params: Params, delta: Params, inputs: Inputs
    ) -> tuple[Tensor, Tensor, Tensor]:
        value, grads = self._per_sample(params, inputs)
        return value, self._along(grads, delta), self._along(grads, grads, spread=True)

    def _per_sample(self, params: Params, inputs: Inputs) -> tuple[Tensor, Params]:
        """h (..., n, m) and ∂h/∂block (..., n, m, *shape), differentiable where ``params`` are."""
        graph = torch.is_grad_enabled() and any(v.requires_grad for v in params.values())
        own_lead = [v.shape[: self._lead(b, v)] for b, v in params.items()]
        lead = np.broadcast_shapes(inputs.X.shape[:-3], *own_lead)
        leaves = {}
        for block, value in params.items():
            own = value.shape[self._lead(block, value) :]
            spread = value.unsqueeze(-len(own) - 1).expand(*lead, inputs.n, *own)
            kept = graph and spread.requires_grad
            leaves[block] = spread if kept else spread.detach().requires_grad_()
        single = Inputs(inputs.X.unsqueeze(-3), inputs.q.unsqueeze(-2))
        with torch.enable_grad():
            value = self.h(leaves, single).squeeze(-2)
            grads = torch.autograd.grad(value.sum(), list(leaves.values()), create_graph=graph)
        found = dict(zip(leaves, grads, strict=True))
        return (value if graph else value.detach()), found

    def _along(self, grads: Params, delta: Params, *, spread: bool = False) -> Tensor:
        """Σ over blocks of ⟨∂h/∂block, Δ⟩, (..., n, m); Δ is of every sample if ``spread``."""

        def of(block: str) -> Tensor:
            shape, toward = self.blocks[block], delta[block]
            product = grads[block] * (toward if spread else toward.unsqueeze(-len(shape) - 2))
            return product.flatten(-len(shape)).sum(-1) if shape else product

        first, *others = map(of, self.blocks)
        return sum(others, start=first)

    def check(self, T: int, dtype: torch.dtype) -> None:
        """Whether it is what the theory asks for, tried on a few heads and samples.

        Raises UserCodeError unless h is finite, of the right shape in float64 and ``dtype``, linear
        in c, and twice differentiable by autograd in blocks that it all depends on.
        """
        method = self.written.written
        for precision in (dtype, torch.float64):
            params = fresh_heads(self, 0, 0, CHECKED_HEADS, precision, "check")
            rng = streams.generator(0, "check/inputs")
            X = torch.from_numpy(rng.standard_normal((CHECKED_SAMPLES, T, self.d))).to(precision)
            X /= X.norm(dim=-1, keepdim=True)
            inputs = Inputs(X, X[:, -1])
            value = self.h(params, inputs)
            if not value.isfinite().all():
                raise self.written.wrong(method, "not finite at initial parameters")
        if self.written.batched:
            self._check_form(params, inputs, value)
        self._check_gradients(params, inputs)

    def _check_form(self, params: Params, inputs: Inputs, value: Tensor) -> None:
        """Σ_i h(X_j; θ_i) with h linear in c: then symmetric initialisation gives f(·; φ_0) = 0."""
        factors = torch.arange(CHECKED_HEADS, dtype=value.dtype)
        scaled = self.h({**params, OUTPUT: factors * params[OUTPUT]}, inputs)
        if not torch.allclose(scaled, factors * value, rtol=TOLERANCE, atol=TOLERANCE):
            raise self.written.wrong("h", f"it must be linear in the output weight {OUTPUT}")
        alone = self.h({b: v[:1] for b, v in params.items()}, inputs.rows(slice(0, 1)))
        if not torch.allclose(alone, value[:1, :1], rtol=TOLERANCE, atol=TOLERANCE):
            told = "a head at a sample must not depend on other heads or samples"
            raise self.written.wrong("h", told)

    def _check_gradients(self, params: Params, inputs: Inputs) -> None:
        method = self.written.written
        leaves = {b: v.clone().requires_grad_() for b, v in params.items()}
        value = self.h(leaves, inputs).sum()
        try:
            grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
            unused = [b for b, g in zip(leaves, grads, strict=True) if g is None]
            if unused:
                told = f"it does not depend on block {', '.join(unused)}, as autograd sees it"
                raise self.written.wrong(method, told)
            slopes = self._per_sample(leaves, inputs)[1].values()
            torch.stack([g.square().sum() for g in slopes]).sum().backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            told = f"autograd cannot differentiate it twice: {error}"
            raise self.written.wrong(method, " ".join(told.split())) from error
        if not all(g.isfinite().all() for g in grads):
            raise self.written.wrong(method, "its gradient is not finite at initial parameters")

    def check_at(self, lin: Linearized) -> None:
        """Raises UserCodeError unless f is finite at φ_0 on all samples."""
        at = lin.outputs(lin.initial)
        if not at.isfinite().all():
            where = int((~at.isfinite()).nonzero()[0])
            told = f"not finite at the initial parameters and sample {where}"
            raise self.written.wrong(self.written.written, told)


def _there(lead: torch.Size, place: int) -> int | None:
    """Where vmap finds the leading axis ``place`` (from the right), None where there is none."""
    return 0 if len(lead) >= -place and lead[place] > 1 else None


def _tight(value: Tensor, lead: int) -> Tensor:
    """Without leading axes of size 1."""
    return value.reshape(*(s for s in value.shape[:lead] if s > 1), *value.shape[lead:])


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
