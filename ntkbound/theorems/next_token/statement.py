"""Non-asymptotic convergence of training Transformers for next-token prediction.

Source: Huang, Liang, Yang, NeurIPS 2024, arXiv 2409.17335; what is tagged D in docs/next-token.md
is derived there.

**Problem.** V tokens with orthonormal embeddings; a sentence s with query q = its last token; one
layer z = Σ_l φ_l W_ov[:, s_l], φ = softmax of W_kq[s_l, q]; cross-entropy of the next token. Every
one-token sentence x has one next token n(x), and each input a single optimal token n^{-1}(target).

**Algorithm.** Normalised gradient descent, W ← W − η ∇/‖∇‖: T0 steps on W_ov in the loss of
one-token sentences, then T1 steps on W_kq in the loss of all inputs, from zero.

**Guarantee.** The directions converge to those of largest margin, W_ov* and W_kq*,

    ½‖W_kq/‖W_kq‖ − W_kq*/‖W_kq*‖‖² ≤ 27 N L⁴ ‖W_kq*‖⁴ log²t/(tη)      (Theorem 1),

the loss linearly (Theorem 2), and logits keep the order on sentences never seen (Theorem 3).

Below: what a run measures, and what is claimed of it. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from ntkbound.core.claim import Along, Claim, Order
from ntkbound.core.quantity import Quantity

# Conditions of a run, as its record names them.
ZERO_START = "W_ov starts at zero"
EQUAL_WEIGHTS = "equal weights in stage 1"
ALL_KNOWN = "every token has a next one"
SMALL_FIRST = "2 η0 ≤ ‖W_ov*‖"
NORMALISED = "normalised descent in stage 2"
FREQUENT = "optimal tokens most frequent"
SMALL_STEP = "η ≤ ‖W_kq*‖/e"
CLOSED_FORM = "closed form of Proposition 2"
LATE = "t ≥ t0 of Lemma 7"
LONG_FIRST = "T0 as Corollary 1 asks"

# What a short run, or one of another task, cannot tell is optional.
_kq = partial(Quantity, "direction", "kq", noise="square")
_ov = partial(Quantity, "direction", "ov", noise="square")
_loss = partial(Quantity, "loss", "training")
_attention = partial(Quantity, "attention", "training")
_order = partial(Quantity, "order", "kq")
_qp = partial(Quantity, "margin", "qp")

KQ_GAP = _kq("gap", "1 − cos of W_kq", trained=True, headline=True)
KQ_MARGIN = _kq("margin_certificate", "margin certificate of W_kq")
KQ_TELESCOPED = _kq("telescoped_certificate", "telescoped certificate of W_kq", optional=True)
_LATE = (("late_slope", "slope of 1 − cos in t"), ("scaled_ratio", "t(1 − cos)/log²t, T over T/10"))
KQ_SLOPE, KQ_SCALED = (_kq(name, f"{label}, W_kq", noise="amplitude", optional=True)
                       for name, label in _LATE)  # fmt: skip
OV_GAP = _ov("gap", "1 − cos of W_ov", trained=True, headline=True)
OV_MARGIN = _ov("margin_certificate", "margin certificate of W_ov")
OV_SLOPE, OV_SCALED = (_ov(name, f"{label}, W_ov", noise="amplitude", optional=True)
                       for name, label in _LATE)  # fmt: skip

NORMS = {
    probe: tuple(Quantity("norm", probe, name, label, headline=name == "ratio")
                 for name, label in (("ratio", ratio), ("ratio_min", f"least {ratio}"),
                                     ("over_lower_bound", f"least {ratio}, over its bound")))
    for probe, ratio in (("kq", "‖W_kq‖/(tη)"), ("ov", "‖W_ov‖/(tη_0)"))
}  # fmt: skip

LOSS = _loss("final", "L", trained=True, headline=True)
# Known relative to its own size (docs/next-token.md), far below rounding of the loss.
EXCESS = _loss("excess", "L − floor", trained=True, headline=True, noise="square")
INITIAL, FLOOR = _loss("initial", "L at t = 0"), _loss("floor", "floor of L")
FLOOR_RATIO = _loss("floor_over_law", "floor over its law", optional=True)
RATE = _loss("rate", "rate of L − floor", optional=True)
RATE_RATIO = _loss("rate_over_law", "rate over η/‖W_kq*‖", optional=True)
LAW_RATE = _loss("law_rate", "η/‖W_kq*‖")

ATTENTION_START = _attention("initial_min_times_L", "L·least φ₊ at t = 0")
ATTENTION_DROP = _attention("largest_drop", "largest drop of φ₊")
ATTENTION = _attention("final_min", "least φ₊", headline=True)
GAP_RATE = _order("gap_rate_over_law", "least logit gap, over its law")
SIGN_ERRORS = _order("sign_errors", "logits of wrong sign")

UNSEEN = ("non_comparable", "optimal", "held_out_OM", "held_out_ON", "held_out_MN", "held_out_MM")
SHIFT = {
    probe: tuple(Quantity("shift", probe, name, f"{label}, {told}", optional=True)
                 for name, label in (("accuracy", "accuracy"), ("median_probability", "median p"),
                                     ("count", "sentences")))
    for probe, told in zip(UNSEEN, ("not comparable", "optimal", "O and M", "O and N", "M and N",
                                    "M and M"), strict=True)
}  # fmt: skip
QP_NORM, QP_KKT = _qp("norm", "‖W_kq*‖"), _qp("kkt", "KKT residual of W_kq*")
QP_CLOSED = _qp("closed_form_error", "closed form off by")
OVER_COROLLARY = Quantity("margin", "ov", "over_corollary", "margin over 3Δ'")
AUDITED = {"lemma4": "Lemma 4", "lemma5": "Lemma 5", "lemma6": "Lemma 6", "lemma7": "Lemma 7",
           "theorem1": "Theorem 1"}  # fmt: skip
AUDIT = {
    name: Quantity("audit", name, "worst", f"{label}, largest left/right", optional=True)
    for name, label in AUDITED.items()
}

QUANTITIES = (
    KQ_GAP, KQ_MARGIN, KQ_TELESCOPED, KQ_SLOPE, KQ_SCALED,
    OV_GAP, OV_MARGIN, OV_SLOPE, OV_SCALED, *NORMS["kq"], *NORMS["ov"],
    LOSS, EXCESS, INITIAL, FLOOR, FLOOR_RATIO, RATE, RATE_RATIO, LAW_RATE,
    ATTENTION_START, ATTENTION_DROP, ATTENTION, GAP_RATE, SIGN_ERRORS,
    *(one for group in SHIFT.values() for one in group),
    QP_NORM, QP_KKT, QP_CLOSED, OVER_COROLLARY, *AUDIT.values(),
)  # fmt: skip

CERTIFIED: Mapping[str, tuple[Quantity, ...]] = {
    "direction of W_kq": (KQ_GAP,),
    "direction of W_ov": (OV_GAP,),
    "loss": (LOSS,),
}


def _claim(quantity: Quantity, label: str, **form: Any) -> Claim:
    return Claim(**quantity.key._asdict(), label=label, **form)


_rate = partial(_claim, form="rate", axis="step", kind="upper", exponent=-1, log_power=2)
_level = partial(_claim, form="level")
# What is proved surely is claimed of every run: a single one against it is a counter-example.
_every = partial(_claim, form="fraction", share=1.0)

ROUNDED = 1e-9
PAPER = {"ov_weights": "uniform", "ov_init": 0.0}  # stage 1 as in the paper
LONG, LONGER = {"tau": {"from": 4000}}, {"tau": {"from": 10000}}
STARS = {"task": ["rollout", "cyclic", "example1"]}  # one winner per query
TRIVIAL = "Proposition 1, trivial by symmetry (D1)"

CLAIMS = (
    _rate(KQ_GAP, "Theorem 1", start=1000, where=LONG),
    _level(KQ_SCALED, "Theorem 1, from T1/10 to T1", kind="upper", level=1.0, where=LONG),
    _level(OV_GAP, TRIVIAL, kind="upper", level=1e-20, where=PAPER),
    _rate(OV_GAP, "Proposition 1, unequal weights", start=900, where={"ov_weights": "zipf"}),
    *(_every(NORMS[probe][0], f"{told}, upper end", below=1 + ROUNDED)
      for probe, told in (("kq", "Lemma 6"), ("ov", "Lemma 1"))),
    *(_every(NORMS[probe][2], f"{told}, lower end", above=1.0)
      for probe, told in (("kq", "Lemma 6"), ("ov", "Lemma 1"))),
    _level(RATE_RATIO, "linear in T1 (D3)", kind="equal", level=1.0, tolerance=0.02, where=LONGER),
    _claim(EXCESS, "linear in T1 (D3)", form="exponential", axis="step", kind="tight", start=3000,
           rate=LAW_RATE.key._asdict(), where=LONGER),
    _level(FLOOR_RATIO, "linear in T0 (D2)", kind="equal", level=1.0, tolerance=ROUNDED,
           where=PAPER),
    _every(ATTENTION_DROP, "Lemma 5, monotone", below=1e-12),
    _every(ATTENTION_START, "Lemma 5, at least 1/L", above=1 - ROUNDED),
    *(_every(SHIFT[probe][0], "Theorem 3") for probe in UNSEEN[:-1]),
    _every(SIGN_ERRORS, "Theorem 3, signs", below=0.5),
    _every(QP_KKT, "W_kq* is solved for", below=1e-12),
    _every(QP_CLOSED, "Proposition 2, one winner per query", below=1e-12, where=STARS),
    _every(QP_CLOSED, "Proposition 2 as stated", below=1e-12, where={"task": "counterexample"},
           status="refuted", reason="its proof forgets λ ≥ 0, and here no such λ exists"),
    _every(OVER_COROLLARY, "Corollary 1, upper end", below=1.0, where=PAPER, status="refuted",
           reason="from zero all margins are T0η0/‖W_ov*‖, 4‖W_ov*‖/3 times this end (D1)"),
    *(_claim(KQ_GAP, f"NGD beats {told}", form="order", smaller={"method": "ngd"},
             larger={"method": method})
      for method, told in (("gd", "GD"), ("sgd", "SGD"), ("adam", "Adam"))),
)  # fmt: skip

_OF_SECOND = frozenset({"kq", "training", *UNSEEN})
_OF_LEMMA_5 = frozenset({ATTENTION_DROP.key, ATTENTION_START.key, NORMS["kq"][2].key})
_ABOUT_FIRST = frozenset({FLOOR.key, FLOOR_RATIO.key})


def needs(claim: Claim) -> Collection[str]:
    """The conditions that a run has to meet for a claim about its numbers to be about it.

    What is claimed of stage 2 is claimed of normalised descent, unless methods are compared; and
    what rests on Lemma 5 needs Assumption 3.
    """
    if isinstance(claim, Order) or claim.key in _ABOUT_FIRST or claim.probe not in _OF_SECOND:
        return ()
    along_fields = isinstance(claim, Along) and not claim.inside and "method" in claim.along
    found = [] if along_fields else [NORMALISED]
    return [*found, FREQUENT] if claim.key in _OF_LEMMA_5 else found
