"""Which way of evaluating R̂ and ∇R̂ a model gets: the fastest there is for it on its device."""

from __future__ import annotations

from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs
from ntkbound.heads.native_model import runs_natively
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.fused import FusedObjective
from ntkbound.heads.training.objective import AutogradObjective, Objective
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers


def objective_for(
    model: HeadModel, inputs: Inputs, y: Tensor, m: int, workers: Workers, runs: int = 1
) -> Objective:
    """A native kernel on a CPU where there is one, else the Transformer's closed form or autograd.

    Over ranks a kernel must do the outputs and the gradient apart: only the Transformer's can.
    """
    usable = isinstance(model, ShallowTransformer) or workers.ranks.count == 1
    if usable and inputs.X.device.type == "cpu" and runs_natively(model):
        return FusedObjective(model, inputs, y, m, workers, runs)
    if isinstance(model, ShallowTransformer):
        return BlockedObjective(model, inputs, y, m, workers)
    return AutogradObjective(model, inputs, y, workers.ranks)
