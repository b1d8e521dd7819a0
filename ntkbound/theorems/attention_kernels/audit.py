"""The inequalities of the proofs along a run: descent, Polyak–Łojasiewicz and its factors.

With m_t = ‖∇f‖²/(2f) and D_t = (f_t − f_{t+1})/(η‖∇f‖²), f_{t+1} = f_t (1 − 2 D_t η m_t) exactly.
Each link is left ≤ right. Sources: arXiv 2411.07538, proofs of Theorems 1 to 3;
docs/attention-kernels.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ntkbound.theorems.attention_kernels import native, statement
from ntkbound.theorems.attention_kernels.bounds import met
from ntkbound.theorems.attention_kernels.conditions import sizes
from ntkbound.theorems.attention_kernels.measure import descents
from ntkbound.theorems.attention_kernels.spectrum import Spectrum
from ntkbound.theorems.attention_kernels.trained import Trained

ROUNDING = 1e-9  # relative: products of thousands of rounded terms


@dataclass(frozen=True)
class Link:
    """One inequality left ≤ right, both sides at the step where left/right is largest.

    key, name, statement: for programs and for people. proved: whether this run meets the
    conditions of its theorem; where it does not, the link is measured and nothing follows.
    """

    key: str
    name: str
    statement: str
    left: float
    right: float
    step: int
    proved: bool

    @property
    def worst(self) -> float:
        """The largest left/right: above 1 the inequality fails."""
        if self.right == 0:
            return 0.0 if self.left == 0 else math.inf
        return self.left / self.right

    @property
    def holds(self) -> bool:
        return self.worst <= 1 + ROUNDING

    @property
    def verdict(self) -> str:
        if self.holds:
            return "holds"
        return "violated" if self.proved else "condition-not-met"


Names = tuple[str, str, str]


def audit(run: Trained) -> list[Link]:
    """Every inequality that is about what this run trains."""
    links = _Links(run)
    return [*links.descent(), *links.values(), *links.everything(), *links.queries()]


@dataclass(frozen=True, eq=False)
class _Links:
    run: Trained

    def _link(self, names: Names, steps: np.ndarray, sides: tuple[np.ndarray, np.ndarray],
              needs: tuple[str, ...]) -> Link:  # fmt: skip
        left, right = sides
        with np.errstate(divide="ignore", invalid="ignore"):
            at = int(np.nan_to_num(left / right, nan=0.0).argmax())
        known = met(self.run)
        proved = all(known[name] for name in needs)
        return Link(*names, float(left[at]), float(right[at]), int(steps[at]), proved)

    def _pl(self, names: Names, rate: float, needs: tuple[str, ...]) -> Link:
        """rate ≤ m_t at every step."""
        f = self.run.losses
        steps = np.flatnonzero(f > 0)
        m = self.run.squared_gradient[steps] / (2 * f[steps])
        return self._link(names, steps, (np.full(len(m), rate), m), needs)

    def descent(self) -> Iterator[Link]:
        steps, ratios = descents(self.run)
        if len(steps):
            names = ("descent", "descent", "1/2 ≤ D_t")
            needs = (statement.VALUES_ALONE, statement.FIXED, statement.SMALL_STEP)
            yield self._link(names, steps, (np.full(len(steps), 0.5), ratios), needs)

    def values(self) -> Iterator[Link]:
        """Theorem 1."""
        run = self.run
        if run.config.train != "V":
            return
        least, first = float(run.spectrum.of_G[0][0]), np.zeros(1, dtype=np.int64)
        yield self._pl(("pl_gram", "Theorem 1, PL", "λ_min(G) ≤ m_t"), least,
                       (statement.VALUES_ALONE,))  # fmt: skip
        for key, told, rate, needs in (
            ("gram_paper", "‖W_O‖²σ_B²", run.spectrum.alpha, (statement.ONE_ALPHA,)),
            ("gram_corrected", "min_h ‖W_O^h‖²σ_B²", run.spectrum.corrected, ()),
        ):
            names = (key, "Theorem 1, α", f"{told} ≤ λ_min(G)")
            yield self._link(names, first, (np.array([rate]), np.array([least])), needs)

    def everything(self) -> Iterator[Link]:
        """Theorem 2: what its induction keeps along the descent."""
        run = self.run
        if run.config.train != "QKV":
            return
        needs = (statement.ALL_TRAINED, statement.SOFTMAX, statement.FIXED, statement.FULL_RANK,
                 statement.ONE_ALPHA, statement.THEOREM_2)  # fmt: skip
        steps = run.descent.recorded
        spectra = [Spectrum(run.problem.at(weights)) for weights in run.descent.kept]
        least = np.array([float(one.of_G[0][0]) for one in spectra])
        f = run.losses[steps]
        m = np.where(f > 0, run.squared_gradient[steps] / np.where(f > 0, 2 * f, 1), math.inf)
        yield self._link(("pl_gram", "Theorem 2, PL", "λ_min(G_t) ≤ m_t"), steps, (least, m), ())
        target = np.full(len(steps), run.spectrum.alpha / 4)
        names = ("gram_along", "Theorem 2, β/4", "‖W_O‖²σ_B²/4 ≤ λ_min(G_t)")
        yield self._link(names, steps, (target, least), needs)
        half = np.full(len(steps), run.spectrum.sigma_B / 2)
        along = np.array([one.sigma_B for one in spectra])
        names = ("sigma_along", "Theorem 2, σ_min(B)", "σ_B/2 ≤ σ_min(B_t)")
        yield self._link(names, steps, (half, along), needs)
        yield from self._weights("QKV", needs)

    def queries(self) -> Iterator[Link]:
        """Theorem 3: both factors of the PL inequality of W_Q."""
        run = self.run
        delta = run.spectrum.delta
        if run.config.train != "Q" or delta is None:
            return
        needs = (statement.QUERIES_ALONE, statement.GAUSSIAN, statement.FIXED, statement.THEOREM_3)
        of_Q, of_C = run.descent.of(native.OF_Q), run.descent.of(native.OF_C)
        f = run.losses
        steps = np.flatnonzero((of_C > 0) & (f > 0))
        if len(steps):
            factor = of_Q[steps] / of_C[steps]
            names = ("jacobian", "Theorem 3, Jacobian", "(δ/2)² ≤ ‖Jᵀdc‖²/‖dc‖²")
            yield self._link(names, steps, (np.full(len(steps), delta**2 / 4), factor), needs)
            n, left = run.config.sizes[1], run.left
            value = n * math.exp(max(2 * left.log_kappa, -700)) * left.least_value**2
            factor = of_C[steps] / (2 * f[steps])
            names = ("residual", "Theorem 3, residual", "n κ² min|v|² ≤ ‖dC‖²/‖r‖²")
            yield self._link(names, steps, (np.full(len(steps), value), factor), needs)
        yield from self._weights("Q", needs)

    def _weights(self, trained: str, needs: tuple[str, ...]) -> Iterator[Link]:
        """σ_max of each trained matrix at the recorded steps, against 3/2 λ of the start."""
        run = self.run
        steps = run.descent.recorded
        along, first = [sizes(weights) for weights in run.descent.kept], run.left.sizes
        scales = {"Q": first.Q.max(), "K": first.K.max(), "V": first.lambda_V}
        for letter in trained:
            largest = np.array([np.max(getattr(one, letter)) for one in along])
            names = (f"weights_{letter}", f"weights, W_{letter}",
                     f"σ_max(W_{letter}(t)) ≤ 3/2 λ_{letter}")  # fmt: skip
            limit = np.full(len(steps), 1.5 * float(scales[letter]))
            yield self._link(names, steps, (largest, limit), needs)
