"""The inequalities of the proof along a run: Lemmas 4 to 7 and Theorem 1, step by step.

Each is left ≤ right; what is told is the largest left/right over the steps it is about, so that 1
is where it would fail. Sources: arXiv 2409.17335, Lemmas 4 to 7, Theorem 1.
"""

from __future__ import annotations

import math

import numpy as np

from ntkbound.theorems.next_token import first_kernel, kernel
from ntkbound.theorems.next_token.trained import Trained


def audit(run: Trained) -> dict[str, float]:
    """Name of the inequality → the largest left/right; absent where it is about no step here."""
    size, along = run.first.of(first_kernel.GRADIENT), run.first.of(first_kernel.ALONG)
    least, descent = run.second.of(kernel.LEAST), run.second.of(kernel.DOWN_BEST)
    found = {
        # ‖G‖/√2 ≤ −⟨G, W_ov*⟩
        "lemma4": float((size / math.sqrt(2) / along).max()),
        # 1/L ≤ attention on the optimal type; that it never falls is attention's largest_drop
        "lemma5": float((1 / run.sentences.longest / least).max()),
        # attention/(2‖W*‖) ≤ −⟨G, W*⟩/(‖G‖‖W*‖)
        "lemma6": float((least / (2 * run.best.norm) / descent).max()),
    }
    late = np.arange(math.ceil(first_step(run)), run.second.steps + 1)
    if len(late) and run.config.method == "ngd":
        ratio = run.second.of(kernel.DOWN_SELF)[late] / descent[late]
        found["lemma7"] = float((ratio / (1 + alpha(run, run.second.of(kernel.NORM)[late]))).max())
        gap = run.second.of(kernel.GAP)[late]
        found["theorem1"] = float((gap / theorem1(run, late)).max())
    return found


def first_step(run: Trained) -> float:
    """t0 = 8L‖W_kq*‖²/η, from which Lemma 7 and Theorem 1 are proved."""
    return 8 * run.sentences.longest * run.best.norm**2 / run.eta


def alpha(run: Trained, norm: np.ndarray) -> np.ndarray:
    """α = 4NL²‖W*‖²(1 + log(2L‖W‖))/‖W‖ of Lemma 7, for each ‖W‖."""
    N, L = len(run.sentences.inputs), run.sentences.longest
    factor = 4 * N * L**2 * run.best.norm**2
    return np.asarray(factor * (1 + np.log(2 * L * norm)) / norm)


def theorem1(run: Trained, t: np.ndarray) -> np.ndarray:
    """27 N L⁴ ‖W*‖⁴ log²t/(tη), Theorem 1's bound on the gap at each t."""
    N, L = len(run.sentences.inputs), run.sentences.longest
    return np.asarray(27 * N * L**4 * run.best.norm**4 * np.log(t) ** 2 / (t * run.eta))


def telescoped(run: Trained) -> np.ndarray:
    """(T,) of steps t ≥ 1, above the gap for normalised descent from zero (D5):

        ‖W(t)‖ − ⟨W(t), W*/‖W*‖⟩ ≤ η(1 − c_0) + Σ_{1≤s<t} [η(c_s R_s − c_s) + η²/(2‖W(s)‖)]

    over ‖W(t)‖; c_s R_s = −⟨G, W⟩/(‖G‖‖W‖) is measured, as Lemma 7 bounds it.
    """
    best, own = run.second.of(kernel.DOWN_BEST), run.second.of(kernel.DOWN_SELF)
    norm, eta = run.second.of(kernel.NORM), run.eta
    parts = eta * (own[1:-1] - best[1:-1]) + eta**2 / (2 * norm[1:-1])
    return np.asarray(np.cumsum(np.append(eta * (1 - best[0]), parts)) / norm[1:])
