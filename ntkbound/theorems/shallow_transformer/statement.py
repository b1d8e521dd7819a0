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

Below: what a run measures, and what the theorem claims about it. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from ntkbound.core.claim import Claim
from ntkbound.core.quantity import Quantity

NAME = "shallow-transformer"

# Conditions of a run, as its record names them.
TRANSPORT = "transport known"
INDEPENDENT = "transport independent of the initialisation"
INSIDE = "target inside the ball"
UNIT_TOKENS = "tokens in the unit ball"
SMALL_STEP = "step small enough"
PROJECTED = "full-batch projected descent"
IN_BALL = "trajectory in the ball"

_lin = partial(Quantity, "linearization")
_app = partial(Quantity, "approximation")
_cof = partial(Quantity, "change_of_feature")
_training = partial(Quantity, "optimization", "training", trained=True)
_gradient = partial(Quantity, "gradient", "training", headline=True)

RANDOM = _lin("random", "max", "ε_lin, random", headline=True)
ALIGNED = _lin("aligned", "mean", "mean ε_lin, aligned")
ALIGNED_MAX = _lin("aligned", "max", "ε_lin, aligned", headline=True)
TRAJECTORY = _lin("trajectory", "max", "ε_lin, trajectory", headline=True)
WORST = _lin("worst", "max", "ε_lin, worst", headline=True)
# What is measured at φ̃ is missing where no map is known.
TRANSPORTED = _lin("transported", "max", "ε_lin, at φ̃", headline=True, optional=True)
APPROXIMATION = _app("transported", "max", "ε_app", headline=True, optional=True)
COF = _cof("trajectory", "max", "ε_cof, trajectory", headline=True, optional=True)
COF_WORST = _cof("worst", "max", "ε_cof, worst", headline=True, optional=True)

MIN_MSE = _training("min_mse", "min R̂(φ_s)", headline=True, noise="square")
MIN_RMSE = _training("min_rmse", "√min R̂(φ_s)")
MEAN_MSE = _training("mean_mse", "mean R̂(φ_s)", noise="square")
FINAL_MSE = _training("final_mse", "R̂(φ_τ)", noise="square")
VALIDATION = _training(
    "min_validation_mse", "best validation MSE", headline=True, noise="square", optional=True
)
BEST_STEP = _training("best_step", "best step s")
NOISE_FLOOR = _training("noise_floor", "noise floor", optional=True)

FEATURE_NORM = _gradient("feature_norm_max", "max ‖∇f‖")
LOSS_GRADIENT = _gradient("loss_gradient_norm_max", "max ‖∇R̂‖")

# Of a trace: R̂ and ‖∇R̂‖ at the recorded steps.
TRACED_MSE = Quantity("optimization", "training", "mse", "R̂(φ_s)", trained=True, noise="square")
TRACED_GRADIENT = Quantity("gradient", "training", "loss_gradient_norm", "‖∇R̂‖")

_SHOWN = (
    RANDOM, ALIGNED, ALIGNED_MAX, TRAJECTORY, WORST, TRANSPORTED, APPROXIMATION, COF, COF_WORST,
    MIN_MSE, MIN_RMSE, MEAN_MSE, FINAL_MSE, VALIDATION, BEST_STEP, NOISE_FLOOR, FEATURE_NORM,
    LOSS_GRADIENT,
)  # fmt: skip
_PROBES = (
    *((_lin, probe, f"ε_lin, {probe}", False) for probe in ("random", "aligned", "trajectory",
                                                             "worst")),
    (_lin, "transported", "ε_lin, at φ̃", True),
    (_app, "transported", "ε_app", True),
    *((_cof, probe, f"ε_cof, {probe}", True) for probe in ("trajectory", "worst")),
)  # fmt: skip
_MEASURED = (
    *(term(probe, statistic, f"{opening}{label}", optional=optional)
      for term, probe, label, optional in _PROBES
      for statistic, opening in (("max", ""), ("mean", "mean "), ("rms", "rms "))),
    _app("transported", "standard_error", "standard error of ε_app", optional=True),
    *(Quantity("gradient", probe, block, f"{label}, block {block}", optional=block != "c")
      for probe, label in (("boundary_fraction", "heads on ∂Ω_ρ"), ("reach", "reach"))
      for block in ("c", "U", "W", "k", "w")),
)  # fmt: skip
# Everything that a run may record; what is declared with a label or as a headline goes first.
QUANTITIES = tuple({q.key: q for q in (*_MEASURED, *_SHOWN)}.values())

# Term of a certificate → what it is compared with, the first that was measured.
CERTIFIED: Mapping[str, tuple[Quantity, ...]] = {
    "linearization": (WORST, TRAJECTORY),
    "approximation": (APPROXIMATION,),
    "change_of_feature": (COF_WORST, COF),
    "feature_norm": (FEATURE_NORM,),
    "training_rmse": (MIN_RMSE,),
}


def _claim(quantity: Quantity, axis: str, **form: object) -> Claim:
    """About Transformers alone: of another model the theorem says nothing."""
    about = dict(zip(("term", "probe", "statistic"), quantity.key, strict=True))
    where = {"model": "transformer"}
    return Claim(**about, axis=axis, where=where, **form)


_root = partial(_claim, axis="m", exponent=-0.5)

CLAIMS = (
    _root(APPROXIMATION, kind="upper"),
    _root(WORST, kind="tight"),
    _root(ALIGNED, kind="tight"),
    *(_root(quantity, kind="upper") for quantity in (TRAJECTORY, RANDOM, TRANSPORTED)),
    *(_root(quantity, kind="upper") for quantity in (COF, COF_WORST)),
    _claim(MIN_MSE, "tau", kind="upper", exponent=-0.5, floor=True),
    _claim(FEATURE_NORM, "T", kind="upper", exponent=0.0),
    _claim(APPROXIMATION, "n", kind="upper", exponent=0.0, log_power=0.5),
)

# What is claimed about a computed φ̃ along these is about one and the same φ̃.
_MAP_STAYS = frozenset({"tau", "eta", "eta_scale", "rho"})
_OF_PROOF = frozenset({MIN_MSE.key, MIN_RMSE.key, MEAN_MSE.key})  # what the guarantee is about


def needs(claim: Claim) -> Collection[str]:
    """The conditions that a run has to meet for a claim about its numbers to be about it.

    A rate of anything measured at φ̃ compares the maps of different runs: the paper's constants are
    those of one ν, which a map drawn apart from φ_0 has at every m, n and T, and one computed from
    φ_0 has not. (ν of a drawn map is a field of the config, held equal along any other axis.) What
    is measured on the trajectory is claimed of Ω_ρ, so the trajectory must stay there; and the
    guarantee, a rate in τ or m, is about projected descent towards a target inside, in small steps.
    """
    conditions: list[str] = []
    at_map = claim.term in (APPROXIMATION.term, COF.term) or claim.probe == TRANSPORTED.probe
    guarantee = claim.key in _OF_PROOF and not {"tau", "m"}.isdisjoint(claim.along)
    if at_map or guarantee:
        conditions.append(TRANSPORT)
        if not _MAP_STAYS.issuperset(claim.along) or claim.term == APPROXIMATION.term:
            conditions.append(INDEPENDENT)
    if guarantee:
        conditions += [PROJECTED, INSIDE, SMALL_STEP]
    if claim.probe == TRAJECTORY.probe or claim.key == FEATURE_NORM.key:
        conditions.append(IN_BALL)
    return conditions
