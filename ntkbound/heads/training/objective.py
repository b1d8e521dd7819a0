"""R̂(φ) and ∇R̂(φ): the one seam between the descent loop and the ways to evaluate them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs, Params
from ntkbound.machine.parallel import partition
from ntkbound.machine.ranks import ALONE, Ranks

AUTOGRAD_ELEMENTS, GPU_AUTOGRAD_ELEMENTS = 1 << 18, 1 << 24


class Objective(ABC):
    """The empirical risk R̂(φ) = (1/n) Σ_j (f(X_j; φ) − y_j)² of R runs on shared data.

    Parameters are block → (R, m, *shape), contiguous, in ``dtype``, the precision of training.
    """

    dtype: torch.dtype

    @abstractmethod
    def evaluate(self, params: Params, grads: Params) -> Tensor:
        """R̂ per run, float64 (R,), where the samples are; ∇R̂ is written into ``grads``."""

    @abstractmethod
    def load(self, inputs: Inputs, y: Tensor) -> None:
        """Replaces the data by other samples of the same number (a mini-batch)."""

    def held_bytes(self) -> int | None:
        """Memory of the samples and of all it works on, beside parameters and gradients.

        None where that is a library's business, as autograd's graph is.
        """
        return None


class AutogradObjective(Objective):
    """Plain autograd over blocks of samples: any head model, and the oracle of the closed forms."""

    def __init__(self, model: HeadModel, inputs: Inputs, y: Tensor, ranks: Ranks = ALONE) -> None:
        self.model, self.inputs, self.y, self.ranks = model, inputs, y, ranks
        self.dtype = y.dtype

    def load(self, inputs: Inputs, y: Tensor) -> None:
        self.inputs, self.y = inputs, y

    def evaluate(self, params: Params, grads: Params) -> Tensor:
        leaves = {b: v.detach().requires_grad_() for b, v in params.items()}
        runs, m = params[self.model.output_block].shape
        n, root = self.inputs.n, self.ranks.total(m) ** 0.5
        device = self.y.device
        elements = AUTOGRAD_ELEMENTS if device.type == "cpu" else GPU_AUTOGRAD_ELEMENTS
        loss = torch.zeros(runs, dtype=torch.float64, device=device)
        for g in grads.values():
            g.zero_()
        for rows in partition(n, max(1, elements // (m * self.inputs.T))):
            own = self.model.h(leaves, self.inputs.rows(rows)).sum(-1) / root
            f = self.ranks.sum_(own.detach().clone())
            residual = f - self.y[rows]
            loss += residual.double().square().sum(-1)
            partial = torch.autograd.grad(own, list(leaves.values()), residual * (2 / n))
            for g, more in zip(grads.values(), partial, strict=True):
                g += more
        return loss / n
