"""The conditions of Proposition 1 and the assumptions, for one run.

With spectral norms λ_*, radii C_*, λ̄_* = λ_* + C_*, ‖X_n‖_F ≤ √ds C_x, ρ = √N ds^{3/2} s C_x (s is
τ1 for sum pooling, τ1/ds for mean), a = 2τ0 C_x² ds and r_0 = f − y at the start,

    (2)  α² ≥ 8ρ max(λ̄_V/C_O, λ̄_O/C_V, a λ̄_Kλ̄_Vλ̄_O/C_Q, a λ̄_Qλ̄_Vλ̄_O/C_K) ‖r_0‖,
    (3)  α³ ≥ 32ρ² z ‖r_0‖/λ̄_O,    z = λ̄_O²(1 + a² λ̄_V²(λ̄_Q² + λ̄_K²)),
    γw ≤ 1/(c1c2),    c1 = ρ(λ̄_V + λ̄_O(1 + a λ̄_V(λ̄_Q + λ̄_K))),
                      c2 = ρ√(λ̄_O² + λ̄_V² + (a λ̄_Kλ̄_Vλ̄_O)² + (a λ̄_Qλ̄_Vλ̄_O)²).

‖r_0‖ is √(2ℓ_0) of the summed loss; descent in w times it is descent with the step γw. Everything
is computed in logarithms: data of any size neither overflow nor vanish.

Source: arXiv 2311.01575, Proposition 1 (its first slot divides by C_Q, corrected);
proofs: docs/encoder-only.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ntkbound.theorems.encoder_only import statement
from ntkbound.theorems.encoder_only.problem import Problem
from ntkbound.theorems.encoder_only.start import Start
from ntkbound.theorems.encoder_only.tangent import Tangent

NOTHING = -math.inf  # the logarithm of 0
LARGEST = math.log(np.finfo(float).max)
LEAST_DESCENT = 0.5  # that the proof needs
ONE, INIT = "prop1_one", "prop1_init"  # C_* = 1, and the norms at the start


@dataclass(frozen=True)
class Norms:
    """The norm of w_O and spectral norms of W_V, W_Q, W_K."""

    O: float  # noqa: E741 - the paper's symbol
    V: float
    Q: float
    K: float

    def plus(self, other: Norms) -> Norms:
        return Norms(self.O + other.O, self.V + other.V, self.Q + other.Q, self.K + other.K)


UNIT = Norms(1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Constants:
    """log ρ and log a, a = 2τ0 C_x² ds, of the data."""

    rho: float
    a: float

    @classmethod
    def of(cls, problem: Problem) -> Constants:
        squares = problem.X.square().sum(dim=(1, 2))
        C_x = _log(math.sqrt(float(squares.max()) / problem.ds))
        sizes = math.log(problem.N) / 2 + 1.5 * math.log(problem.ds)
        a = math.log(2 * problem.tau0 * problem.ds) + 2 * C_x
        return cls(sizes + _log(problem.factor) + C_x, a)

    def sides(self, norms: Norms) -> dict[str, float]:
        """Logarithms of ρλ_V, ρλ_O, ρaλ_Kλ_Vλ_O and ρaλ_Qλ_Vλ_O: what bounds ‖∂f/∂O‖ and the
        others over all samples."""
        Q, K, V, O = (_log(one) for one in (norms.Q, norms.K, norms.V, norms.O))  # noqa: E741
        both = self.a + V + O
        sides = {"O": V, "V": O, "Q": both + K, "K": both + Q}
        return {block: self.rho + side for block, side in sides.items()}


@dataclass(frozen=True)
class Choice:
    """The conditions for one choice of radii C_*: α² and α³ over the right-hand sides, and γw c1c2;
    None where there is none (no residual, an adaptive step)."""

    ratio2: float | None
    ratio3: float | None
    step_over_limit: float | None

    @property
    def numbers(self) -> dict[str, float]:
        """Those that there are."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def sufficient(self) -> bool:
        """Whether (2) and (3) hold and the step is small enough."""
        return self.wide and self.step_over_limit is not None and self.step_over_limit <= 1

    @property
    def wide(self) -> bool:
        """Whether (2) and (3) hold: what vanishes on the right holds."""
        return all(one is None or one >= 1 for one in (self.ratio2, self.ratio3))


