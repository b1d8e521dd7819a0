"""Convergence of encoder-only shallow Transformers.

Source: Wu, Liu, Chrysos, Cevher, NeurIPS 2023, arXiv 2311.01575; what is corrected or derived is
told in docs/encoder-only.md.

**Problem.** N samples X_n (ds tokens as rows, d features), targets y_n; one layer of attention and
a ReLU, f(X) = s Σ_i ReLU(Z_i)·w_O with Z = softmax(τ0 X W_Qᵀ W_K Xᵀ) X W_Vᵀ, width dm.

**Algorithm.** Full-batch gradient descent on all four blocks in ℓ = (w/2) Σ_n (f(X_n) − y_n)².

**Guarantee.** With α = σ_min(F) of the features at initialisation, dm ≥ N, and two conditions (2)
and (3) that α be large against √ℓ_0 and the spectral norms of the weights,

    ℓ_t ≤ (1 − γα²/2)^t ℓ_0      (Proposition 1; the proof gives /4),

met for dm = Ω̃(N³) at τ0 = dm^{-1/2} and Ω̃(N²) at τ0 = dm^{-1} (Theorem 1), Ω̃(N) for NTK
initialisation (Theorem 2). At τ0 = dm^{-1} the Hessian is O(dm^{-1/2}) (Theorem 3).

Below: what a run measures, and what is claimed of it. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from ntkbound.core.claim import Along, Claim
from ntkbound.core.quantity import Quantity

# Conditions of a run, as its record names them. (2), (3) and the step are those of Proposition 1.
WIDE = "dm ≥ N"
FEW = "N ≤ d (Lemma 15)"
TWO_ONE, THREE_ONE = "(2) with C = 1", "(3) with C = 1"
TWO_INIT, THREE_INIT = "(2) with C = norms at init", "(3) with C = norms at init"
PROP_1 = "Proposition 1: (2), (3) and γ ≤ 1/C"
ASSUMPTION_2 = "Assumption 2: tokens of full row rank"
ASSUMPTION_3 = "Assumption 3: similarities reach 0"

_training = partial(Quantity, "optimization", "training")
_initial, _final = partial(Quantity, "kernel", "initial"), partial(Quantity, "kernel", "final")
_trajectory, _descent = (
    partial(Quantity, "kernel", "trajectory"),
    partial(Quantity, "descent", "training"),
)
_similarity = partial(Quantity, "similarity", "data")

LOSS_RATIO = _training("loss_ratio", "ℓ_T/ℓ_0", trained=True, headline=True)
# Loss ratios spread over decades: arms are compared by their logarithms.
LOG_LOSS_RATIO = _training("log_loss_ratio", "log10 ℓ_T/ℓ_0", trained=True)
RATE, RATE_R2 = _training("rate", "rate of log ℓ"), _training("rate_r2", "R² of log ℓ")
RATE_PAPER, RATE_PROOF = (
    _training("rate_paper", "−log(1 − γwα²/2)"),
    _training("rate_proof", "−log(1 − γwα²/4)"),
)
RATE_OVER_ALPHA = _training("rate_over_alpha", "rate over log(1 − γwα²/2)")
RATE_OVER_KERNEL = _training("rate_over_kernel", "rate over −2γwλ_min(K_0)")
LINEARIZED = _training("linearized_ratio", "ℓ_T/ℓ_0 of the linearised model")
STEP = _training("normalised_step", "γwλ_max(K_0)")
STEPS_TO = _training("steps_to_1e-2", "steps to ℓ_t/ℓ_0 = 1e-2")

ACCURACY = Quantity("image", "test", "accuracy", "test accuracy", trained=True, headline=True)
IMAGE_LOSS = Quantity("image", "train", "loss", "training loss", trained=True, headline=True)

BLOCKS = ("O", "V", "Q", "K")
LAMBDA_MIN = _initial("lambda_min", "λ_min(K_0)", headline=True)
LAMBDA_MAX, ALPHA_SQUARED = _initial("lambda_max", "λ_max(K_0)"), _initial("alpha_squared", "α²")
TRACE = _initial("trace", "tr K_0")
TRACES = {block: _initial(f"trace_{block}", f"tr K_{block}") for block in BLOCKS}
SHARE_QK, RANK = _initial("share_QK", "tr(K_Q + K_K)/tr K_0"), _initial("rank", "rank of K_0")
TO_LIMIT = _initial("distance_to_limit", "‖K_0 − K_∞‖/‖K_∞‖")
TO_PRINTED = _initial("distance_to_printed_limit", "the same to Lemma 1 as printed")
KERNEL_MOVED = _final("distance", "1 − cos(K_0, K_T)", trained=True, headline=True, noise="square")
KERNEL_MOST = _trajectory("distance_max", "largest 1 − cos(K_0, K_t)", trained=True, noise="square")
KERNEL_STEP = _trajectory("distance_step", "step of the largest 1 − cos(K_0, K_t)", trained=True)

WHAT_MOVES = {"O": "w_O", "V": "W_V", "Q": "W_Q", "K": "W_K", "all": "θ"}
DRIFTS = {"relative": "‖Δ{0}‖/‖{0}‖", "absolute": "‖Δ{0}‖", "spectral_over_C": "λ(Δ{0})/C_*"}
DRIFT = {
    probe: {
        name: Quantity(
            "drift",
            probe,
            name,
            told.format(letter),
            trained=True,
            headline=name == "relative",
        )
        for name, told in DRIFTS.items()
    }
    for probe, letter in WHAT_MOVES.items()
}
HESSIAN = Quantity("hessian", "initial", "norm", "‖Hessian of f(X_1)‖", headline=True)

RATIO_MIN, RATIO_MEDIAN = (
    _descent("ratio_min", "least D_t", headline=True),
    _descent("ratio_median", "median D_t"),
)
SHARE_O, ALIGNMENT = (
    _descent("share_O", "‖∇_O‖²/‖∇‖²"),
    _descent("alignment", "‖Fᵀr‖²/(σ_min²‖r‖²)"),
)
SIGMA = _descent("sigma_over_alpha_min", "least σ_min(F_t)/α")
LEMMA_12 = _descent("lemma12_max", "largest gradient norm over Lemma 12")

ASKED = {"ratio2": "(2): α²/rhs", "ratio3": "(3): α³/rhs", "step_over_limit": "γ c_1c_2"}
CONDITION = {
    probe: {
        name: Quantity(
            "condition", probe, name, f"{told}, {norms}", headline=name != "step_over_limit"
        )
        for name, told in ASKED.items()
    }
    for probe, norms in (("prop1_one", "C = 1"), ("prop1_init", "C = norms"))
}
SIMILARITY = {
    "min": _similarity("min", "least ‖X_n X_mᵀ‖²", headline=True),
    "median": _similarity("median", "median ‖X_n X_mᵀ‖²"),
    "row_rank": _similarity("row_rank", "least rank of X_n"),
    "token_mean_rank": _similarity("token_mean_rank", "rank of the mean tokens"),
}

QUANTITIES = (
    LOSS_RATIO, LOG_LOSS_RATIO, RATE, RATE_R2, RATE_PAPER, RATE_PROOF, RATE_OVER_ALPHA,
    RATE_OVER_KERNEL, LINEARIZED, STEP, STEPS_TO, ACCURACY, IMAGE_LOSS,
    LAMBDA_MIN, LAMBDA_MAX, ALPHA_SQUARED, TRACE, *TRACES.values(), SHARE_QK, RANK,
    TO_LIMIT, TO_PRINTED, KERNEL_MOVED, KERNEL_MOST, KERNEL_STEP,
    *(one for group in DRIFT.values() for one in group.values()), HESSIAN,
    RATIO_MIN, RATIO_MEDIAN, SHARE_O, ALIGNMENT, SIGMA, LEMMA_12,
    *(one for group in CONDITION.values() for one in group.values()), *SIMILARITY.values(),
)  # fmt: skip

CERTIFIED: Mapping[str, tuple[Quantity, ...]] = {
    "loss": (LOSS_RATIO,),
    "gradient norms": (LEMMA_12,),
    "kernel": (ALPHA_SQUARED,),
}


def _claim(quantity: Quantity, label: str, **form: Any) -> Claim:
    return Claim(**quantity.key._asdict(), label=label, **form)


_width = partial(_claim, form="rate", axis="dm")
_decay = partial(_claim, LOSS_RATIO, form="exponential", axis="step", kind="upper")
_order = partial(_claim, LOG_LOSS_RATIO, form="order")

ROUNDED = 1e-9
LECUN_HE = {"init": ["lecun", "he"]}
LECUN, HE, NTK = {"init": "lecun"}, {"init": "he"}, {"init": "ntk"}
ONE, HALF = {"scaling": "one"}, {"scaling": "half"}
NTK_ONE, NTK_HALF = {**NTK, **ONE}, {**NTK, **HALF}
CONSTANT = {"step": ["fixed", "kernel"]}  # the others have no one rate
HALF_FASTER = {"smaller": HALF, "larger": ONE}
LECUN_FASTER = {"smaller": LECUN, "larger": NTK}
TRAINED = {"tau": {"from": 40}}  # who is faster shows after some steps alone
SHARED = {"gamma_of": "half", "step": "kernel"}
OWN_STEP = "who is faster at steps of their own depends on the data"


def _conjecture(reason: str) -> dict[str, str]:
    return {"status": "conjecture", "reason": reason}


def _refuted(reason: str) -> dict[str, str]:
    return {"status": "refuted", "reason": reason}


CONVERGENCE = (
    _decay("Proposition 1 as its proof has it", rate=RATE_PROOF.key._asdict(), where=CONSTANT),
    _decay("Proposition 1 as stated", rate=RATE_PAPER.key._asdict(), where=CONSTANT,
           **_conjecture("the last display of the proof has γα²/4")),
)  # fmt: skip
DATA = (_claim(SIMILARITY["min"], "Assumption 3", form="fraction", share=1.0, below=ROUNDED),)
CONDITIONS = (
    *(_width(CONDITION["prop1_one"][name], f"Theorem 1, ({name[-1]}) with C = 1", kind="lower",
             exponent=0) for name in ("ratio2", "ratio3")),
    *(_width(CONDITION["prop1_init"][name], f"Theorem 2, ({name[-1]}) repaired", kind="lower",
             exponent=0, where=NTK_ONE) for name in ("ratio2", "ratio3")),
)  # fmt: skip
KERNEL = (
    _width(LAMBDA_MIN, "λ_min(K) ∝ dm, LeCun", kind="tight", exponent=1, start=256, where=LECUN),
    _width(LAMBDA_MIN, "λ_min(K) ∝ dm, He", kind="tight", exponent=1, start=256, where=HE,
           **_conjecture("not seen up to dm = 2048")),
    _width(LAMBDA_MAX, "λ_max(K) ∝ dm", kind="tight", exponent=1, start=256, where=LECUN_HE),
    _width(ALPHA_SQUARED, "α² ∝ dm, at least", kind="lower", exponent=1, start=256,
           where=LECUN_HE),
    _width(ALPHA_SQUARED, "α² ∝ dm, exactly", kind="tight", exponent=1, start=256,
           where=LECUN_HE, **_conjecture("still rising at dm = 2048")),
    _width(LAMBDA_MIN, "λ_min(K) ∝ dm⁰, NTK half", kind="tight", exponent=0, start=256,
           where=NTK_HALF),
    _width(LAMBDA_MIN, "λ_min(K) ∝ dm⁰, NTK one", kind="tight", exponent=0, start=256,
           where=NTK_ONE, **_conjecture("falls to its limit")),
    _width(TO_LIMIT, "Lemma 1, corrected", kind="upper", exponent=-0.5, start=256, where=NTK_ONE),
    _width(TO_PRINTED, "Lemma 1 as printed", kind="upper", exponent=-0.5, start=256,
           where=NTK_ONE, **_refuted("printed without the derivative and without ∘")),
)  # fmt: skip
CURVATURE = (
    _width(HESSIAN, "Theorem 3, NTK", kind="upper", exponent=-0.5, start=256, where=NTK_ONE),
    *(_width(HESSIAN, f"Theorem 3, {told}", kind="upper", exponent=-0.5, start=256,
             where={**init, **ONE}, **_refuted("its proof takes weights N(0, 1) and d = 1"))
      for init, told in ((LECUN, "LeCun"), (HE, "He"))),
)  # fmt: skip
SAMPLES = (
    _claim(LAMBDA_MIN, "Lemma 19", form="rate", axis="N", kind="lower", exponent=1,
           **_refuted("takes λ_min(Φ*Φ*ᵀ) for λ_min(Φ*ᵀΦ*); λ_min ≤ tr/N = O(1)")),
    _claim(ALPHA_SQUARED, "Lemma 15, λ_0 whatever N", form="rate", axis="N", kind="lower",
           exponent=0, **_refuted("proved through λ_min(ΦΦᵀ), which is 0 for N > d")),
)  # fmt: skip
MOVEMENT = (
    _width(KERNEL_MOVED, "kernel stable with width", kind="upper", exponent=0),
    *(_width(DRIFT[block]["relative"], f"lazy in W_{block}", kind="upper", exponent=0)
      for block in ("V", "Q", "K")),
)  # fmt: skip
OUTPUT = (
    _claim(DRIFT["O"]["relative"], "lazy in w_O", form="level", kind="upper", level=1.0,
           where={**LECUN_HE, "tau": {"from": 400}},
           **_conjecture("w_O starts at norm 1 and moves by more")),
)  # fmt: skip
REGIME = tuple(
    _claim(LINEARIZED, f"the kernel regime is the loss, {told}", form="level", kind="equal",
           level=LOSS_RATIO.key._asdict(), tolerance=0.1,
           where={**init, "dm": {"from": 1000}, "N": {"from": 100}, "step": "fixed"}, **status)
    for init, told, status in (
        (NTK, "NTK", {}), (LECUN, "LeCun", _conjecture("features are learnt: it is faster")))
)  # fmt: skip
SCALING: Mapping[str, Claim] = {
    **{tokens: _order(f"(i) half faster at one step, {tokens}", **HALF_FASTER,
                      where={**SHARED, **LECUN, "tokens": tokens, "dm": {"from": 64}})
       for tokens in ("centred", "raw")},
    "unit": _order("(i) half faster at one step, unit", **HALF_FASTER,
                   where={**SHARED, **LECUN, "tokens": "unit"},
                   **_conjecture("logits of size 1/d: the softmax is flat in both")),
    "own": _order("(i) half faster, each at 1/λ_max of its own", **HALF_FASTER,
                  where={"step": "kernel", "gamma_of": "own", **TRAINED}, **_conjecture(OWN_STEP)),
    "adaptive": _order("(i) half faster, adaptive", **HALF_FASTER,
                       where={"step": "adaptive", **TRAINED}, **_conjecture(OWN_STEP)),
}  # fmt: skip
INITIALISATION: Mapping[str, Claim] = {
    "fixed": _order("(ii) LeCun faster than NTK at one γ", **LECUN_FASTER,
                    where={"step": "fixed", "tokens": "unit"}),
    "own": _order("(ii) LeCun faster than NTK at its own step", **LECUN_FASTER,
                  where={"step": ["kernel", "adaptive"], **TRAINED}, **_conjecture(OWN_STEP)),
}  # fmt: skip
COROLLARY_1 = (
    _order("(iii) Corollary 1: a vector as one token", smaller={"ds": 1, "d": 100},
           larger={"ds": 100, "d": 1}),
    _claim(RANK, "(iii) Corollary 1: rank of the kernel", form="order",
           smaller={"ds": 100, "d": 1}, larger={"ds": 1, "d": 100}),
)  # fmt: skip
IMAGES = (
    _claim(IMAGE_LOSS, "images: half below one", form="order", **HALF_FASTER,
           where={"task": "images", "dm": {"from": 256}}),
    _claim(ACCURACY, "images: half more accurate than one", form="order", smaller=ONE,
           larger=HALF, where={"task": "images", "dm": {"from": 256}}),
)  # fmt: skip

CLAIMS = (*CONVERGENCE, *DATA, *CONDITIONS, *KERNEL, *CURVATURE, *SAMPLES, *MOVEMENT, *OUTPUT,
          *REGIME, *SCALING.values(), *INITIALISATION.values(), *COROLLARY_1, *IMAGES)  # fmt: skip

_OF_ONE = {
    CONDITION["prop1_one"]["ratio2"].key: TWO_ONE,
    CONDITION["prop1_one"]["ratio3"].key: THREE_ONE,
}


def needs(claim: Claim) -> Collection[str]:
    """The conditions that a run has to meet for a claim about its numbers to be about it.

    Proposition 1 is about the loss along the steps of runs that meet its conditions, and a law of
    (2) or (3) in the width about runs that meet them; Assumption 3 is one of the data.
    """
    if claim.key == SIMILARITY["min"].key:
        return (ASSUMPTION_3,)
    if not isinstance(claim, Along):
        return ()
    if claim.inside and claim.key == LOSS_RATIO.key:
        return (WIDE, PROP_1)
    return (_OF_ONE[claim.key],) if claim.axis == "dm" and claim.key in _OF_ONE else ()
