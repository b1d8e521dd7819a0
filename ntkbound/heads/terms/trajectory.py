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

from ntkbound.heads.model import HeadModel, Params
from ntkbound.heads.sums import outputs, tangent_and_norm
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.linearization import linearized_outputs
from ntkbound.heads.terms.summary import Statistics, statistics
from ntkbound.heads.training.projection import displacement_norms
from ntkbound.machine.parallel import Workers


@dataclass(frozen=True)
class RunTrajectory:
    """What was seen of one run: column → one value per recorded step."""

    table: dict[str, np.ndarray]

    def worst(self, term: str) -> Statistics:
        """Every statistic of a term at its own worst recorded step."""
        prefix = f"{term}."
        return {
            name.removeprefix(prefix): float(values.max())
            for name, values in self.table.items()
            if name.startswith(prefix)
        }


class Trajectory:
    """Collects one row per recorded step of R runs that train together on ``task``.

    Parameters are block → (R, m, *shape); the labels and inputs of all runs are the same.
    """

    def __init__(
        self,
        model: HeadModel,
        initial: Params,
        transported: Params | None,
        task: Task,
        held_out: Task | None,
        workers: Workers,
    ) -> None:
        self.model, self.initial, self.transported = model, initial, transported
        self.task, self.held_out, self.workers = task, held_out, workers
        self._steps: list[int] = []
        self._rows: dict[str, list[np.ndarray]] = defaultdict(list)  # (R,) each
        self._linear_target = (
            None
            if transported is None
            else linearized_outputs(model, initial, transported, task.inputs, workers)
        )

    def observe(self, step: int, params: Params, gradient_norms: np.ndarray) -> None:
        """Measures φ_s; ``gradient_norms`` (R,) are ‖∇R̂(φ_s)‖, NaN for runs that are over."""
        model, inputs, workers = self.model, self.task.inputs, self.workers
        linear = linearized_outputs(model, self.initial, params, inputs, workers)
        origin = params if self.transported is None else self.transported
        f, now, squared = tangent_and_norm(model, params, params, origin, inputs, workers)
        if self._linear_target is not None:
            # ⟨∇f(φ_0), φ_s − φ̃⟩ = f_lin(φ_s) − f_lin(φ̃)
            self._add("change_of_feature", now - (linear - self._linear_target))
        self._add("linearization", f - linear)
        m = workers.ranks.total(params[model.output_block].shape[-1])
        for block, sizes in displacement_norms(params, self.initial, lead=1).items():
            largest = workers.ranks.max_(sizes.amax(-1).double())
            self._rows[f"displacement.{block}"].append(largest.numpy() * math.sqrt(m))
        self._rows["feature_norm"].append(squared.amax(-1).sqrt().numpy())
        self._rows["loss_gradient_norm"].append(gradient_norms)
        self._rows["mse"].append((f - self.task.y).square().mean(-1).numpy())
        if self.held_out is not None:
            seen = outputs(model, params, self.held_out.inputs, workers)
            error = (seen - self.held_out.y).square().mean(-1)
            self._rows["validation_mse"].append(error.numpy())
        self._steps.append(step)

    def _add(self, term: str, errors: Tensor) -> None:
        for name, values in statistics(errors).items():
            self._rows[f"{term}.{name}"].append(values.numpy())

    def of(self, run: int) -> RunTrajectory:
        """One of the runs by itself, as far as it went."""
        columns = {name: np.array([row[run] for row in rows]) for name, rows in self._rows.items()}
        going = ~np.isnan(columns["loss_gradient_norm"])
        steps = np.array(self._steps, dtype=np.int64)
        return RunTrajectory({n: c[going] for n, c in {"step": steps, **columns}.items()})


def mean_square_error(model: HeadModel, params: Params, task: Task, workers: Workers) -> float:
    """R̂(φ) in float64."""
    return float((outputs(model, params, task.inputs, workers) - task.y).square().mean())
