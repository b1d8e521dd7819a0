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

from ntkbound.heads.model import Params
from ntkbound.heads.terms import approximation, change_of_feature, linearization
from ntkbound.heads.terms.head_errors import head_sums, linearization_head_sums
from ntkbound.heads.training import projection
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.theorems.shallow_transformer.start import Start

Columns = dict[str, np.ndarray]  # quantity → one float64 per audited step


class ProofObserver:
    """Collects the columns of one run; call ``observe`` at every audited step and at the next one.

    Columns: ``step``, ``mse`` R̂, ``squared_gradient`` ‖∇R̂‖², ``squared_feature``
    max_j ‖∇f(X_j)‖², ``linearization_rms|max|heads``, ``step_error`` ‖φ_{s+1} − p‖ and
    ``step_allowed``, what rounding allows it to be. ``heads`` is the triangle inequality across
    heads, max_j m^{-1/2} Σ_i |error of head i|.
    """

    def __init__(self, start: Start) -> None:
        self.start, self.eta = start, start.step_size
        self.radii = {b: torch.tensor([r], dtype=torch.float64) for b, r in start.radii.items()}
        self.centre = {b: v.double().unsqueeze(0) for b, v in start.initial.items()}
        self.objective = AutogradObjective(start.model, start.task.inputs, start.task.y)
        self._columns: dict[str, list[float]] = defaultdict(list)
        self._expected: tuple[Params, float] | None = None  # p, and the rounding that is allowed

    def observe(self, step: int, params: Params, *, audited: bool) -> None:
        """φ_s, block → (m, *shape): completes the step before it and, if audited, opens its own."""
        if self._expected is not None:
            self._arrive(params, *self._expected)
            self._expected = None
        if audited:
            self._add("step", step)
            self._measure(params)
            self._expected = self._leave(params)

    @property
    def columns(self) -> Columns:
        return {name: np.array(values) for name, values in self._columns.items()}

    def _leave(self, params: Params) -> tuple[Params, float]:
        """The exact step from φ_s, p, and by how much rounding may miss it."""
        at = {b: v.double().unsqueeze(0) for b, v in params.items()}
        grads = {b: torch.empty_like(v) for b, v in at.items()}
        self.objective.evaluate(at, grads)
        moved = {b: v - self.eta * grads[b] for b, v in at.items()}
        landed = {b: v.clone() for b, v in moved.items()}
        projection.project_(landed, self.centre, self.radii)
        squared = _dot(grads, grads)
        self._add("squared_gradient", squared)
        self._stepped(at, grads, moved, landed)
        # Iterates add up in float64, whose numbers are rounded a few times by eps/2 of their size;
        # of ∇R̂ half the digits count that its own precision has.
        whole, eps = torch.finfo(torch.float64).eps, torch.finfo(self.start.dtype).eps
        allowed = 2 * whole * math.sqrt(_dot(at, at)) + math.sqrt(eps * squared) * self.eta
        return landed, allowed

    def _stepped(self, at: Params, grads: Params, moved: Params, landed: Params) -> None:
        """φ_s, ∇R̂(φ_s), y and p, (1, m, *shape) each."""

    def _arrive(self, params: Params, landed: Params, allowed: float) -> None:
        """φ_{s+1}, where p = ``landed`` was expected."""
        at = {b: v.double().unsqueeze(0) for b, v in params.items()}
        off = {b: at[b] - landed[b] for b in at}
        self._add("step_error", math.sqrt(_dot(off, off)))
        self._add("step_allowed", allowed)
        self._rounded(landed, at)

    def _rounded(self, landed: Params, at: Params) -> None:
        """p and φ_{s+1}, (1, m, *shape) each."""

    def _measure(self, params: Params) -> None:
        """The terms at φ_s."""
        start = self.start
        f, _, squared = start.lin.tangent_and_norm(params, params, params)
        residual = f - start.task.y
        self._add("mse", float(residual.square().mean()))
        self._add("squared_feature", float(squared.max()))
        lin = linearization.linearization_errors(start.lin, params)
        self._compared(params, residual, lin)

    def _compared(self, params: Params, residual: Tensor, lin: Tensor) -> None:
        """φ_s, r_j and lin_j (n,)."""
        self._add_errors("linearization", lin, linearization_head_sums(self.start.lin, params))

    def _add_errors(self, name: str, errors: Tensor, heads: Tensor) -> None:
        self._add(f"{name}_rms", _rms(errors))
        self._add(f"{name}_max", float(errors.abs().max()))
        self._add(f"{name}_heads", float(heads.max()))

    def _add(self, name: str, value: float) -> None:
        self._columns[name].append(value)


class TargetObserver(ProofObserver):
    """With φ̃ = ``transported`` also what the chain needs it for.

    Further columns: ``descent``, ``projection`` and ``rounding`` (above), ``inner``
    ⟨∇R̂, φ_s − φ̃⟩, ``identity`` (2/n) Σ r_j(r_j + e_j), ``correlation`` −(1/n) Σ r_j e_j,
    ``error_rms`` ‖e‖_rms and ``change_of_feature_rms|max|heads``.
    """

    def __init__(self, start: Start, transported: Params) -> None:
        super().__init__(start)
        self.transported = transported
        self.app = approximation.approximation_errors(start.lin, transported, start.task.y)
        self.ends: dict[int, float] = {}  # step 0 and τ → V

    def observe(self, step: int, params: Params, *, audited: bool) -> None:
        super().observe(step, params, audited=audited)
        if step in (0, self.start.config.tau):
            gap = {b: v.double() - self.transported[b] for b, v in params.items()}
            self.ends[step] = _dot(gap, gap)

    def _stepped(self, at: Params, grads: Params, moved: Params, landed: Params) -> None:
        away = {b: at[b] - self.transported[b] for b in at}
        self._add("inner", _dot(grads, away))
        self._add("descent", self._nearer(at, moved))
        self._add("projection", self._nearer(moved, landed))

    def _rounded(self, landed: Params, at: Params) -> None:
        self._add("rounding", self._nearer(landed, at))

    def _compared(self, params: Params, residual: Tensor, lin: Tensor) -> None:
        of_lin, of_cof = head_sums(self.start.lin, params, self.transported)
        self._add_errors("linearization", lin, of_lin)
        at = self.start.lin
        cof = change_of_feature.change_of_feature_errors(at, params, self.transported)
        self._add_errors("change_of_feature", cof, of_cof)
        error = cof - lin - self.app
        self._add("identity", 2 * float((residual * (residual + error)).mean()))
        self._add("correlation", -float((residual * error).mean()))
        self._add("error_rms", _rms(error))

    def _nearer(self, start: Params, end: Params) -> float:
        """‖start − φ̃‖² − ‖end − φ̃‖²: by how much a move comes nearer to φ̃."""
        move = {b: start[b] - end[b] for b in start}
        middle = {b: start[b] + end[b] - 2 * self.transported[b] for b in start}
        return _dot(move, middle)


def _dot(a: Params, b: Params) -> float:
    return math.fsum(float((a[block] * b[block]).sum()) for block in a)


def _rms(errors: Tensor) -> float:
    return float(errors.square().mean().sqrt())
