"""Which way of evaluating R̂ and ∇R̂ a model gets: the fastest there is for it on its device."""

from __future__ import annotations

from torch import Tensor

from ntkbound.heads import native
from ntkbound.heads.model import HeadModel, Inputs
from ntkbound.heads.native_model import NativeModel
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.fused import FusedObjective
from ntkbound.heads.training.objective import AutogradObjective, Objective
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers


def objective_for(
    model: HeadModel, inputs: Inputs, y: Tensor, m: int, workers: Workers, runs: int = 1
) -> Objective:
    """A native kernel on a CPU with numba, else the Transformer's closed form, else autograd.

    Over ranks a kernel must do the outputs and the gradient apart: only the Transformer's can.
    """
    divisible = isinstance(model, ShallowTransformer)
    usable = inputs.X.device.type == "cpu" and native.available()
    if usable and isinstance(model, NativeModel) and (divisible or workers.ranks.count == 1):
        return FusedObjective(model, inputs, y, m, workers, runs)
    if isinstance(model, ShallowTransformer):
        return BlockedObjective(model, inputs, y, m, workers)
    return AutogradObjective(model, inputs, y, workers.ranks)
