"""What is measured of a trained run: terms of the record and the series of its trace."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ntkbound.core.outcome import Terms
from ntkbound.core.steps import recorded_steps
from ntkbound.theorems.next_token import first_kernel, kernel
from ntkbound.theorems.next_token.audit import audit, telescoped
from ntkbound.theorems.next_token.second import law_rate
from ntkbound.theorems.next_token.shift import unseen
from ntkbound.theorems.next_token.trained import Trained

LATE, LONG = 1000, 4000  # slopes are of steps from LATE on, of stages of LONG steps or more
NOISE = 1e-25  # a gap below it is rounding of the two directions
VANISHED = 1e-300  # an excess below it has no digits left

Statistics = dict[str, float]


def terms(run: Trained) -> Terms:
    """Every number of the record; one that does not exist for this run is absent."""
    found: Terms = {
        "direction": {"kq": _kq_direction(run), "ov": _ov_direction(run)},
        "norm": {"kq": _kq_norm(run), "ov": _ov_norm(run)},
        "loss": {"training": _loss(run)},
        "attention": {"training": _attention(run)},
        "order": {"kq": _order(run)},
        "shift": {
            name: {
                "accuracy": kind.accuracy,
                "median_probability": kind.median_probability,
                "count": kind.count,
            }
            for name, kind in unseen(run.sentences, run.first.W, run.W_kq).items()
        },
        "margin": {
            "qp": {
                "norm": run.best.norm,
                "kkt": run.best.kkt,
                "closed_form_error": run.best.closed_form_error,
            },
            "ov": {"over_corollary": _over_corollary(run)},
        },
        "audit": {link.key: {"worst": link.worst} for link in audit(run)},
    }
    return found


def _kq_direction(run: Trained) -> Statistics:
    gap = run.second.of(kernel.GAP)
    found = {"gap": float(gap[-1]), "margin_certificate": float(margin_certificate(run)[-1])}
    if run.config.method == "ngd":
        found["telescoped_certificate"] = float(telescoped(run)[-1])
    return found | _along(gap)


def margin_certificate(run: Trained) -> np.ndarray:
    """(T,) of steps t ≥ 1: 1 − ‖W*‖ · least margin/‖W‖, above the gap for every W (D4)."""
    margin, norm = run.second.of(kernel.MARGIN)[1:], run.second.of(kernel.NORM)[1:]
    return np.asarray(1 - run.best.norm * margin / norm)


def _ov_direction(run: Trained) -> Statistics:
    gap = run.first.of(first_kernel.GAP)
    return {
        "gap": float(gap[-1]),
        "margin_certificate": 1 - run.first_best * run.margins[0] / _norm(run.first.W),
    } | _along(gap)


def _along(gap: np.ndarray) -> Statistics:
    """How a gap falls late: its slope in log t, and t·gap/log²t over the same at a tenth of t."""
    last, found = len(gap) - 1, {}
    if last >= LONG and gap[last // 20 :].min() > NOISE:
        t = np.arange(max(LATE, last // 20), last + 1)
        found["late_slope"] = slope(np.log(t), np.log(gap[t]))
    tenth = last // 10
    if tenth >= 2 and gap[tenth] > NOISE:
        ratio = (last * gap[-1] / np.log(last) ** 2) / (tenth * gap[tenth] / np.log(tenth) ** 2)
        found["scaled_ratio"] = float(ratio)
    return found


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the least-squares line."""
    apart = x - x.mean()
    return float(apart @ (y - y.mean()) / (apart @ apart))


def _kq_norm(run: Trained) -> Statistics:
    lower = 2 * run.sentences.longest * run.best.norm
    return _ratios(run.second.of(kernel.NORM), run.eta, lower)


def _ov_norm(run: Trained) -> Statistics:
    return _ratios(run.first.of(first_kernel.NORM), run.eta0, 2 * run.first_best)


def _ratios(norms: np.ndarray, eta: float, lower: float) -> Statistics:
    """‖W‖/(tη) at the end and at its least, and that over the proved 1/``lower``."""
    ratios = norms[1:] / (eta * np.arange(1, len(norms)))
    least = float(ratios.min())
    return {
        "ratio": float(ratios[-1]), "ratio_min": least, "over_lower_bound": least * lower
    }  # fmt: skip


