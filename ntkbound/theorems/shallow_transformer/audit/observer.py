"""Both sides of every step of the proof, measured in float64 along a projected descent.

At an audited step s let y = φ_s − η∇R̂(φ_s) and p = Π(y) be the exact (float64) step from the
iterate φ_s. The next iterate φ_{s+1} was rounded to the training precision, so with V = ‖· − φ̃‖²

    V_s − V_{s+1} = [V_s − ‖y − φ̃‖²] + [‖y − φ̃‖² − ‖p − φ̃‖²] + [‖p − φ̃‖² − V_{s+1}],

a descent, a projection and a rounding part. Every part is summed as (a − b)·(a + b − 2φ̃), so that
nothing is lost when two distances nearly agree. ∇R̂ comes from autograd through ``h`` and the error
terms from their own definitions: a fault in a closed form, a step or a term shows.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads.blocks import sum_heads
from ntkbound.heads.model import HeadModel, Inputs, Params
from ntkbound.heads.sums import measured, tangent_and_norm
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms import approximation, change_of_feature, linearization
from ntkbound.heads.training import projection
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.machine.parallel import Workers

Columns = dict[str, np.ndarray]  # quantity → one float64 per audited step


class ProofObserver:
    """Collects the columns of one run; call ``observe`` at every audited step and at the next one.

    Columns always present: ``step``, ``mse`` R̂, ``squared_gradient`` ‖∇R̂‖², ``squared_feature``
    max_j ‖∇f(X_j)‖², ``linearization_rms|max|heads``, ``step_error`` ‖φ_{s+1} − p‖ and
    ``step_allowed``, what rounding allows it to be. With φ̃ also: ``descent``,
    ``projection`` and ``rounding`` (above), ``inner``
    ⟨∇R̂, φ_s − φ̃⟩, ``identity`` (2/n) Σ r_j(r_j + e_j), ``correlation`` −(1/n) Σ r_j e_j,
    ``error_rms`` ‖e‖_rms and ``change_of_feature_rms|max|heads``. ``heads`` is the triangle
    inequality across heads, max_j m^{-1/2} Σ_i |error of head i|.
    """

    def __init__(
        self,
        model: HeadModel,
        initial: Params,
        transported: Params | None,
        task: Task,
        radii: dict[str, float],
        eta: float,
        workers: Workers,
    ) -> None:
        self.model, self.task, self.workers = model, task, workers
        self.initial, self.transported = initial, transported
        self.eta = eta
        self.radii = {b: torch.tensor([r], dtype=torch.float64) for b, r in radii.items()}
        self.centre = {b: v.double().unsqueeze(0) for b, v in initial.items()}
        self.objective = AutogradObjective(model, task.inputs, task.y)
        self.app: Tensor | None = None
        if transported is not None:
            self.app = approximation.approximation_errors(
                model, initial, transported, task.inputs, task.y, workers
            )
        self._columns: dict[str, list[float]] = defaultdict(list)
        self._expected: tuple[Params, float] | None = None  # p, and the rounding that is allowed

    def observe(self, step: int, params: Params, *, audited: bool) -> None:
        """φ_s, block → (m, *shape): completes the step before it and, if audited, opens its own."""
        if self._expected is not None:
            self._arrive(params)
        if audited:
            self._columns["step"].append(step)
            self._measure(params)
            self._leave(params)

    @property
    def columns(self) -> Columns:
        return {name: np.array(values) for name, values in self._columns.items()}

    def squared_distance(self, params: Params) -> float:
        """‖φ − φ̃‖²."""
        assert self.transported is not None
        gap = {b: v.double() - self.transported[b] for b, v in params.items()}
        return _dot(gap, gap)

    def _leave(self, params: Params) -> None:
        """The exact step from φ_s: its gradient, and the parts of the decrease of V."""
        at = {b: v.double().unsqueeze(0) for b, v in params.items()}
        grads = {b: torch.empty_like(v) for b, v in at.items()}
        self.objective.evaluate(at, grads)
        moved = {b: v - self.eta * grads[b] for b, v in at.items()}
        landed = {b: v.clone() for b, v in moved.items()}
        projection.project_(landed, self.centre, self.radii)
        squared = _dot(grads, grads)
        self._add("squared_gradient", squared)
        if self.transported is not None:
            away = {b: at[b] - self.transported[b] for b in at}
            self._add("inner", _dot(grads, away))
            self._add("descent", self._nearer(at, moved))
            self._add("projection", self._nearer(moved, landed))
        eps = max(torch.finfo(v.dtype).eps for v in params.values())
        # Each number of φ is rounded a few times by eps/2 of its size; of ∇R̂ half the digits count.
        allowed = 2 * eps * math.sqrt(_dot(at, at)) + math.sqrt(eps * squared) * self.eta
        self._expected = landed, allowed

    def _arrive(self, params: Params) -> None:
        assert self._expected is not None
        landed, allowed = self._expected
        at = {b: v.double().unsqueeze(0) for b, v in params.items()}
        off = {b: at[b] - landed[b] for b in at}
        self._add("step_error", math.sqrt(_dot(off, off)))
        self._add("step_allowed", allowed)
        if self.transported is not None:
            self._add("rounding", self._nearer(landed, at))
        self._expected = None

    def _measure(self, params: Params) -> None:
        """The terms at φ_s."""
        model, inputs, workers = self.model, self.task.inputs, self.workers
        f, _, squared = tangent_and_norm(model, params, params, params, inputs, workers)
        residual = f - self.task.y
        self._add("mse", float(residual.square().mean()))
        self._add("squared_feature", float(squared.max()))
        lin = linearization.linearization_errors(model, self.initial, params, inputs, workers)
        heads = head_errors(model, self.initial, params, self.transported, inputs, workers)
        self._add_errors("linearization", lin, heads[0])
        if self.transported is None or self.app is None:
            return
        cof = change_of_feature.change_of_feature_errors(
            model, self.initial, params, self.transported, inputs, workers
        )
        self._add_errors("change_of_feature", cof, heads[1])
        error = cof - lin - self.app
        self._add("identity", 2 * float((residual * (residual + error)).mean()))
        self._add("correlation", -float((residual * error).mean()))
        self._add("error_rms", _rms(error))

    def _add_errors(self, name: str, errors: Tensor, heads: Tensor) -> None:
        self._add(f"{name}_rms", _rms(errors))
        self._add(f"{name}_max", float(errors.abs().max()))
        self._add(f"{name}_heads", float(heads.max()))

    def _add(self, name: str, value: float) -> None:
        self._columns[name].append(value)

    def _nearer(self, start: Params, end: Params) -> float:
        """‖start − φ̃‖² − ‖end − φ̃‖²: by how much a move comes nearer to φ̃."""
        assert self.transported is not None
        move = {b: start[b] - end[b] for b in start}
        middle = {b: start[b] + end[b] - 2 * self.transported[b] for b in start}
        return _dot(move, middle)


def head_errors(
    model: HeadModel,
    initial: Params,
    params: Params,
    transported: Params | None,
    inputs: Inputs,
    workers: Workers,
) -> Tensor:
    """m^{-1/2} Σ_i |error of head i|: linearization, then change of feature, (1 or 2, n).

    The errors themselves are the same sums without the absolute values: what is between the two is
    lost by the triangle inequality across heads.
    """
    m = params[model.output_block].shape[0]

    def block(rows: slice, heads: slice) -> Tensor:
        base, at = measured(initial, heads, model), measured(params, heads, model)
        sample = inputs.rows(rows)
        before, linear = model.jvp(base, _minus(at, base), sample)
        if transported is None:
            return (model.h(at, sample) - before - linear).abs().unsqueeze(0)
        toward = _minus(at, measured(transported, heads, model))
        after, now = model.jvp(at, toward, sample)
        change = now - model.jvp(base, toward, sample)[1]
        return torch.stack([after - before - linear, change]).abs()

    return sum_heads(block, inputs.n, m, inputs.T, workers) / math.sqrt(m)


def _minus(a: Params, b: Params) -> Params:
    return {block: a[block] - b[block] for block in a}


def _dot(a: Params, b: Params) -> float:
    return math.fsum(float((a[block] * b[block]).sum()) for block in a)


def _rms(errors: Tensor) -> float:
    return float(errors.square().mean().sqrt())
