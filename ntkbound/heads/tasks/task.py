"""What a task hands over: samples, labels, and what is known about the target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ntkbound.heads.model import Inputs
from ntkbound.heads.transport import TransportMap


@dataclass(frozen=True)
class Task:
    """n samples in float64; ``transport`` is None where the target's class is unknown."""

    inputs: Inputs  # X (n, T, d), q (n, d)
    y: Tensor  # (n,)
    token_norm: float  # B_x: every token satisfies ‖X_t‖ ≤ B_x
    query_norm: float  # B_q
    transport: TransportMap | None = None
    standard_error: Tensor | None = None  # (n,) of the labels around the infinite-width f̃
    noise_floor: float | None = None  # least expected squared error of any prediction of y
    notes: tuple[str, ...] = ()

    def rows(self, rows: slice) -> Task:
        error = self.standard_error
        return replace(
            self,
            inputs=self.inputs.rows(rows),
            y=self.y[rows],
            standard_error=None if error is None else error[rows],
        )


def query(kind: str, X: Tensor, fixed: Tensor) -> Tensor:
    """q (n, d) of every sample: its ``last`` token, its token ``mean``, or the shared vector
    ``fixed`` (d,).

    For ``none``, of a model that asks nothing, the last token stands in.
    """
    if kind in ("last", "none"):
        return X[:, -1]
    if kind == "mean":
        return X.mean(1)
    return fixed.expand(X.shape[0], -1)


def unit_vector(vector: Tensor) -> Tensor:
    """v/‖v‖, nudged so that its computed norm never exceeds 1."""
    norm: Tensor = vector.norm() * (1 + 4 * torch.finfo(vector.dtype).eps)
    return vector / norm
