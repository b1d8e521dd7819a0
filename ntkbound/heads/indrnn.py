"""The independently recurrent network (IndRNN), the baseline of arXiv 2601.16514.

    h_t = σ(w h_{t−1} + U·x_t),  h_0 = 0,  h(X; θ) = c h_T

    ∂h/∂c = h_T     ∂h/∂U = c Σ_t e_t x_t     ∂h/∂w = c Σ_t e_t h_{t−1}
    e_T = σ'(z_T),  e_t = w e_{t+1} σ'(z_t)

e_t = ∂h_T/∂(U·x_t) is backpropagation through time. Its factor (w σ')^{T−t} is why the size of the
gradient may grow exponentially in T (docs/recurrent.md), where the Transformer's cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads.activations import Activation
from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.native_model import NativeModel
from ntkbound.machine.parallel import Workers

if TYPE_CHECKING:
    from ntkbound.heads.native.recurrent import RecurrentKernel


class IndRNN(NativeModel):
    """Heads θ = (c, U, w) with one scalar recurrent weight each, drawn as ±ω with a fair sign."""

    def __init__(self, d: int, activation: Activation, omega: float) -> None:
        self.d, self.activation, self.omega = d, activation, omega
        self.blocks = {"c": (), "U": (d,), "w": ()}

    def draw(self, block: str, rng: np.random.Generator, heads: int) -> np.ndarray:
        if block == "w":
            return self.omega * (rng.integers(0, 2, size=heads) * 2.0 - 1.0)
        return super().draw(block, rng, heads)

    def context_numbers(self, T: int, m: int) -> int:
        """m, one state h_t per head, however long the context."""
        return m

    def native_kernel(
        self, inputs: Inputs, m: int, workers: Workers, *, y: Tensor | None = None, runs: int = 1
    ) -> RecurrentKernel:
        from ntkbound.heads.native.recurrent import RecurrentKernel

        X = inputs.X.numpy()
        labels = np.zeros(len(X), X.dtype) if y is None else y.numpy()
        return RecurrentKernel(
            X, labels, heads=m, runs=runs, activation=self.activation.name, threads=workers.threads
        )

    def _drive(self, vectors: Tensor, inputs: Inputs) -> list[Tensor]:
        """U·x_t of per-head vectors (..., m, d), T tensors (..., n, m)."""
        if vectors.ndim > 2:
            vectors = vectors.unsqueeze(-3)
        return list(torch.matmul(inputs.X, vectors.mT).unbind(-2))

    def h(self, params: Params, inputs: Inputs) -> Tensor:
        w = params["w"].unsqueeze(-2)
        drive = self._drive(params["U"], inputs)
        state = torch.zeros_like(drive[0])
        for driven in drive:
            state = self.activation.value(w * state + driven)
        return params["c"].unsqueeze(-2) * state

    def jvp(self, params: Params, delta: Params, inputs: Inputs) -> tuple[Tensor, Tensor]:
        w, dw = params["w"].unsqueeze(-2), delta["w"].unsqueeze(-2)
        drive = self._drive(params["U"], inputs)
        state = moved = torch.zeros_like(drive[0])
        for driven, shift in zip(drive, self._drive(delta["U"], inputs), strict=True):
            z = w * state + driven
            change = dw * state + w * moved + shift
            state = self.activation.value(z)
            moved = self.activation.slope(z, state) * change
        c, dc = params["c"].unsqueeze(-2), delta["c"].unsqueeze(-2)
        return c * state, dc * state + c * moved

    def _per_sample(self, params: Params, inputs: Inputs) -> Params:
        """h_T (n, m), ∂h_T/∂U (n, m, d) and ∂h_T/∂w (n, m), by backpropagation through time."""
        w = params["w"]
        drive = self._drive(params["U"], inputs)
        states, slopes = [torch.zeros_like(drive[0])], []
        for driven in drive:
            z = w * states[-1] + driven
            states.append(self.activation.value(z))
            slopes.append(self.activation.slope(z, states[-1]))
        carried, by_w, by_drive = torch.ones_like(drive[0]), torch.zeros_like(drive[0]), []
        for before, slope in zip(reversed(states[:-1]), reversed(slopes), strict=True):
            e = carried * slope
            by_w = by_w + e * before
            by_drive.append(e)
            carried = w * e
        by_U = torch.matmul(torch.stack(by_drive[::-1], -1), inputs.X)
        return {"c": states[-1], "U": by_U, "w": by_w}

    def gradients(self, params: Params, inputs: Inputs) -> Params:
        grads, c = self._per_sample(params, inputs), params["c"]
        return {"c": grads["c"], "U": c.unsqueeze(-1) * grads["U"], "w": c * grads["w"]}

    def squared_gradient_norms(self, params: Params, inputs: Inputs) -> Tensor:
        grads = self._per_sample(params, inputs)
        inner = grads["U"].square().sum(-1) + grads["w"].square()
        return grads["c"].square() + params["c"].square() * inner
