"""Loss and gradient by a model's native kernel: the default on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.native_model import Arrays, NativeModel
from ntkbound.heads.training.objective import Objective
from ntkbound.machine.parallel import Workers

if TYPE_CHECKING:
    from ntkbound.heads.native.kernel import NativeKernel


class FusedObjective(Objective):
    """R̂ and ∇R̂ of R runs at once; tensors are shared with the kernel, never copied."""

    def __init__(
        self,
        model: NativeModel,
        inputs: Inputs,
        y: Tensor,
        m: int,  # heads held here
        workers: Workers,
        runs: int = 1,
    ) -> None:
        self._residual = np.empty((runs, len(y)), dtype=y.numpy().dtype)
        self._views: dict[tuple[int, ...], Arrays] = {}
        self._kernel = model.native_kernel(inputs, m, workers, y=y, runs=runs)
        self._y, self._ranks, self.dtype = y, workers.ranks, y.dtype

    def load(self, inputs: Inputs, y: Tensor) -> None:
        self._kernel.load(inputs.X.numpy(), inputs.q.numpy(), y.numpy())
        self._y = y

    def evaluate(self, params: Params, grads: Params) -> Tensor:
        theta, gradient = self._view(params), self._view(grads)
        if self._ranks.count == 1:
            mse = self._kernel.loss_and_gradient(theta, self._residual, gradient)
            return torch.from_numpy(mse.copy())
        # The outputs of all heads are needed before any gradient: two passes, n numbers exchanged.
        kernel = cast("NativeKernel", self._kernel)  # no other model is divided over ranks
        kernel.forward(theta, self._residual)
        residual = self._ranks.sum_(torch.from_numpy(self._residual)).sub_(self._y)
        kernel.backward(theta, self._residual, gradient)
        return residual.double().square().mean(1)

    def held_bytes(self) -> int:
        return self._kernel.held_bytes() + self._residual.nbytes

    def _view(self, params: Params) -> Arrays:
        """NumPy views of the tensors, made once per set: a descent always passes the same."""
        key = tuple(value.data_ptr() for value in params.values())
        if key not in self._views:
            c, u, w = (value.numpy() for value in params.values())
            self._views = {**({} if len(self._views) > 1 else self._views), key: (c, u, w)}
        return self._views[key]
