"""Loss and gradient by a model's native kernel: the default on a CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ntkbound.models.heads import Inputs, Params
from ntkbound.models.native_model import Arrays, NativeModel
from ntkbound.parallel import Workers
from ntkbound.training.objective import Objective


class FusedObjective(Objective):
    """R̂ and ∇R̂ of R runs at once; tensors are shared with the kernel, never copied."""

    def __init__(
        self,
        model: NativeModel,
        inputs: Inputs,
        y: Tensor,
        m: int,
        workers: Workers,
        runs: int = 1,
    ) -> None:
        self._residual = np.empty((runs, len(y)), dtype=y.numpy().dtype)
        self._views: dict[tuple[int, ...], Arrays] = {}
        self._kernel = model.native_kernel(inputs, m, workers, y=y, runs=runs)

    def load(self, inputs: Inputs, y: Tensor) -> None:
        self._kernel.load(inputs.X.numpy(), inputs.q.numpy(), y.numpy())

    def evaluate(self, params: Params, grads: Params) -> Tensor:
        mse = self._kernel.loss_and_gradient(self._view(params), self._residual, self._view(grads))
        return torch.from_numpy(mse.copy())

    def _view(self, params: Params) -> Arrays:
        """NumPy views of the tensors, made once per set: a descent always passes the same."""
        key = tuple(value.data_ptr() for value in params.values())
        if key not in self._views:
            c, u, w = (value.numpy() for value in params.values())
            self._views = {**({} if len(self._views) > 1 else self._views), key: (c, u, w)}
        return self._views[key]
