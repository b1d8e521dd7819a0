"""The error terms along the trajectory, measured in float64 while the descent runs.

With y_j = f̃(X_j) and r_j = f(X_j; φ_s) − y_j the terms obey, to rounding,

    ⟨∇f(X_j; φ_s), φ_s − φ̃⟩ = r_j − lin_j(s) − app_j + cof_j(s).
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.summary import Statistics, statistics
from ntkbound.heads.training.projection import displacement_norms

# Columns of a trace, term/probe/statistic; those of the error terms have the probe ``trajectory``.
MSE, VALIDATION_MSE = "optimization/training/mse", "optimization/training/validation_mse"
FEATURE_NORM = "gradient/training/feature_norm"
LOSS_GRADIENT = "gradient/training/loss_gradient_norm"


@dataclass(frozen=True)
class RunTrajectory:
    """What was seen of one run: column → one value per recorded step."""

    table: dict[str, np.ndarray]

    def worst(self, term: str) -> Statistics:
        """Every statistic of a term at its own worst recorded step."""
        prefix = f"{term}/trajectory/"
        return {
            name.removeprefix(prefix): float(values.max())
            for name, values in self.table.items()
            if name.startswith(prefix)
        }


class Trajectory:
    """Collects one row per recorded step of R runs that train together on labels ``y`` (n,).

    Parameters, φ_0 and φ̃ among them, are block → (R, m, *shape); the labels and inputs of all runs
    are the same. Without φ̃ there is no change of feature, without ``held_out`` no validation.
    """

    def __init__(
        self, lin: Linearized, y: Tensor, transported: Params | None, held_out: Task | None
    ) -> None:
        self.lin, self.y, self.transported, self.held_out = lin, y, transported, held_out
        self._steps: list[int] = []
        self._rows: dict[str, list[np.ndarray]] = defaultdict(list)  # (R,) each
        self._linear_target = None if transported is None else lin.linear_outputs(transported)

    def observe(self, step: int, params: Params, gradient_norms: np.ndarray) -> None:
        """Measures φ_s; ``gradient_norms`` (R,) are ‖∇R̂(φ_s)‖, NaN for runs that are over."""
        lin, ranks = self.lin, self.lin.workers.ranks
        linear = lin.linear_outputs(params)
        origin = params if self.transported is None else self.transported
        f, now, squared = lin.tangent_and_norm(params, params, origin)
        if self._linear_target is not None:
            # ⟨∇f(φ_0), φ_s − φ̃⟩ = f_lin(φ_s) − f_lin(φ̃)
            self._add("change_of_feature", now - (linear - self._linear_target))
        self._add("linearization", f - linear)
        root = math.sqrt(lin.m)
        for block, sizes in displacement_norms(params, lin.initial, lead=1).items():
            largest = ranks.max_(sizes.amax(-1).double())
            self._rows[f"displacement/trajectory/{block}"].append(largest.numpy() * root)
        self._rows[FEATURE_NORM].append(squared.amax(-1).sqrt().numpy())
        self._rows[LOSS_GRADIENT].append(gradient_norms)
        self._rows[MSE].append((f - self.y).square().mean(-1).numpy())
        if self.held_out is not None:
            seen = lin.on(self.held_out.inputs).outputs(params)
            error = (seen - self.held_out.y).square().mean(-1)
            self._rows[VALIDATION_MSE].append(error.numpy())
        self._steps.append(step)

    def _add(self, term: str, errors: Tensor) -> None:
        for name, values in statistics(errors).items():
            self._rows[f"{term}/trajectory/{name}"].append(values.numpy())

    def of(self, run: int) -> RunTrajectory:
        """One of the runs by itself, as far as it went."""
        columns = {name: np.array([row[run] for row in rows]) for name, rows in self._rows.items()}
        going = ~np.isnan(columns[LOSS_GRADIENT])
        steps = np.array(self._steps, dtype=np.int64)
        return RunTrajectory({n: c[going] for n, c in {"step": steps, **columns}.items()})


def mean_square_error(lin: Linearized, params: Params, y: Tensor) -> float:
    """R̂(φ) = (1/n) Σ_j (f(X_j; φ) − y_j)², in float64."""
    return float((lin.outputs(params) - y).square().mean())
