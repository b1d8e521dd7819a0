"""Where Proposition 1 loses: the loss along a run, and what each step of its proof gives away.

With D_t = (ℓ_t − ℓ_{t+1})/(γ_t‖∇ℓ‖²) and κ_t = ‖∇ℓ‖²/(2wℓ_t), exactly

    ℓ_{t+1} = ℓ_t (1 − 2D_t γ_t w κ_t).

The proof replaces, one after the other, D_t by 1/2 (descent), κ_t by the part of it that w_O has,
‖∇_Oℓ‖²/(2wℓ_t) = ‖F_tᵀr‖²/‖r‖², that by σ_min(F_t)², and that by α²/4. Each stage has a rate, the
mean of log(1 − …) over the steps; a factor is the rate before over the rate after, and the product
of all is the measured rate over the bound's.

Source: arXiv 2311.01575, proof of Proposition 1; the identity is derived in docs/encoder-only.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ntkbound.core.errors import InputError
from ntkbound.core.tolerance import EPSILON, FACTOR, RELATIVE
from ntkbound.core.tools import Progress
from ntkbound.theorems.encoder_only.config import known
from ntkbound.theorems.encoder_only.descent import Plan, descend
from ntkbound.theorems.encoder_only.measure import STOP
from ntkbound.theorems.encoder_only.model import Objective, Value
from ntkbound.theorems.encoder_only.problem import Weights
from ntkbound.theorems.encoder_only.start import Start
from ntkbound.theorems.encoder_only.tangent import NOISE, output_kernel, smallest_singular

# What each replacement is called and says, its rounding, and whether it needs no condition. σ_min²
# is known to rounding of σ_max², and is at least 1e-10 of it where it is not 0.
REPLACED = (
    ("descent", "D_t ≥ 1/2", RELATIVE, False),
    ("share of w_O", "‖∇ℓ‖² ≥ ‖∇_Oℓ‖²", RELATIVE, True),
    ("alignment", "‖F_tᵀr‖² ≥ σ_min(F_t)²‖r‖²", FACTOR * EPSILON["float64"] / NOISE, True),
    ("σ_min² ≥ α²/4", "σ_min(F_t) ≥ α/2", RELATIVE, False),
)


@dataclass(frozen=True, eq=False)
class Path:
    """What every step of a run was: ℓ_0 … ℓ_T (T + 1,), and of steps 0 … T − 1 the step size γ_t,
    ‖∇ℓ‖², ‖∇_Oℓ‖² and σ_min(F_t)², (T,) each; w and α² of the run."""

    loss: np.ndarray
    gamma: np.ndarray
    gradient: np.ndarray
    output: np.ndarray
    smallest: np.ndarray
    weight: float
    alpha_squared: float

    def shortened(self) -> Path:
        """As far as the loss is above 1e-24 ℓ_0: beyond, ratios of losses are rounding."""
        below = np.flatnonzero(self.loss <= STOP * self.loss[0])
        stop = max(int(below[0]) - 1, 0) if len(below) else len(self.gamma)
        names = ("gamma", "gradient", "output", "smallest")
        return replace(
            self, loss=self.loss[: stop + 1], **{name: getattr(self, name)[:stop] for name in names}
        )

    @property
    def kappa(self) -> np.ndarray:
        """κ_t."""
        return np.asarray(self.gradient / (2 * self.weight * self.loss[:-1]))

    @property
    def descent(self) -> np.ndarray:
        """D_t."""
        return np.asarray(-np.diff(self.loss) / (self.gamma * self.gradient))

    def stages(self) -> tuple[np.ndarray, ...]:
        """(T,) each: what is taken from ℓ_t in every stage, 2D_tγ_twκ_t first."""
        step, kappa = self.gamma * self.weight, self.kappa
        of_output = self.output / (2 * self.weight * self.loss[:-1])
        bound = np.full_like(kappa, self.alpha_squared / 4)
        return (
            2 * self.descent * step * kappa,
            *(step * one for one in (kappa, of_output, self.smallest, bound)),
        )


@dataclass(frozen=True)
class Link:
    """One replacement of the proof. before, after: the rates of both stages, None where a step
    takes all of the loss or more, so that there is no rate. worst: the largest of what replaces
    over what is replaced, None over nothing. tolerance: of 1, its rounding; sure: whether it
    holds without conditions.
    """

    name: str
    statement: str
    tolerance: float
    sure: bool
    before: float | None
    after: float | None
    worst: float | None

    @property
    def holds(self) -> bool:
        return self.worst is not None and self.worst <= 1 + self.tolerance

    @property
    def factor(self) -> float | None:
        """What the replacement gives away; None without both rates, or where nothing is left."""
        if self.before is None or not self.after:
            return None
        return self.before / self.after


@dataclass(frozen=True)
class Audit:
    """measured: the mean of log(ℓ_{t+1}/ℓ_t); bound: log(1 − γwα²/4), likewise."""

    steps: int
    measured: float
    bound: float | None
    links: Sequence[Link]
    identity: float  # largest |ℓ_t(1 − 2D_tγ_twκ_t)/ℓ_{t+1} − 1|

    @property
    def holds(self) -> bool:
        """Whether the identity and what is sure hold, up to rounding."""
        return self.identity <= RELATIVE and all(one.holds for one in self.links if one.sure)

    @property
    def lost(self) -> float | None:
        """Measured rate over the bound's: the product of all factors."""
        return self.measured / self.bound if self.bound else None