def _loss(run: Trained) -> Statistics:
    loss, excess = run.second.of(kernel.LOSS), run.second.of(kernel.EXCESS)
    law = law_rate(run.eta, run.second.best)
    found = {
        "initial": float(loss[0]), "final": float(loss[-1]), "floor": run.second.floor,
        "excess": float(excess[-1]), "law_rate": law,
    }  # fmt: skip
    if run.symmetric and floor_law(run) > VANISHED:
        found["floor_over_law"] = run.second.floor / floor_law(run)
    half = np.arange(len(excess) // 2, len(excess))
    half = half[excess[half] > VANISHED]
    if len(half) > 1:
        found["rate"] = slope(half, np.log(excess[half]))
        found["rate_over_law"] = -found["rate"] / law
    return found


def floor_law(run: Trained) -> float:
    """D2: log1p((V − 1) e^{−T0η0/‖W_ov*‖}), the loss of perfect attention after stage 1."""
    reached = run.first.steps * run.eta0 / run.first_best
    return float(np.log1p((run.sentences.V - 1) * np.exp(-reached)))


def _attention(run: Trained) -> Statistics:
    least = run.second.of(kernel.LEAST)
    return {
        "initial_min_times_L": float(least[0]) * run.sentences.longest,
        "largest_drop": float(run.second.of(kernel.DROP).max()),
        "final_min": float(least[-1]),
    }


def _order(run: Trained) -> Statistics:
    """Logit gaps of the compared pairs against ηt(w*_o − w*_b)/‖W*‖ (D3), and wrong signs."""
    W, best, found = run.W_kq, run.best.columns, []
    per_step = run.eta * run.second.steps / run.best.norm
    wrong = 0
    for query, order in run.sentences.order.items():
        star = dict(zip(best[query].tokens, best[query].values.tolist(), strict=True))
        found += [(W[o, query] - W[b, query]) / (per_step * (star[o] - star[b]))
                  for o, b in order.pairs]  # fmt: skip
        wrong += sum(W[o, query] <= 0 for o in order.wins)
        wrong += sum(W[b, query] >= 0 for b in order.loses)
    return {"gap_rate_over_law": float(min(found)), "sign_errors": int(wrong)}


def _over_corollary(run: Trained) -> float:
    """The largest margin over 3Δ', Δ' = T0η0/(4‖W_ov*‖²), the upper end of Corollary 1."""
    lower = run.first.steps * run.eta0 / (4 * run.first_best**2)
    return run.margins[1] / (3 * lower)


def _norm(W: np.ndarray) -> float:
    return float(np.linalg.norm(W))


def trace(run: Trained) -> Mapping[str, np.ndarray]:
    """Recorded steps and series; those of stage 1, and those from t = 1 on, at steps of their
    own."""
    seconds, firsts = (
        np.array(recorded_steps(max(stage.steps, 1), run.config.records)[: stage.steps + 1])
        for stage in (run.second, run.first)
    )
    later = seconds[1:]
    moving = later[run.second.of(kernel.DOWN_BEST)[later] != 0]  # the gradient has not vanished
    series = run.second.series[seconds]
    found = {
        "step": seconds,
        "loss/training/final": series[:, kernel.LOSS],
        "loss/training/excess": series[:, kernel.EXCESS],
        "attention/training/final_min": series[:, kernel.LEAST],
        "norm/kq/norm": series[:, kernel.NORM],
        "audit/lemma6/descent": series[:, kernel.DOWN_BEST],
        "direction/kq/step": later,
        "direction/kq/gap": series[1:, kernel.GAP],
        "direction/kq/margin_certificate": margin_certificate(run)[later - 1],
        "audit/lemma7/step": moving,
        "audit/lemma7/ratio": run.second.of(kernel.DOWN_SELF)[moving]
        / run.second.of(kernel.DOWN_BEST)[moving],
        "loss/first/step": firsts,
        "loss/first/final": run.first.series[firsts, first_kernel.LOSS],
        "norm/ov/step": firsts,
        "norm/ov/norm": run.first.series[firsts, first_kernel.NORM],
        "direction/ov/step": firsts[1:],
        "direction/ov/gap": run.first.series[firsts[1:], first_kernel.GAP],
    }
    if run.config.method == "ngd":
        found["direction/kq/telescoped_certificate"] = telescoped(run)[later - 1]
    return found
