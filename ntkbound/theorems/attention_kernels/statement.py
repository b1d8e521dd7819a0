"""Softmax against Gaussian attention: global optimum or stationary point.

Source: Song, Han, Zhang, Ding, Hong, NeurIPS 2024, arXiv 2411.07538; what is tagged D in
docs/attention-kernels.md is derived there.

**Problem.** N samples X_i ∈ R^{n×D} with a label per token, H heads; W_O fixed:

    MH(X) = Σ_h S_h X W_V^h W_O^h,   f = ½ Σ_i ‖MH(X_i) − y_i‖²,

S = softmax of q·k/√d (softmax), or exp(−‖q − k‖²/(2√d)) (Gaussian), q = X W_Q, k = X W_K.

**Algorithm.** Gradient descent on any of W_Q, W_K, W_V.

**Guarantee.** W_V alone: f_t ≤ (1 − ηα)^t f_0, α = ‖W_O‖² σ_min(B)², B = [S_1X … S_HX], if HD ≥ Nn
(Theorem 1; for several heads with values of their own α is min_h ‖W_O^h‖² σ_min(B)²). All weights,
softmax: linearly, under a condition on the start (Theorem 2). W_Q alone: the Gaussian linearly,
under another condition, the softmax to a stationary point (Theorem 3).

Below: what a run measures, and what is claimed of it. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from ntkbound.core.claim import Claim
from ntkbound.core.quantity import Quantity

# Conditions of a run, as its record names them.
VALUES_ALONE = "W_V alone is trained"
ALL_TRAINED = "W_Q, W_K and W_V are trained"
QUERIES_ALONE = "W_Q alone is trained"
SOFTMAX, GAUSSIAN = "softmax kernel", "Gaussian kernel"
FIXED = "fixed steps"
SMALL_STEP = "η λ_max(G) ≤ 1"
FULL_RANK = "σ_min(B) > 0, HD ≥ Nn"
ONE_ALPHA = "H = 1 or values = dense"
THEOREM_2 = "condition of Theorem 2"
THEOREM_3 = "corrected condition of Theorem 3"

_optional = partial(Quantity, optional=True)  # of some constructions alone
_training = partial(_optional, "optimization", "training")
_attainable = partial(_optional, "floor", "attainable")
_least_squares = partial(_optional, "floor", "least_squares")
_matrix, _gram = partial(_optional, "spectrum", "B"), partial(_optional, "spectrum", "gram")
_jacobian = partial(_optional, "rank", "dC_dQ")
_law = partial(_optional, "law", "value_only")

# The loss is a sum of squares, known relative to the square of its residuals' rounding.
LOSS_RATIO = _training("loss_ratio", "f_T/f_0", trained=True, headline=True, noise="square")
LOSS = _training("loss_final", "f_T", trained=True, noise="square")
SUCCESS = _training("success", "success, f_T/f_0 < 1e-3")
EXCESS = _training("excess_ratio", "(f_T − floor)/f_0")
REACHED = _training("reached_floor", "reached its floor")
TRAP = _training("trap", "trapped above its floor")
RATE, STEP_FINAL = _training("rate", "rate of log f"), _training("step_final", "last step size")

ATTAINABLE = _attainable("value", "attainable floor", headline=True)
FEASIBLE = _attainable("feasible", "labels are feasible")
LEAST_SQUARES = _least_squares("value", "least-squares floor", noise="square")
RELATIVE = _least_squares("relative", "floor over ½‖y‖²", headline=True, noise="square")
THRESHOLD = _least_squares("threshold_agrees", "floor is 0 iff HD ≥ Nn")

SIGMA_B = _matrix("sigma_min", "σ_min(B)", headline=True)
RANK_B, CONDITION_B = _matrix("rank", "rank of B"), _matrix("condition", "condition of B")
LAMBDA_MIN = _gram("lambda_min", "λ_min(G)", headline=True)
LAMBDA_MAX = _gram("lambda_max", "λ_max(G)")
OVER_ALPHA = _gram("over_alpha", "λ_min(G)/α")
RANK = _jacobian("value", "rank of ∂C/∂W_Q", headline=True)
DELTA, NEEDED = _jacobian("sigma_min", "δ"), _jacobian("needed", "rank that is needed")

PL = {
    probe: tuple(_optional("pl", probe, name, label, headline=name == "ratio_min")
                 for name, label in (("ratio_min", f"‖∇f‖²/(2f), {told}"),
                                     ("jacobian_factor", f"its factor of ∂C/∂W_Q, {told}"),
                                     ("residual_factor", f"its factor of the residual, {told}")))
    for probe, told in (("initial", "at the start"), ("trajectory", "least"))
}  # fmt: skip
DESCENT = _optional("descent", "training", "ratio_min", "least decrease over η‖∇f‖²", headline=True)
CONDITIONS = {
    name: _optional("condition", name, "log10_left", f"log10 of the left side, {told}",
                   headline=True)
    for name, told in (("theorem2", "Theorem 2"), ("theorem3", "Theorem 3"),
                       ("theorem3_corrected", "Theorem 3, κ^{-2}"))
}  # fmt: skip
ATTENTION = tuple(
    _optional("attention", "final", name, label, headline=name == "min")
    for name, label in (("min", "least weight"), ("row_sum_min", "least row sum"))
)
DEVIATION = _law("deviation", "off the exact law", headline=True)
OVER_PAPER = _law("over_paper", "f_t over (1 − ηα)^t f_0")
OVER_CORRECTED = _law("over_corrected", "f_t over the corrected bound")
RATE_RATIO = _law("rate_over_law", "rate over 2ηλ_min(G)")

ACCURACY = _optional("image", "test", "accuracy", "test accuracy", trained=True, headline=True)
IMAGE_LOSS = _optional("image", "train", "loss", "training loss", trained=True, headline=True)
LANDSCAPE = tuple(
    _optional("landscape", "QK", name, label, headline=name == "grid_minima")
    for name, label in (("grid_minima", "minima on the grid"), ("range", "range on the grid"),
                        ("laplacian", "mean absolute Laplacian over range"))
)  # fmt: skip

QUANTITIES = (
    LOSS_RATIO, LOSS, SUCCESS, EXCESS, REACHED, TRAP, RATE, STEP_FINAL,
    ATTAINABLE, FEASIBLE, LEAST_SQUARES, RELATIVE, THRESHOLD,
    SIGMA_B, RANK_B, CONDITION_B, LAMBDA_MIN, LAMBDA_MAX, OVER_ALPHA, RANK, DELTA, NEEDED,
    *PL["initial"], *PL["trajectory"], DESCENT, *CONDITIONS.values(), *ATTENTION,
    DEVIATION, OVER_PAPER, OVER_CORRECTED, RATE_RATIO, ACCURACY, IMAGE_LOSS, *LANDSCAPE,
)  # fmt: skip

CERTIFIED: Mapping[str, tuple[Quantity, ...]] = {"loss ratio": (LOSS_RATIO,)}


def _claim(quantity: Quantity, label: str, **form: Any) -> Claim:
    return Claim(**quantity.key._asdict(), label=label, **form)


# What is proved surely is claimed of every run: a single one against it is a counter-example.
_every = partial(_claim, form="fraction", share=1.0)

ROUNDED = 1e-9
BOTH = ("softmax", "gaussian")
CONSTRUCTED = {"labels": ["random", "near", "equal", "teacher"]}  # the theorem's own model
LAW = {"train": "V", "method": "fixed"}
DRAWN = {"labels": "random", "kernel": list(BOTH), "sq": 1.0}
EVERYTHING = {"train": "QKV", "labels": "random", "sv": 1.0, "tau": 2500}
RANDOM = {"train": "Q", "labels": "random", "H": 2, "sv": 3.0}
EQUAL = {"train": "Q", "labels": "equal"}
TEACHER = {"train": "Q", "labels": "teacher"}
NEAR = {"train": "Q", "labels": "near", "sq": 1.0}
ADAM = {"labels": "images", "optimizer": "adam", "sq": 1.0}
SGD = {"labels": "images", "optimizer": "sgd", "sq": 1.0, "steps": {"from": 400}}
DIMENSIONS = (2, 3, 4, 6, 8, 12, 16)
RANKS = {"softmax": (4, 9, 16, 36, 60, 64, 64), "gaussian": (7, 15, 26, 47, 64, 64, 64)}
GRAM = "the Gram matrix is Σ_h ‖W_O^h‖² B_h B_hᵀ, not ‖W_O‖² B Bᵀ"
VALUES = "softmax attains what its values allow; the Gaussian's attainable set is larger"


def _share(where: Mapping[str, Any], label: str, share: float, kind: str = "lower",
           **form: Any) -> Claim:  # fmt: skip
    return _claim(SUCCESS, label, form="fraction", share=share, kind=kind, where=where, **form)


def _order(where: Mapping[str, Any], label: str, sides: tuple[dict[str, Any], dict[str, Any]],
           **form: Any) -> Claim:  # fmt: skip
    """Successes of the first side are fewer than those of the second."""
    return _claim(SUCCESS, label, form="order", smaller=sides[0], larger=sides[1], where=where,
                  **form)  # fmt: skip


def _digits(label: str, sides: tuple[dict[str, Any], dict[str, Any]], where: Mapping[str, Any],
            **form: Any) -> Claim:  # fmt: skip
    """Test accuracy of the first side is below that of the second, seed by seed."""
    return _claim(ACCURACY, label, form="order", smaller=sides[0], larger=sides[1], where=where,
                  **form)  # fmt: skip


FIRST = (  # Theorem 1
    _every(THRESHOLD, "Theorem 1, W_V fits all labels iff HD ≥ Nn", where=DRAWN),
    _every(DEVIATION, "exact law of W_V alone", below=ROUNDED, where=LAW),
    _every(OVER_CORRECTED, "Theorem 1, corrected α", below=1 + ROUNDED, where=LAW),
    _every(OVER_PAPER, "Theorem 1, one head", below=1 + ROUNDED, where={**LAW, "H": 1}),
    _every(OVER_PAPER, "Theorem 1, one matrix W_V", below=1 + ROUNDED,
           where={**LAW, "values": "dense"}),
    _every(OVER_PAPER, "Theorem 1 as stated, four heads", below=1 + ROUNDED,
           where={**LAW, "values": "block", "H": 4, "D": 32}, status="refuted", reason=GRAM),
    _claim(OVER_ALPHA, "one head: λ_min(G) = α", form="level", kind="equal", level=1.0,
           tolerance=1e-6, where={**LAW, "H": 1, "D": 32}),
    _claim(OVER_ALPHA, "four heads: λ_min(G) ≈ α/H", form="level", kind="equal", level=0.25,
           tolerance=0.1, where={**LAW, "values": "block", "H": 4, "D": 32}),
    _every(RATE_RATIO, "late rate at least 2ηλ_min(G)", above=1 - ROUNDED,
           where={**LAW, "H": 4, "D": 32}),
    _claim(RATE_RATIO, "late rate 2ηλ_min(G), but for one run in three", form="fraction",
           share=0.7, below=1.2, where={**LAW, "H": 4, "D": 32, "tau": {"from": 2000}}),
)  # fmt: skip

LATER = (  # Theorems 2 and 3
    _every(CONDITIONS["theorem2"], "Theorem 2: no start meets its condition", above=-1.73,
           where=CONSTRUCTED),
    _every(CONDITIONS["theorem3_corrected"], "Theorem 3: no start meets its condition",
           above=0.0, where=CONSTRUCTED),
    *(_share({**EVERYTHING, "H": 1, "D": D, "kernel": "softmax"},
             f"all weights reach zero, softmax, D = {D}", 0.9) for D in (8, 16, 32)),
    *(_share({**EVERYTHING, "H": 1, "D": D, "kernel": "gaussian"},
             f"all weights reach zero, Gaussian, D = {D}", 0.7) for D in (16, 32)),
    *(_order({**EVERYTHING, "H": 1, "kernel": kernel}, f"large D helps, {kernel}",
             ({"D": 4}, {"D": 32})) for kernel in BOTH),
    *(_claim(RANK, f"rank of ∂C/∂W_Q, D = {D}", form="level", kind="equal", level=rank,
             tolerance=0.0, where={**NEAR, "D": D, "kernel": kernel, "d": 8})
      for kernel in BOTH for D, rank in zip(DIMENSIONS, RANKS[kernel], strict=True)),
    *(_share({**NEAR, "D": D}, f"rank too small, D = {D}", 0.0, "upper") for D in (2, 3)),
    *(_share({**NEAR, "D": D, "kernel": kernel}, f"W_Q alone, labels near, {kernel}, D = {D}", 0.7)
      for kernel in BOTH for D in (12, 16)),
)  # fmt: skip

KERNELS = (  # Gaussian against softmax
    *(_share({**EQUAL, "epsilon": epsilon, "kernel": "gaussian"},
             f"near-equal values, Gaussian, ε = {epsilon:g}", 0.9) for epsilon in (0.0, 0.1, 0.3)),
    *(_share({**EQUAL, "epsilon": epsilon, "kernel": "softmax"},
             f"near-equal values, softmax, ε = {epsilon:g}", 0.0, "upper")
      for epsilon in (0.0, 0.1, 0.3)),
    _every(REACHED, "equal values: softmax on its floor",
           where={**EQUAL, "epsilon": 0.0, "kernel": "softmax"}),
    *(_order({**EQUAL, "epsilon": epsilon}, f"Gaussian ahead, ε = {epsilon:g}",
             ({"kernel": "softmax"}, {"kernel": "gaussian"}), **status)
      for epsilon, status in ((0.0, {}), (0.1, {}), (0.3, {}), (3.0, {"status": "conjecture"}))),
    _share({**RANDOM, "kernel": "gaussian"}, "W_Q alone takes the Gaussian to zero", 1.0,
           status="refuted", reason=VALUES),
    _share({**RANDOM, "kernel": "softmax"}, "W_Q alone does not take the softmax to zero", 0.0,
           "upper", status="refuted", reason=VALUES),
    *(_share({**TEACHER, "student": student, "kernel": kernel},
             f"teacher, student {student:g}, {kernel}", 0.8)
      for kernel in BOTH for student in (0.1, 1.0)),
    _share({**TEACHER, "student": 4.0, "kernel": "gaussian"},
           "large W_Q: the Gaussian stays on its plateau", 0.0, "upper"),
    *(_order({**TEACHER, "kernel": kernel}, f"large W_Q hinders, {kernel}",
             ({"student": 4.0}, {"student": 1.0})) for kernel in BOTH),
    _every(LANDSCAPE[0], "one minimum on the grid", below=1.5, where={"landscape": True}),
    _every(LANDSCAPE[0], "Figure 4: softmax is rough", above=1.5,
           where={"kernel": "softmax", "landscape": True},
           status="refuted", reason="both kernels have one minimum on the grid"),
)  # fmt: skip

SIDES = ({"kernel": "softmax"}, {"kernel": "gaussian"})
FASTER = "by SGD softmax is far ahead; by Adam both end equal"

BESIDE = (  # success beside feasibility; what is said of both kernels
    _every(EXCESS, "no run ends below its floor", above=-ROUNDED, where=CONSTRUCTED),
    _order(RANDOM, "W_Q alone, random labels: Gaussian ahead", SIDES, status="conjecture"),
    *(_claim(PL["trajectory"][0], f"‖∇f‖² ≥ 2·10⁻⁴ f along W_Q, {kernel}", form="fraction",
             share=0.7, above=1e-4, where={**NEAR, "D": 16, "kernel": kernel}) for kernel in BOTH),
)  # fmt: skip

DIGITS = (  # the order of Figures 2 and 3
    _digits("Figures 2, 3: Gaussian ahead, by SGD", SIDES, SGD, status="refuted", reason=FASTER),
    _digits("SGD: softmax ahead", SIDES[::-1], SGD),
    _digits("Adam, 50 steps: softmax ahead", SIDES[::-1], {**ADAM, "steps": 50},
            status="conjecture"),
    _digits("Adam, 400 steps: Gaussian ahead", SIDES, {**ADAM, "steps": 400},
            status="conjecture"),
    _claim(ACCURACY, "SGD from smaller queries and keys: the Gaussian learns, too", form="level",
           kind="lower", level=0.85, where={**SGD, "sq": 0.577, "kernel": "gaussian"}),
    *(_claim(ACCURACY, f"Adam learns digits, {kernel}", form="level", kind="equal", level=0.95,
             tolerance=0.04, where={**ADAM, "steps": 400, "kernel": kernel}) for kernel in BOTH),
)  # fmt: skip

CLAIMS = (*FIRST, *LATER, *KERNELS, *BESIDE, *DIGITS)


def needs(claim: Claim) -> Collection[str]:
    """The conditions that a run has to meet for a claim about its numbers to be about it."""
    if claim.key == OVER_PAPER.key or claim.key == OVER_CORRECTED.key:
        return (SMALL_STEP, FULL_RANK)
    return ()
