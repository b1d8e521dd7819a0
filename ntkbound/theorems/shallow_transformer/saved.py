"""What a record kept of its run, as tensors: φ_0, φ_τ, the best iterate, φ̃, and the samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ntkbound.core.record import Record
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, Inputs, Params
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import Config, config_of
from ntkbound.theorems.shallow_transformer.start import build_model


@dataclass(frozen=True)
class Saved:
    """``lin``: the model at φ_0 on all samples of the record, ``y`` their labels."""

    config: Config
    lin: Linearized
    y: Tensor  # (n,)
    final: Params
    best: Params
    transported: Params | None

    def by_autograd(self) -> Saved:
        """The same with every closed form of the model hidden."""
        return replace(self, lin=replace(self.lin, model=AutogradView(self.lin.model)))


def saved(record: Record, workers: Workers) -> Saved:
    """Raises InputError unless the record is of this theorem, with parameters and inputs."""
    config = config_of(record)
    record.require("X", "q", "y", "initial.c", "final.c", "best.c")
    tensors = {name: torch.from_numpy(a.copy()) for name, a in record.arrays.items()}

    def params(group: str) -> Params:
        prefix = f"{group}."
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    inputs = Inputs(tensors["X"], tensors["q"])
    lin = Linearized(build_model(config), params("initial"), inputs, workers)
    moved = params("transported") or None
    return Saved(config, lin, tensors["y"], params("final"), params("best"), moved)
