"""Finite-time analysis of projected gradient descent for shallow Transformers.

Source: Arda, Cayci, Eryilmaz, *Finite-Time Analysis of Gradient Descent for Shallow Transformers*,
arXiv 2601.16514. The rates are the paper's; every explicit constant is derived in docs/theory.md.

**Problem.** n samples X_j of T tokens in the ball of radius B_x, labels y_j = f̃(X_j) with f̃ in the
class F_ν, and m heads f(X; φ) = m^{-1/2} Σ_i c_i σ(U_i · Σ_t softmax(X W_i q)_t X_t), initialised
symmetrically, so that f(·; φ_0) = 0.

**Algorithm.** φ_{s+1} = Π(φ_s − η ∇R̂(φ_s)) for s < τ with η = 1/√τ and Π onto Ω_ρ.

**Guarantee.** If ν ≤ ρ and ηL² < 1, then with probability at least 1 − δ over the initialisation

    √( min_{s<τ} R̂(φ_s) )  ≤  [ ε + √( ε² + k V_0/(ητ) ) ] / (2k),     k = 1 − ηL²,
    ε = ε_lin + ε_app + ε_cof,     V_0 = ν_c² + ν_u² + ν_w²,

and ε_lin, ε_cof = O(1/√m), ε_app = O(√(log(n/δ)/m)), none of them depending on T.

Notation of this page: u_i = ‖U_i(0)‖, Ū_i = u_i + ρ_u/√m, C = 1 + ρ_c/√m, and
A_i(ρ) = ρ_u + Ū_i ρ_w, so that |Dz_i[Δ]| ≤ A_i(ρ)/√m for every Δ of radii ρ/√m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ntkbound.core.claim import Claim
from ntkbound.core.outcome import Bound
from ntkbound.theorems.shallow_transformer.minimum import minimum

_claim = partial(Claim, model="transformer")

CLAIMS = (
    _claim(term="approximation", probe="transported", statistic="max", axis="m",
           kind="upper", exponent=-0.5),
    _claim(term="linearization", probe="worst", statistic="max", axis="m",
           kind="tight", exponent=-0.5),
    _claim(term="linearization", probe="aligned", statistic="mean", axis="m",
           kind="tight", exponent=-0.5),
    *(
        _claim(term="linearization", probe=probe, statistic="max", axis="m",
               kind="upper", exponent=-0.5)
        for probe in ("trajectory", "random", "transported")
    ),
    *(
        _claim(term="change_of_feature", probe=probe, statistic="max", axis="m",
               kind="upper", exponent=-0.5)
        for probe in ("trajectory", "worst")
    ),
    _claim(term="optimization", probe="training", statistic="min_mse", axis="tau",
           kind="upper", exponent=-0.5, floor=True),
    _claim(term="gradient", probe="training", statistic="feature_norm_max", axis="T",
           kind="upper", exponent=0.0),
    _claim(term="approximation", probe="transported", statistic="max", axis="n",
           kind="log", exponent=0.5),
    _claim(term="optimization", probe="training", statistic="min_mse", axis="m", kind="none"),
)  # fmt: skip


@dataclass(frozen=True)
class Norms:
    """One number per block: the radii ρ of Ω_ρ or the norms ν of a transport map."""

    c: float
    u: float
    w: float

    def __add__(self, other: Norms) -> Norms:
        return Norms(self.c + other.c, self.u + other.u, self.w + other.w)

    @property
    def squared(self) -> float:
        return self.c**2 + self.u**2 + self.w**2

    def inside(self, other: Norms) -> bool:
        """ν ≤ ρ, block by block."""
        return self.c <= other.c and self.u <= other.u and self.w <= other.w


@dataclass(frozen=True)
class Setting:
    """Everything the bounds depend on. T is not among it."""

    n: int
    m: int
    d: int
    u: np.ndarray  # (m,) u_i = ‖U_i(0)‖, known once the heads are drawn
    sigma: tuple[float, float, float]  # σ0 ≥ |σ|, σ1 ≥ |σ'|, σ2 ≥ |σ''|
    rho: Norms
    nu: Norms
    eta: float
    tau: int
    delta: float
    B_x: float = 1.0  # ‖X_t‖ ≤ B_x
    B_q: float = 1.0  # ‖q‖ ≤ B_q

    def normalised(self) -> Setting:
        """The same model with tokens and query in unit balls.

        U·a and U, ρ_u, ν_u scale by B_x; X W q and ρ_w, ν_w by B_x B_q.
        """

        def scale(r: Norms) -> Norms:
            return Norms(r.c, self.B_x * r.u, self.B_x * self.B_q * r.w)

        return replace(
            self, u=self.B_x * self.u, rho=scale(self.rho), nu=scale(self.nu), B_x=1.0, B_q=1.0
        )


def linearization(setting: Setting, radii: Norms) -> float:
    """ε_lin ≥ sup over Ω_radii and X of |f − f_lin|, with certainty.

    f − f_lin is half a second derivative along the segment from φ_0 to φ, and

        ε_lin = (1/(2√m)) mean_i κ_i,
        κ_i = 2 ρ_c σ1 A_i + C [ σ2 A_i² + σ1 (2 ρ_u ρ_w + Ū_i ρ_w²) ].
    """
    s = replace(setting, rho=radii).normalised()
    _, s1, s2 = s.sigma
    r, root = s.rho, math.sqrt(s.m)
    U = s.u + r.u / root
    A = r.u + U * r.w
    kappa = 2 * r.c * s1 * A
    kappa += (1 + r.c / root) * (s2 * A**2 + s1 * (2 * r.u * r.w + U * r.w**2))
    return float(kappa.mean()) / (2 * root)


def change_of_feature(setting: Setting) -> float:
    """ε_cof ≥ |⟨∇f(φ) − ∇f(φ_0), φ − φ̃⟩| for all φ ∈ Ω_ρ and φ̃ ∈ Ω_ν, with certainty.

    A second derivative in the directions φ − φ_0 (radii ρ) and φ − φ̃ (radii ρ' = ρ + ν):

        ε_cof = (1/√m) mean_i κ'_i,
        κ'_i = σ1 (ρ_c A'_i + ρ'_c A_i)
               + C [ σ2 A_i A'_i + σ1 (ρ_u ρ'_w + ρ'_u ρ_w + Ū_i ρ_w ρ'_w) ].
    """
    s = setting.normalised()
    _, s1, s2 = s.sigma
    r, root = s.rho, math.sqrt(s.m)
    far = r + s.nu
    U = s.u + r.u / root
    A, B = r.u + U * r.w, far.u + U * far.w
    kappa = s1 * (r.c * B + far.c * A)
    mixed = r.u * far.w + far.u * r.w + U * r.w * far.w
    kappa += (1 + r.c / root) * (s2 * A * B + s1 * mixed)
    return float(kappa.mean()) / root


def approximation(setting: Setting, pairs: int, delta: float) -> float:
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
    s0, s1, _ = setting.sigma
    nu = setting.nu
    alpha = nu.c * s0 + nu.u * s1 * setting.B_x
    beta = nu.w * s1 * setting.B_x**2 * setting.B_q
    log_term = math.log(2 * setting.n / delta) / pairs
    if beta == 0:
        return alpha * math.sqrt(8 * log_term)
    spread = math.sqrt(setting.d) * beta

    def at(logit: np.ndarray) -> np.ndarray:  # of λ as a share of its largest value, 1/(√2 β)
        share = 1 / (1 + np.exp(-logit))
        x, lam = share**2, share / (math.sqrt(2) * beta)
        product = alpha * x + np.sqrt((alpha * x) ** 2 + 4 * (1 - x) * spread**2)
        product /= 2 * (1 - x)  # αs
        square = 2 * lam**2 * alpha * (alpha + product)
        exponent = square + 2 * setting.d * np.log(product / spread) + log_term
        return np.asarray(exponent / lam)

    gaussian = math.sqrt(log_term / (alpha**2 + spread**2))  # λ, where its largest value is far
    return minimum(at, math.log(min(1.0, gaussian * beta)) - 4, 12)


def label_error(setting: Setting, teacher_heads: int, delta: float) -> float:
    """Bound on max_j |y_j − f̃(X_j)|: labels average ``teacher_heads`` independent heads."""
    return approximation(setting, teacher_heads, delta)


def squared_feature_norm(setting: Setting) -> float:
    """L² ≥ max_j sup over Ω_ρ of ‖∇f(X_j; φ)‖², whatever T is:

    L² = mean_i [ σ0² + C²σ1²(B_x² + B_x⁴ B_q² Ū_i²) ], Ū_i unscaled. p is a probability vector, so
    ‖a‖ ≤ B_x, and the weighted token covariance has ‖M‖ ≤ B_x².
    """
    s0, s1, _ = setting.sigma
    root = math.sqrt(setting.m)
    U = setting.u + setting.rho.u / root
    C = 1 + setting.rho.c / root
    inner = setting.B_x**2 + setting.B_x**4 * setting.B_q**2 * U**2
    return float((s0**2 + C**2 * s1**2 * inner).mean())


def training_rmse(setting: Setting, epsilon: float) -> Bound:
    """Bound on √min_{s<τ} R̂(φ_s), and on the root of the average of R̂; null where vacuous."""
    L2 = squared_feature_norm(setting)
    if not setting.nu.inside(setting.rho):
        return Bound(None, "needs ν ≤ ρ: the target must lie inside the projection ball")
    k = 1 - setting.eta * L2
    if k <= 0:
        scale = setting.eta * math.sqrt(setting.tau)
        return Bound(None, f"needs ηL² < 1: τ > {math.ceil((scale * L2) ** 2)}")
    return Bound(rmse_root(epsilon, L2, setting.nu.squared, setting.eta, setting.tau))


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

    @property
    def optimization_mse(self) -> Bound:
        rmse = self.training_rmse
        return replace(rmse, value=None if rmse.value is None else rmse.value**2)


LABEL_SHARE = 0.01  # of δ, spent on the labels' distance to f̃


def bounds(
    setting: Setting, teacher_heads: int | None, covered: bool, *, computed: bool = False
) -> Bounds:
    """Every bound of §3 for one run.

    ``teacher_heads`` is None where the target's transport map is not known: then only the bounds
    that do not involve φ̃ are defined; with a ``computed`` φ̃ also those that hold for every
    φ̃ ∈ Ω_ν, whatever it depends on. ``covered``: the run is full-batch projected descent. The
    labels average finitely many heads, so the bound on what is measured, f_lin(φ̃) − y, adds their
    own distance to f̃, for which 1 % of δ is set aside.
    """
    lin = linearization(setting, setting.rho)
    feature_norm = Bound(math.sqrt(squared_feature_norm(setting)))
    if computed:
        dependent = Bound(None, "φ̃ was computed from φ_0: the bound needs a map independent of it")
        inside = Bound(linearization(setting, setting.nu))
        change = Bound(change_of_feature(setting))
        return Bounds(Bound(lin), inside, dependent, change, feature_norm, dependent)
    if teacher_heads is None:
        unknown = Bound(None, "target class unknown: no transport map")
        return Bounds(Bound(lin), unknown, unknown, unknown, feature_norm, unknown)
    app = approximation(setting, setting.m // 2, (1 - LABEL_SHARE) * setting.delta)
    app += label_error(setting, teacher_heads, LABEL_SHARE * setting.delta)
    cof = change_of_feature(setting)
    training = (
        replace(training_rmse(setting, lin + app + cof), delta=setting.delta)
        if covered
        else Bound(None, "not covered: the theorem is about full-batch projected descent")
    )
    return Bounds(
        linearization=Bound(lin),
        linearization_transported=Bound(linearization(setting, setting.nu)),
        approximation=Bound(app, delta=setting.delta),
        change_of_feature=Bound(cof),
        feature_norm=feature_norm,
        training_rmse=training,
    )