@dataclass(frozen=True, eq=False)
class Facts:
    """What the conditions are about: a problem, K_0, norms and loss at the start, and γ (None:
    adaptive)."""

    problem: Problem
    tangent: Tangent
    norms: Norms
    loss: float
    gamma: float | None

    @classmethod
    def of(cls, start: Start, norms: Sequence[float], loss: float) -> Facts:
        """norms: of O, V, Q, K at the start."""
        gamma = None if start.config.step == "adaptive" else start.gamma
        return cls(start.problem, start.kernel, Norms(*map(float, norms)), loss, gamma)

    def choices(self) -> dict[str, Choice]:
        """Probe → the conditions for C_* = 1 and for C_* = λ_*."""
        return {ONE: self.choice(UNIT), INIT: self.choice(self.norms)}

    def choice(self, radii: Norms) -> Choice:
        constants, widened = Constants.of(self.problem), self.norms.plus(radii)
        sides = constants.sides(widened)
        residual = _log(2 * self.loss / self.problem.weight) / 2
        alpha = _log(self.tangent.alpha_squared) / 2
        slots = (_over(side, _log(getattr(radii, block))) for block, side in sides.items())
        second = _times(math.log(8) + max(slots), residual)
        third = math.log(32) + 2 * constants.rho + _z_over_O(constants, widened) + residual
        limit = None
        if self.gamma is not None:
            step = math.log(self.gamma * self.problem.weight)
            limit = _exp(step + _c1(constants, widened) + _c2(sides))
        return Choice(_ratio(2 * alpha, second), _ratio(3 * alpha, third), limit)


def _z_over_O(constants: Constants, norms: Norms) -> float:
    """log z/λ̄_O."""
    Q, K, V, O = (_log(one) for one in (norms.Q, norms.K, norms.V, norms.O))  # noqa: E741
    inner = 2 * (constants.a + V) + _sum(2 * Q, 2 * K)
    return O + _sum(0.0, inner)


def _c1(constants: Constants, norms: Norms) -> float:
    """log c1, the Lipschitz constant of f(X_1 … X_N)."""
    V, O = _log(norms.V), _log(norms.O)  # noqa: E741
    inner = constants.a + V + _log(norms.Q + norms.K)
    return constants.rho + _sum(V, O + _sum(0.0, inner))


def _c2(sides: Mapping[str, float]) -> float:
    """log c2, above the norm of the Jacobian of f(X_1 … X_N)."""
    return _sum(*(2 * side for side in sides.values())) / 2


def conditions(
    facts: Facts, data: Mapping[str, float], least_descent: float | None
) -> dict[str, bool | None]:
    """The conditions of the theorem, name → whether this run meets them.

    data: what ``similarity`` found. least_descent: the least descent ratio of any step; the proof
    takes 1/2 of it from a Lipschitz gradient, which ReLU does not have, so it is measured.
    """
    choices, problem = facts.choices(), facts.problem
    descends = least_descent is not None and least_descent >= LEAST_DESCENT
    met = any(one.sufficient for one in choices.values())
    return {
        statement.WIDE: facts.tangent.dm >= problem.N,
        statement.FEW: problem.d >= problem.N,
        statement.TWO_ONE: _holds(choices[ONE].ratio2),
        statement.THREE_ONE: _holds(choices[ONE].ratio3),
        statement.TWO_INIT: _holds(choices[INIT].ratio2),
        statement.THREE_INIT: _holds(choices[INIT].ratio3),
        statement.PROP_1: met and descends,
        statement.ASSUMPTION_2: data["row_rank"] == problem.ds,
        statement.ASSUMPTION_3: data["min"] == 0 if "min" in data else None,
    }


def _holds(ratio: float | None) -> bool:
    return ratio is None or ratio >= 1


def _ratio(left: float, right: float) -> float | None:
    """exp(left − right); 0 of nothing (α is, where dm < N), None over nothing."""
    if left == NOTHING:
        return 0.0
    return None if right == NOTHING else _exp(left - right)


def _over(side: float, radius: float) -> float:
    """log of a quotient, infinite over 0."""
    return math.inf if radius == NOTHING else side - radius


def _times(one: float, other: float) -> float:
    """log of a product, 0 of nothing and anything."""
    return NOTHING if NOTHING in (one, other) else one + other


def _exp(log: float) -> float:
    """The largest number where it would be infinite."""
    return math.exp(min(log, LARGEST))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else NOTHING


def _sum(*logs: float) -> float:
    """log Σ exp."""
    return float(np.logaddexp.reduce(logs))
