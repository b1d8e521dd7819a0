"""The inequalities of the proof along a run: Lemmas 4 to 7 and Theorem 1, step by step.

Each is left ≤ right. Sources: arXiv 2409.17335, Lemmas 4 to 7, Theorem 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ntkbound.core.tolerance import RELATIVE
from ntkbound.theorems.next_token import first_kernel, kernel
from ntkbound.theorems.next_token.trained import Trained


@dataclass(frozen=True)
class Link:
    """One inequality left ≤ right, both sides at the step where left/right is largest.

    key: its probe in the record. name, statement: for people.
    """

    key: str
    name: str
    statement: str
    left: float
    right: float
    step: int

    @property
    def worst(self) -> float:
        """The largest left/right: above 1 the inequality fails."""
        return self.left / self.right

    @property
    def holds(self) -> bool:
        return self.worst <= 1 + RELATIVE


def audit(run: Trained) -> list[Link]:
    """Every inequality that is about some step of this run."""
    return [*_first(run), *_second(run), *_late(run)]


def _link(names: tuple[str, str, str], steps: np.ndarray, left: np.ndarray, right: np.ndarray
          ) -> Link:  # fmt: skip
    at = int((left / right).argmax())
    return Link(*names, float(left[at]), float(right[at]), int(steps[at]))


def _first(run: Trained) -> Iterator[Link]:
    size, along = run.first.of(first_kernel.GRADIENT), run.first.of(first_kernel.ALONG)
    names = ("lemma4", "Lemma 4", "‖G‖/√2 ≤ −⟨G, W_ov*⟩")
    moving = np.flatnonzero(size >= first_kernel.STOP)
    yield _link(names, moving, size[moving] / math.sqrt(2), along[moving])


def _second(run: Trained) -> Iterator[Link]:
    least, descent = run.second.of(kernel.LEAST), run.second.of(kernel.DOWN_BEST)
    steps, L = np.arange(len(least)), run.sentences.longest
    names = ("lemma5", "Lemma 5", "1/L ≤ φ₊")
    yield _link(names, steps, np.full(len(least), 1 / L), least)
    moving = np.flatnonzero(run.second.of(kernel.GRADIENT) >= kernel.STOP)
    names = ("lemma6", "Lemma 6", "φ₊/(2‖W*‖) ≤ −⟨G, W*⟩/(‖G‖‖W*‖)")
    yield _link(names, moving, least[moving] / (2 * run.best.norm), descent[moving])


def _late(run: Trained) -> Iterator[Link]:
    """From t0 on, of normalised descent."""
    moving = np.flatnonzero(run.second.of(kernel.GRADIENT) >= kernel.STOP)
    late = moving[moving >= max(first_step(run), 2)]
    if len(late) == 0 or run.config.method != "ngd":
        return
    ratio = run.second.of(kernel.DOWN_SELF)[late] / run.second.of(kernel.DOWN_BEST)[late]
    allowed = 1 + alpha(run, run.second.of(kernel.NORM)[late])
    yield _link(("lemma7", "Lemma 7", "R_t ≤ 1 + α_t"), late, ratio, allowed)
    names = ("theorem1", "Theorem 1", "gap ≤ 27NL⁴‖W*‖⁴log²t/(tη)")
    yield _link(names, late, run.second.of(kernel.GAP)[late], theorem1(run, late))


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
