"""One step of descent in place: φ ← Π(φ − η(∇R̂ + λ(φ − φ_0))), and the size of ∇R̂.

Iterates add up in float64, whatever precision ∇R̂ is computed in: a step below half an ulp of a
float32 parameter would else be lost. The gradient is that of φ rounded to its own precision.

Small runs would spend their time here rather than in the gradient, so on a CPU the step is one
native call per block, on views made once; ``TorchStep`` does the same in torch, for any device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ntkbound.heads import native
from ntkbound.heads.model import Params
from ntkbound.heads.training.projection import displacement_norms, margin, project_
from ntkbound.machine.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Rule:
    """One descent rule for R runs."""

    eta: Tensor  # (R,) float64
    radii: dict[str, Tensor] | None  # block → (R,) float64, ρ/√m; None: no projection
    decay: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where R runs are: block → (R, m, *shape), float64 unless said otherwise."""

    centre: Params  # φ_0
    params: Params  # φ_s
    rounded: Params  # φ_s as the gradient sees it, in the precision of training
    grads: Params  # ∇R̂(rounded φ_s), in the precision of training

    @classmethod
    def at(cls, initial: Params, dtype: torch.dtype) -> Place:
        """φ_s = φ_0 = ``initial``. What needs no rounding is the same arrays."""
        centre = {b: v.double() for b, v in initial.items()}
        params = {b: v.clone() for b, v in centre.items()}
        rounded = {b: v.to(dtype) for b, v in params.items()}
        return cls(centre, params, rounded, {b: torch.empty_like(v) for b, v in rounded.items()})

    def round(self) -> None:
        """Brings ``rounded`` up to date."""
        for block, value in self.params.items():
            if self.rounded[block] is not value:
                self.rounded[block].copy_(value)


class Step(ABC):
    """Bound to the arrays of one descent."""

    ranks: Ranks

    @abstractmethod
    def take(self) -> None:
        """Moves the parameters by the gradients as they are now."""

    @abstractmethod
    def freeze(self, lost: np.ndarray) -> None:
        """These runs, (R,) bool, stay where they are from now on."""

    @abstractmethod
    def reach(self) -> dict[str, np.ndarray]:
        """Block → (R,), the largest ‖φ_i − φ_i(0)‖ of the heads held here at any step so far."""

    @abstractmethod
    def squared_norms(self) -> np.ndarray:
        """‖∇R̂‖² over all blocks of the heads held here, per run, (R,)."""

    def gradient_norms(self) -> np.ndarray:
        """‖∇R̂‖ over all blocks, per run, (R,)."""
        squares = self.squared_norms()
        self.ranks.sum_(torch.from_numpy(squares))
        norms: np.ndarray = np.sqrt(squares)
        return norms


def make_step(place: Place, rule: Rule, ranks: Ranks = ALONE) -> Step:
    """The native step where it applies, else torch."""
    on_cpu = all(value.device.type == "cpu" for value in place.params.values())
    if on_cpu and rule.decay == 0 and native.available():
        return NativeStep(place, rule, ranks)
    return TorchStep(place, rule, ranks)


class TorchStep(Step):
    def __init__(self, place: Place, rule: Rule, ranks: Ranks = ALONE) -> None:
        self.ranks, self.place, self.rule = ranks, place, rule
        like = next(iter(place.params.values()))
        self._eta = rule.eta.to(like, copy=True)
        self._reach = {
            b: torch.zeros(len(v), dtype=torch.float64, device=v.device)
            for b, v in place.params.items()
        }

    def take(self) -> None:
        params, centre = self.place.params, self.place.centre
        for block, value in params.items():
            rate = self._eta.reshape(-1, *[1] * (value.ndim - 1))
            slope = self.place.grads[block].double()
            if self.rule.decay:
                slope = slope.add(value - centre[block], alpha=self.rule.decay)
            value.addcmul_(rate, slope, value=-1)
        if self.rule.radii is not None:
            project_(params, centre, self.rule.radii)
        self.place.round()
        for block, norms in displacement_norms(params, centre, lead=1).items():
            torch.fmax(self._reach[block], norms.amax(1), out=self._reach[block])

    def freeze(self, lost: np.ndarray) -> None:
        self._eta[torch.from_numpy(lost).to(self._eta.device)] = 0.0

    def reach(self) -> dict[str, np.ndarray]:
        return {block: farthest.cpu().numpy() for block, farthest in self._reach.items()}

    def squared_norms(self) -> np.ndarray:
        squares = [g.flatten(1).double().square().sum(1) for g in self.place.grads.values()]
        total: np.ndarray = torch.stack(squares).sum(0).cpu().numpy()
        return total


class NativeStep(Step):
    def __init__(self, place: Place, rule: Rule, ranks: Ranks = ALONE) -> None:
        from ntkbound.heads.native import passes

        self.ranks = ranks
        runs, m = next(iter(place.params.values())).shape[:2]

        def view(value: Tensor) -> np.ndarray:
            return value.numpy().reshape(runs, m, -1)

        self._native = passes
        self._eta = rule.eta.numpy().copy()
        self._gradients = [view(g) for g in place.grads.values()]
        self._squares = np.empty(runs)
        unbounded = np.full(runs, np.inf)
        self._reach = {block: np.zeros(runs) for block in place.params}
        self._blocks = []
        for block, value in place.params.items():
            radius = unbounded if rule.radii is None else rule.radii[block].double().numpy()
            limits = (self._eta, radius, margin(value[0, 0].numel()))
            arrays = (view(value), view(place.grads[block]), view(place.centre[block]))
            self._blocks.append((*arrays, limits, self._reach[block], view(place.rounded[block])))

    def take(self) -> None:
        for arrays in self._blocks:
            self._native.project(*arrays)

    def freeze(self, lost: np.ndarray) -> None:
        self._eta[lost] = 0.0

    def reach(self) -> dict[str, np.ndarray]:
        return self._reach

    def squared_norms(self) -> np.ndarray:
        self._squares[:] = 0.0
        for gradient in self._gradients:
            self._native.add_squares(gradient, self._squares)
        return self._squares
