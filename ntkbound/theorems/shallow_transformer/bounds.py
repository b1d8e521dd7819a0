"""The explicit bounds: the rates of arXiv 2601.16514, every constant derived in docs/theory.md.

Notation of this page: u_i = ‖U_i(0)‖, Ū_i = u_i + ρ_u/√m, C = 1 + ρ_c/√m, and
A_i(ρ) = ρ_u + Ū_i ρ_w, so that |Dz_i[Δ]| ≤ A_i(ρ)/√m for every Δ of radii ρ/√m. The theorem itself
is on the page of ``statement``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ntkbound.core.outcome import Bound
from ntkbound.theorems.shallow_transformer.minimum import minimum
from ntkbound.theorems.shallow_transformer.problem import Problem

if TYPE_CHECKING:
    from ntkbound.theorems.shallow_transformer.rounding import Rounding

Array = np.ndarray

OUTSIDE = Bound(
    None,
    "needs ν ≤ ρ: the target must lie inside the projection ball",
    absent="condition-not-met",
)


def linearization(problem: Problem, u: Array) -> float:
    """ε_lin ≥ sup over Ω_ρ and X of |f − f_lin|, with certainty.

    f − f_lin is half a second derivative along the segment from φ_0 to φ, and

        ε_lin = (1/(2√m)) mean_i κ_i,
        κ_i = 2 ρ_c σ1 A_i + C [ σ2 A_i² + σ1 (2 ρ_u ρ_w + Ū_i ρ_w²) ].
    """
    _, s1, s2 = problem.sigma
    r, root = problem.scaled(problem.rho), math.sqrt(problem.m)
    U = problem.B_x * u + r.u / root
    A = r.u + U * r.w
    kappa = 2 * r.c * s1 * A
    kappa += (1 + r.c / root) * (s2 * A**2 + s1 * (2 * r.u * r.w + U * r.w**2))
    return float(kappa.mean()) / (2 * root)


def change_of_feature(problem: Problem, u: Array) -> float:
    """ε_cof ≥ |⟨∇f(φ) − ∇f(φ_0), φ − φ̃⟩| for all φ ∈ Ω_ρ and φ̃ ∈ Ω_ν, with certainty.

    A second derivative in the directions φ − φ_0 (radii ρ) and φ − φ̃ (radii ρ' = ρ + ν):

        ε_cof = (1/√m) mean_i κ'_i,
        κ'_i = σ1 (ρ_c A'_i + ρ'_c A_i)
               + C [ σ2 A_i A'_i + σ1 (ρ_u ρ'_w + ρ'_u ρ_w + Ū_i ρ_w ρ'_w) ].
    """
    _, s1, s2 = problem.sigma
    r, root = problem.scaled(problem.rho), math.sqrt(problem.m)
    far = r + problem.scaled(problem.nu)
    U = problem.B_x * u + r.u / root
    A, B = r.u + U * r.w, far.u + U * far.w
    kappa = s1 * (r.c * B + far.c * A)
    mixed = r.u * far.w + far.u * r.w + U * r.w * far.w
    kappa += (1 + r.c / root) * (s2 * A * B + s1 * mixed)
    return float(kappa.mean()) / root


def approximation(problem: Problem, pairs: int, delta: float) -> float:
    """ε_app ≥ max_j |average of ``pairs`` independent terms − f̃(X_j)|, probability ≥ 1 − δ.

    One pair contributes ⟨v, ∇h⟩ with |⟨v, ∇h⟩| ≤ α + β‖U‖, where α = ν_cσ0 + ν_uσ1B_x and
    β = ν_wσ1B_x²B_q. By symmetrisation and the moment generating function of ‖U‖² ~ χ²_d, for
    every s > 0 and 0 < λ < (2(1 + 1/s)β²)^{-1/2},

        ε_app = [ 2λ²(1+s)α² − d log(1 − 2λ²(1+1/s)β²) + (1/pairs) log(2n/δ) ] / λ,

    minimised over λ numerically (every point is a valid bound) and over s in closed form: with
    x = 2λ²β² the derivative vanishes where (1 − x)(αs)² − αx(αs) = dβ², and there the logarithm is
    that of dβ²/(αs)². The inputs and the map must not depend on φ_0. For β = 0 the infimum is
    α √(8 log(2n/δ)/pairs).
    """
    s0, s1, _ = problem.sigma
    nu = problem.nu
    alpha = nu.c * s0 + nu.u * s1 * problem.B_x
    beta = nu.w * s1 * problem.B_x**2 * problem.B_q
    log_term = math.log(2 * problem.n / delta) / pairs
    if beta == 0:
        return alpha * math.sqrt(8 * log_term)
    spread = math.sqrt(problem.d) * beta

    def at(logit: np.ndarray) -> np.ndarray:  # of λ as a share of its largest value, 1/(√2 β)
        share = 1 / (1 + np.exp(-logit))
        x, lam = share**2, share / (math.sqrt(2) * beta)
        product = alpha * x + np.sqrt((alpha * x) ** 2 + 4 * (1 - x) * spread**2)
        product /= 2 * (1 - x)  # αs
        square = 2 * lam**2 * alpha * (alpha + product)
        exponent = square + 2 * problem.d * np.log(product / spread) + log_term
        return np.asarray(exponent / lam)

    gaussian = math.sqrt(log_term / (alpha**2 + spread**2))  # λ, where its largest value is far
    return minimum(at, math.log(min(1.0, gaussian * beta)) - 4, 12)


def label_error(problem: Problem, delta: float) -> float:
    """Bound on max_j |y_j − f̃(X_j)|: labels average ``label_heads`` independent heads."""
    return approximation(problem, problem.label_heads, delta) if problem.label_heads else 0.0


def squared_feature_norm(problem: Problem, u: Array) -> float:
    """L² ≥ max_j sup over Ω_ρ of ‖∇f(X_j; φ)‖², whatever T is:

    L² = mean_i [ σ0² + C²σ1²(B_x² + B_x⁴ B_q² Ū_i²) ], Ū_i unscaled. p is a probability vector, so
    ‖a‖ ≤ B_x, and the weighted token covariance has ‖M‖ ≤ B_x².
    """
    s0, s1, _ = problem.sigma
    root = math.sqrt(problem.m)
    U = u + problem.rho.u / root
    C = 1 + problem.rho.c / root
    inner = problem.B_x**2 + problem.B_x**4 * problem.B_q**2 * U**2
    return float((s0**2 + C**2 * s1**2 * inner).mean())


def training_rmse(
    problem: Problem, u: Array, epsilon: float, rounding: Rounding | None = None
) -> Bound:
    """Bound on √min_{s<τ} R̂(φ_s); null where vacuous. Without ``rounding`` it is one of exact
    arithmetic, and also on the root of the average of R̂."""
    if not problem.target_inside:
        return OUTSIDE
    L2 = squared_feature_norm(problem, u)
    if problem.eta * L2 >= 1:
        return Bound(None, f"needs ηL² < 1: τ > {math.ceil((problem.eta_scale * L2) ** 2)}")
    return descent_bound(problem, epsilon, L2, problem.nu.squared, rounding)


def descent_bound(
    problem: Problem, epsilon: float, L2: float, V0: float, rounding: Rounding | None = None
) -> Bound:
    """[ε + √(ε² + k V_0/(ητ))]/(2k), k = 1 − ηL² (docs/theory.md §4), and what rounding adds."""
    if problem.eta * L2 >= 1:
        return Bound(None, f"needs ηL² < 1, and ηL² = {problem.eta * L2:.3g}")
    if rounding is None:
        return Bound(rmse_root(epsilon, L2, V0, problem.eta, problem.tau))
    if math.isinf(rounding.gradient):
        told = f"{rounding.dtype} is too coarse for these sizes to be sure of anything"
        return Bound(None, f"{told}: set dtype float64")
    more, longer = rounding.added(problem)
    value = rmse_root(epsilon + more, L2, V0 + longer, problem.eta, problem.tau)
    return Bound(rounding.seen(value))


def rmse_root(epsilon: float, L2: float, distance: float, eta: float, tau: int) -> float:
    """Largest x with kx² − εx ≤ V/(4ητ), k = 1 − ηL²: the last step of the proof.

    [ ε + √( ε² + kV/(ητ) ) ] / (2k) for V = ``distance``; infinite where k ≤ 0. It grows with ε,
    L² and V. A V below the vertex of the parabola (no solution) counts as the vertex.
    """
    k = 1 - eta * L2
    if k <= 0:
        return math.inf
    return (epsilon + math.sqrt(max(0.0, epsilon**2 + k * distance / (eta * tau)))) / (2 * k)


@dataclass(frozen=True)
class Bounds:
    """All bounds of one run; those that are not defined or vacuous carry their reason."""

    linearization: Bound
    linearization_transported: Bound  # ε_lin over Ω_ν, where φ̃ lies
    approximation: Bound
    change_of_feature: Bound
    feature_norm: Bound
    training_rmse: Bound

    @classmethod
    def none(cls, reason: str) -> Bounds:
        """Not one of them is defined."""
        return cls(*[Bound(None, reason, absent="not-defined")] * len(fields(cls)))

    def after(self, covered: bool) -> Bounds:
        """Of a run whose descent is ``covered``, or is not: then that is the first cause why there
        is no training bound."""
        training = self.training_rmse
        if covered or training.value is not None:
            return self
        return replace(self, training_rmse=replace(training, absent="condition-not-met"))

    @property
    def optimization_mse(self) -> Bound:
        rmse = self.training_rmse
        return replace(rmse, value=None if rmse.value is None else rmse.value**2)

    def values(self) -> dict[str, float | None]:
        """As a record keeps them, the training bound both as R̂ and as its root."""
        return {
            "linearization": self.linearization.value,
            "approximation": self.approximation.value,
            "change_of_feature": self.change_of_feature.value,
            "feature_norm": self.feature_norm.value,
            "optimization_mse": self.optimization_mse.value,
            "training_rmse": self.training_rmse.value,
        }


LABEL_SHARE = 0.01  # of δ, spent on the labels' distance to f̃


def bounds(
    problem: Problem, u: Array, *, covered: bool, rounding: Rounding | None = None
) -> Bounds:
    """Every bound of docs/theory.md §4 for one run of the Transformer, ``u`` (m,) as realised.

    Of an unknown target only the bounds that do not involve φ̃ are defined; of a computed one also
    those that hold for every φ̃ ∈ Ω_ν, whatever it depends on. ``covered``: the run is full-batch
    projected descent; ``rounding``: what its arithmetic costs (None: it is exact). The labels
    average finitely many heads, so the bound on what is measured, f_lin(φ̃) − y, adds their own
    distance to f̃, for which 1 % of δ is set aside.
    """
    lin = linearization(problem, u)
    norm = Bound(math.sqrt(squared_feature_norm(problem, u)))
    if problem.target == "unknown":
        unknown = Bound(None, "target class unknown: no transport map", absent="condition-not-met")
        return Bounds(Bound(lin), unknown, unknown, unknown, norm, unknown).after(covered)
    inside = Bound(linearization(replace(problem, rho=problem.nu), u))
    cof = change_of_feature(problem, u)
    if problem.target == "computed":
        reason = "φ̃ was computed from φ_0: the bound needs a map independent of it"
        dependent = Bound(None, reason, absent="condition-not-met")
        return Bounds(Bound(lin), inside, dependent, Bound(cof), norm, dependent).after(covered)
    app = approximation(problem, problem.m // 2, (1 - LABEL_SHARE) * problem.delta)
    app += label_error(problem, LABEL_SHARE * problem.delta)
    training = Bound(None, "not covered: the theorem is about full-batch projected descent")
    if covered:
        training = training_rmse(problem, u, lin + app + cof, rounding)
        training = replace(training, delta=problem.delta)
    return Bounds(
        linearization=Bound(lin),
        linearization_transported=inside,
        approximation=Bound(app, delta=problem.delta),
        change_of_feature=Bound(cof),
        feature_norm=norm,
        training_rmse=training,
    ).after(covered)
