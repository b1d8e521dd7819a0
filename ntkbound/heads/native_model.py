"""Head models that have a native kernel: what the kernel gives, and how measurement uses it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads import native
from ntkbound.heads.activations import Activation
from ntkbound.heads.model import HeadModel, Inputs, Params
from ntkbound.machine.parallel import Workers

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = tuple[Array, Array, Array]  # the three parameter blocks, in the model's order


class Kernel(Protocol):
    """Loss, gradient and tangents of R runs on shared samples, compiled for this machine."""

    def load(self, x: Array, q: Array | None, y: Array) -> None: ...

    def loss_and_gradient(self, params: Arrays, residual_out: Array, grads: Arrays) -> Array: ...

    def tangent_sums(self, params: Arrays, direction: Arrays, out: Array) -> None: ...

    def held_bytes(self) -> int: ...


class NativeModel(HeadModel):
    """A head model of three blocks whose sums over heads run in native code where numba is."""

    activation: Activation

    @abstractmethod
    def native_kernel(
        self, inputs: Inputs, m: int, workers: Workers, *, y: Tensor | None = None, runs: int = 1
    ) -> Kernel:
        """The native kernel for these samples and ``m`` heads, in the dtype of the samples."""

    def tangent_sums(
        self, params: Params, delta: Params, inputs: Inputs, workers: Workers
    ) -> Tensor:
        if not runs_natively(self):
            return super().tangent_sums(params, delta, inputs, workers)
        runs, m = params[self.output_block].shape
        kernel = self._shared_kernel(inputs, runs, m, workers)
        out = np.empty((runs, 4, inputs.n))
        kernel.tangent_sums(self._arrays(params, inputs), self._arrays(delta, inputs), out)
        return torch.from_numpy(out)

    def _shared_kernel(self, inputs: Inputs, runs: int, m: int, workers: Workers) -> Kernel:
        """One kernel per samples and number of heads: its layout of the samples is kept."""
        return inputs.derived(
            ("tangents", type(self), tuple(self.blocks), self.activation.name, runs, m),
            lambda: self.native_kernel(inputs, m, workers, runs=runs),
        )

    def _arrays(self, params: Params, inputs: Inputs) -> Arrays:
        """The blocks as the kernel wants them: in its dtype, contiguous."""
        blocks = (params[b].to(inputs.X.dtype).contiguous() for b in self.blocks)
        c, u, w = (value.numpy() for value in blocks)
        return c, u, w


def runs_natively(model: HeadModel) -> TypeGuard[NativeModel]:
    """Whether native code stands in for torch: the one place where that is decided.

    It does for a model that has a kernel, an activation that the kernels know, and with numba.
    """
    return isinstance(model, NativeModel) and model.activation.native and native.available()


def native_notes(model: HeadModel) -> tuple[str, ...]:
    """What a run is to be told, once, of a model whose activation keeps it from its kernel."""
    if not isinstance(model, NativeModel) or model.activation.native or not native.available():
        return ()
    return (f"activation {model.activation.name} has no native code: torch runs instead, slower",)
