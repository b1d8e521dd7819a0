"""The error terms along the trajectory, measured in float64 while the descent runs.

With y_j = f̃(X_j) and r_j = f(X_j; φ_s) − y_j the terms obey, to rounding,

    ⟨∇f(X_j; φ_s), φ_s − φ̃⟩ = r_j − lin_j(s) − app_j + cof_j(s).
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from ntkbound.models.heads import HeadModel, Params
from ntkbound.models.sums import outputs, tangent_and_norm
from ntkbound.parallel import Workers
from ntkbound.tasks.task import Task
from ntkbound.terms.linearization import linearized_outputs
from ntkbound.terms.summary import Statistics, larger, summarise
from ntkbound.training.projection import displacement_norms


class Trajectory:
    """Collects one row per recorded step of one run and keeps the worst of every statistic."""

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
        self.linearization: Statistics | None = None
        self.change_of_feature: Statistics | None = None
        self.feature_norm_max = 0.0
        self.displacement_max: dict[str, float] = dict.fromkeys(initial, 0.0)
        self._rows: dict[str, list[float]] = defaultdict(list)
        self._linear_target = (
            None
            if transported is None
            else linearized_outputs(model, initial, transported, task.inputs, workers)
        )

    def observe(self, step: int, params: Params, gradient_norm: float) -> None:
        """Measures φ_s, parameters block → (m, *shape); ``gradient_norm`` is ‖∇R̂(φ_s)‖."""
        model, inputs, workers = self.model, self.task.inputs, self.workers
        linear = linearized_outputs(model, self.initial, params, inputs, workers)
        origin = params if self.transported is None else self.transported
        f, now, squared = tangent_and_norm(model, params, params, origin, inputs, workers)
        if self._linear_target is not None:
            # ⟨∇f(φ_0), φ_s − φ̃⟩ = f_lin(φ_s) − f_lin(φ̃)
            change = summarise(now - (linear - self._linear_target))
            self.change_of_feature = larger(self.change_of_feature, change)
            self._add("change_of_feature", change)
        error = summarise(f - linear)
        self.linearization = larger(self.linearization, error)
        self._add("linearization", error)
        feature_norm = float(squared.max().sqrt())
        self.feature_norm_max = max(self.feature_norm_max, feature_norm)
        m = workers.ranks.total(params[model.output_block].shape[0])
        for block, size in displacement_norms(params, self.initial, lead=0).items():
            scaled = float(workers.ranks.max_(size.double().max())) * math.sqrt(m)
            self.displacement_max[block] = max(self.displacement_max[block], scaled)
            self._rows[f"displacement.{block}"].append(scaled)
        self._rows["feature_norm"].append(feature_norm)
        self._rows["loss_gradient_norm"].append(gradient_norm)
        self._rows["step"].append(step)
        self._rows["mse"].append(float((f - self.task.y).square().mean()))
        if self.held_out is not None:
            seen = outputs(model, params, self.held_out.inputs, workers)
            self._rows["validation_mse"].append(float((seen - self.held_out.y).square().mean()))

    def _add(self, name: str, values: Statistics) -> None:
        for statistic, value in values.items():
            self._rows[f"{name}.{statistic}"].append(value)

    @property
    def table(self) -> dict[str, np.ndarray]:
        """Column → one value per recorded step."""
        return {
            name: np.array(values, dtype=np.int64 if name == "step" else np.float64)
            for name, values in self._rows.items()
        }


def mean_square_error(model: HeadModel, params: Params, task: Task, workers: Workers) -> float:
    """R̂(φ) in float64."""
    return float((outputs(model, params, task.inputs, workers) - task.y).square().mean())