def walk(start: Start, progress: Progress) -> Path:
    """The run again, with σ_min(F_t) at every step; steps that were not taken are left out."""
    steps = known(start.config.tau, "tau")
    smallest = np.zeros(steps + 1)

    def observe(_: int, step: int, weights: Weights, __: Value) -> None:
        gram = output_kernel(start.problem, weights, start.workers)
        smallest[step] = smallest_singular(gram, start.kernel.dm)

    objective = Objective([start.problem], len(start.initial.O), start.workers)
    plan = Plan(steps, start.config.step == "adaptive", range(steps + 1))
    told = (observe, lambda step, loss: progress(step, steps, loss))
    (series,) = descend(objective, [start.initial], [start.gamma], plan, told)
    total = series.squares.sum(axis=1)
    taken = np.flatnonzero((series.gamma > 0) & (total[:-1] > 0))
    return Path(
        loss=series.loss[np.append(taken, taken[-1] + 1) if len(taken) else [0]],
        gamma=series.gamma[taken],
        gradient=total[taken],
        output=series.squares[taken, 0],
        smallest=smallest[taken],
        weight=start.problem.weight,
        alpha_squared=start.kernel.alpha_squared,
    )


def audit(path: Path) -> Audit:
    """Every replacement along the run down to 1e-24 ℓ_0.

    Raises InputError where no step is left to look at.
    """
    path = path.shortened()
    if not len(path.gamma):
        raise InputError("leaves no step with a loss above rounding; take other ones", field="tau")
    stages = path.stages()
    rates = [_rate(stage) for stage in stages]
    pairs = zip(REPLACED, pairwise(rates), pairwise(stages), strict=True)
    links = [Link(*told, *both, _worst(*replaced)) for told, both, replaced in pairs]
    again = path.loss[:-1] * (1 - stages[0]) / path.loss[1:]
    measured = float(np.log(path.loss[1:] / path.loss[:-1]).mean())
    return Audit(len(path.gamma), measured, rates[-1], links, float(np.abs(again - 1).max()))


def _rate(stage: np.ndarray) -> float | None:
    return float(np.log1p(-stage).mean()) if stage.max() < 1 else None


def _worst(old: np.ndarray, new: np.ndarray) -> float | None:
    """The largest new/old; None where something replaces nothing, or less."""
    if (new[old <= 0] > 0).any():
        return None
    there = old > 0
    return float((new[there] / old[there]).max()) if there.any() else 0.0
