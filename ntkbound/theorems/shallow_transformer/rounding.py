"""What the training bound pays for the arithmetic: docs/certificates.md §6.

The proof is about φ_{s+1} = Π(φ_s − η∇R̂(φ_s)). A computer takes a rounded gradient ĝ_s of rounded
parameters and samples, and lands beside the projection. Both are bounded here before the first step
by the standard model of floating-point arithmetic: every operation is exact up to a factor 1 + δ,
|δ| ≤ u (u = ε/2 of the training precision), in whatever order sums are added, and exp, σ and σ' are
within ``FUNCTION`` u. Underflow, some 1e-36 in float32, is left to the slack of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ntkbound.heads.training.projection import margin
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem
from ntkbound.theorems.shallow_transformer.start import Start

FUNCTION = 64  # units u of exp (relative), σ and σ' (absolute): 32 units in the last place
FEW = 16  # roundings of a gradient beside those of its sum over samples: products, partial sums
# Terms of second order in u add less than this, where none of first order exceeds LARGEST.
SECOND_ORDER, LARGEST = 1.1, 0.01

Array = np.ndarray


@dataclass(frozen=True)
class Rounding:
    """Bounds for every iterate within ``reach`` of φ_0, in the precision ``dtype``.

    residual
        √(mean_j (r̂_j − r_j)²) of the residuals r̂ as they are computed.
    constant, relative
        ‖ĝ − ∇R̂(φ_s)‖ ≤ constant + relative·√R̂(φ_s).
    landing
        ‖φ_{s+1} − Π(φ_s − ηĝ_s)‖.
    far, steep, loss
        ‖φ_s − φ̃‖, √(mean_j ‖∇f(X_j; φ_s)‖²) and √R̂(φ_s).
    """

    dtype: str
    residual: float
    constant: float
    relative: float
    landing: float
    far: float
    steep: float
    loss: float

    @property
    def gradient(self) -> float:
        """‖ĝ − ∇R̂‖."""
        return self.constant + self.relative * self.loss

    def added(self, problem: Problem) -> tuple[float, float]:
        """By how much ε and V_0 of the proof grow.

        One step lengthens ‖φ_s − φ̃‖² by at most 2η‖ĝ − ∇R̂‖·far more, of which what is
        proportional to √R̂ counts as part of ε, and by terms of higher order.
        """
        eta, error = problem.eta, self.gradient
        each = 2 * eta * self.constant * self.far
        each += eta**2 * error * (4 * self.loss * self.steep + error)
        each += self.landing * (2 * self.far + 3 * self.landing)
        return self.relative * self.far / 2, problem.tau * each

    def seen(self, bound: float) -> float:
        """A bound on √min R̂(φ_s) as one on √R̂ at the iterate that seems the best."""
        return bound + 2 * self.residual


def rounding(start: Start, reach: Norms, steep: float, dtype: str = "") -> Rounding:
    """Of a run whose heads stay within ``reach``/√m of φ_0, where √(mean_j ‖∇f_j‖²) ≤ ``steep``.

    ``dtype``: of training, unless given. Infinite where the precision is too coarse for the sizes.
    """
    dtype = dtype or start.config.dtype
    u = torch.finfo(getattr(torch, dtype)).eps / 2
    labels = float(start.task.y.square().mean().sqrt())
    loss = labels + steep * math.sqrt(reach.squared)  # f(φ_0) = 0
    heads = _Heads.of(start, reach)
    u = u * SECOND_ORDER if u * heads.largest <= LARGEST else math.inf
    residual, slopes = u * (heads.outputs() + labels), u * heads.gradients()
    far = reach + start.problem.nu
    return Rounding(
        dtype=dtype,
        residual=residual + u * loss,
        constant=2 * residual * (steep + slopes),
        relative=2 * (slopes + u * steep),
        landing=_landing(start, 2 * loss * steep),
        far=math.sqrt(far.squared),
        steep=steep,
        loss=loss,
    )


@dataclass(frozen=True)
class _Heads:
    """Sizes of all heads on the ball, (m,), and the errors that follow, in units of u.

    U ≥ ‖U_i‖B_x, K ≥ |s_t| of any score, C ≥ |c_i|.
    """

    problem: Problem
    U: Array
    K: Array
    C: float

    @classmethod
    def of(cls, start: Start, reach: Norms) -> _Heads:
        problem, root = start.problem, math.sqrt(start.problem.m)
        (key,) = (v for b, v in start.initial.items() if b not in ("c", "U"))
        sizes = start.workers.ranks.gather(key.flatten(1).norm(dim=1)).numpy()
        K = problem.B_x * problem.B_q * (sizes + reach.w / root)
        return cls(problem, problem.B_x * (start.norms + reach.u / root), K, 1 + reach.c / root)

    @property
    def weights(self) -> Array:
        """Relative, of every attention weight.

        A score is a sum of products of three rounded numbers along chains of d: 2d + 7 roundings;
        its largest is subtracted from it; then exponentials, their sum and a quotient.
        """
        per_score = 2 * (2 * self.problem.d + 9)
        return np.asarray(per_score * self.K + 2 * FUNCTION + self.problem.T + 1)

    @property
    def scores(self) -> Array:
        """Of z = Σ_t p_t U·X_t."""
        return np.asarray((self.weights + self.problem.d + self.problem.T + 5) * self.U)

    @property
    def largest(self) -> float:
        """The largest relative error of first order."""
        p = self.problem
        return max(float(self.weights.max()), float(self.scores.max()), p.n + FEW, p.m + 4)

    def outputs(self) -> float:
        """Of f(X_j): √m times the mean over heads of the error of cσ(z), and the sum over heads."""
        s0, s1, _ = self.problem.sigma
        each = s1 * self.scores + FUNCTION + (self.problem.m + 4) * s0
        return math.sqrt(self.problem.m) * self.C * float(each.mean())

    def gradients(self) -> float:
        """Of √(mean_i ‖∂h_i‖²): σ(z), cσ'(z) a and cσ'(z) (MU) qᵀ, and their sum over samples."""
        p, U, C = self.problem, self.U, self.C
        s0, s1, s2 = p.sigma
        chain, B = p.n + FEW, p.B_x
        slope = s2 * self.scores + FUNCTION
        average = (self.weights + p.T + 4) * B  # of a
        # MU = Σ p_t (v_t − z) X_t, its drift along a subtracted again
        moment = 2 * B * ((p.d + 5) * U + self.scores + 2 * U * (self.weights + p.T + 4))
        of_c = s1 * self.scores + FUNCTION + chain * s0
        of_U = C * (slope * B + s1 * average + chain * s1 * B)
        of_W = C * p.B_q * (slope * B * U + s1 * moment + chain * s1 * B * U)
        return math.sqrt(float((of_c**2 + of_U**2 + of_W**2).mean()))


def _landing(start: Start, slope: float) -> float:
    """A few float64 roundings of φ and of its step, η times about ``slope``, and the narrowing of
    the balls."""
    rho = math.sqrt(start.problem.rho.squared)
    squares = torch.stack([v.square().sum() for v in start.initial.values()]).sum().reshape(1)
    size = math.sqrt(float(start.workers.ranks.sum_(squares)))
    narrower = max(margin(v[0].numel()) for v in start.initial.values())
    moved = size + rho + start.problem.eta * slope
    return 2 * torch.finfo(torch.float64).eps * moved + 2 * narrower * rho
