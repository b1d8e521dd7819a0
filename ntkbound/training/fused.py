"""Loss and gradient of the shallow Transformer by the native kernel: the default on a CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ntkbound.models.heads import Inputs, Params
from ntkbound.models.transformer import ShallowTransformer
from ntkbound.parallel import Workers
from ntkbound.training.objective import Objective


class FusedObjective(Objective):
    """R̂ and ∇R̂ of R runs at once; tensors are shared with the kernel, never copied."""

    def __init__(
        self,
        model: ShallowTransformer,
        inputs: Inputs,
        y: Tensor,
        m: int,
        workers: Workers,
        runs: int = 1,
    ) -> None:
        self._residual = np.empty((runs, len(y)), dtype=y.numpy().dtype)
        self._kernel = model.native_kernel(inputs, m, workers, y=y, runs=runs)

    def load(self, inputs: Inputs, y: Tensor) -> None:
        self._kernel.load(inputs.X.numpy(), inputs.q.numpy(), y.numpy())

    def evaluate(self, params: Params, grads: Params) -> Tensor:
        c, u, w = (value.numpy() for value in params.values())
        dc, du, dw = (value.numpy() for value in grads.values())
        mse = self._kernel.loss_and_gradient((c, u, w), self._residual, (dc, du, dw))
        return torch.from_numpy(mse.copy())
