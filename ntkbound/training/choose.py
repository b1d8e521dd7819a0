"""Which way of evaluating R̂ and ∇R̂ a model gets: the fastest there is for it on its device."""

from __future__ import annotations

from torch import Tensor

from ntkbound.models import native
from ntkbound.models.heads import HeadModel, Inputs
from ntkbound.models.native_model import NativeModel
from ntkbound.models.transformer import ShallowTransformer
from ntkbound.parallel import Workers
from ntkbound.training.blocked import BlockedObjective
from ntkbound.training.fused import FusedObjective
from ntkbound.training.objective import AutogradObjective, Objective


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
