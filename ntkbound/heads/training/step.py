"""One step of descent in place: φ ← Π(φ − η(∇R̂ + λ(φ − φ_0))), and the size of ∇R̂.

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
from ntkbound.heads.training.projection import displacement_norms, project_
from ntkbound.machine.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Rule:
    """One descent rule for R runs."""

    eta: Tensor  # (R,) float64
    radii: dict[str, Tensor] | None  # block → (R,), ρ/√m; None: no projection
    decay: float = 0.0


class Step(ABC):
    """Bound to the arrays of one descent: parameters (R, m, …), gradients and centre φ_0."""

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


def make_step(
    params: Params, grads: Params, centre: Params, rule: Rule, ranks: Ranks = ALONE
) -> Step:
    """The native step where it applies, else torch."""
    on_cpu = all(value.device.type == "cpu" for value in params.values())
    if on_cpu and rule.decay == 0 and native.available():
        return NativeStep(params, grads, centre, rule, ranks)
    return TorchStep(params, grads, centre, rule, ranks)


class TorchStep(Step):
    def __init__(
        self, params: Params, grads: Params, centre: Params, rule: Rule, ranks: Ranks = ALONE
    ) -> None:
        self.ranks = ranks
        self.params, self.grads, self.centre, self.rule = params, grads, centre, rule
        like = next(iter(params.values()))
        self._eta = rule.eta.to(like, copy=True)
        self._reach = {
            b: torch.zeros(len(v), dtype=torch.float64, device=v.device) for b, v in params.items()
        }

    def take(self) -> None:
        for block, value in self.params.items():
            rate = self._eta.reshape(-1, *[1] * (value.ndim - 1))
            if self.rule.decay:
                drift = value - self.centre[block]
                self.grads[block].add_(drift, alpha=self.rule.decay)
            value.addcmul_(rate, self.grads[block], value=-1)
        if self.rule.radii is not None:
            project_(self.params, self.centre, self.rule.radii)
        for block, norms in displacement_norms(self.params, self.centre, lead=1).items():
            torch.fmax(self._reach[block], norms.amax(1).double(), out=self._reach[block])

    def freeze(self, lost: np.ndarray) -> None:
        self._eta[torch.from_numpy(lost).to(self._eta.device)] = 0.0

    def reach(self) -> dict[str, np.ndarray]:
        return {block: farthest.cpu().numpy() for block, farthest in self._reach.items()}

    def squared_norms(self) -> np.ndarray:
        squares = [g.flatten(1).double().square().sum(1) for g in self.grads.values()]
        total: np.ndarray = torch.stack(squares).sum(0).cpu().numpy()
        return total


class NativeStep(Step):
    def __init__(
        self, params: Params, grads: Params, centre: Params, rule: Rule, ranks: Ranks = ALONE
    ) -> None:
        from ntkbound.heads.native import passes

        self.ranks = ranks
        runs, m = next(iter(params.values())).shape[:2]

        def view(value: Tensor) -> np.ndarray:
            return value.numpy().reshape(runs, m, -1)

        self._native = passes
        self._eta = rule.eta.numpy().copy()
        self._gradients = [view(g) for g in grads.values()]
        self._squares = np.empty(runs)
        unbounded = np.full(runs, np.inf)
        self._reach = {block: np.zeros(runs) for block in params}
        self._blocks = [
            (
                view(params[block]),
                view(grads[block]),
                view(centre[block]),
                unbounded if rule.radii is None else rule.radii[block].double().numpy(),
                self._reach[block],
            )
            for block in params
        ]

    def take(self) -> None:
        for values, gradient, centre, radius, reach in self._blocks:
            self._native.project(values, gradient, centre, self._eta, radius, reach)

    def freeze(self, lost: np.ndarray) -> None:
        self._eta[lost] = 0.0

    def reach(self) -> dict[str, np.ndarray]:
        return self._reach

    def squared_norms(self) -> np.ndarray:
        self._squares[:] = 0.0
        for gradient in self._gradients:
            self._native.add_squares(gradient, self._squares)
        return self._squares
