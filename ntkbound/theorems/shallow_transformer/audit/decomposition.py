"""bound/measured as a product of one factor per link.

Summed over s, links (1)–(6) with nothing dropped are one identity,

    k x² − ε x = D/(4ητ),   x² = mean R̂,  ε = mean −(1/n)Σ r_j e_j / x,  k = 1 − η mean ‖∇R̂‖²/(4x²),
    D = Σ_s (V_s − V_{s+1}) − Σ projection + Σ rounding,

and the theorem is its largest root with ε, L² and D replaced by their bounds. Replacing them one
link after the other, in the order of the proof, gives a chain of values from √min R̂ to the bound;
neighbouring ratios are the factors, and their product is bound/measured exactly. Where the proof
replaces several summands of ε at once, their shares are averaged over all orders in log scale.

Not every step need be audited. A sum over s < τ is then the sum of the piecewise linear
interpolation between audited steps; what that misses of V_0 − V_τ is a line of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from ntkbound.theorems.shallow_transformer.audit.columns import Array, Run
from ntkbound.theorems.shallow_transformer.audit.constants import TargetConstants, final_bound
from ntkbound.theorems.shallow_transformer.bounds import rmse_root


@dataclass(frozen=True)
class Share:
    """One factor of bound/measured: ``reached`` is the value of the chain after this link."""

    name: str
    step: str
    statement: str
    reached: float
    factor: float
    share: float | None  # of log(bound/measured)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decompose(run: Run, known: TargetConstants) -> tuple[Share, ...]:
    """One factor per link in the order of the proof; their product is bound/measured.

    Empty where the bound is vacuous. Rounding and quadrature are signed: their factors may lie on
    either side of 1, and every other factor is at least 1 where its link holds.
    """
    bound = final_bound(run, known).value
    if bound is None or run.min_mse <= 0:
        return ()
    chain = _Chain(run, known)
    rows = [*chain.exact(), *chain.of_errors(), *chain.of_heads(), *chain.of_constants(bound)]
    measured = previous = math.sqrt(run.min_mse)
    slack = math.log(bound / measured)
    shares = []
    for row in rows:
        share = math.log(row.reached / previous) / slack if slack else None
        shares.append(Share(*row, row.reached / previous, share))
        previous = row.reached
    return tuple(shares)


class _Row(NamedTuple):
    """One link: the value of the chain after it."""

    name: str
    step: str
    statement: str
    reached: float


class _Chain:
    """The values from √min R̂ to the bound, each after one more replacement."""

    def __init__(self, run: Run, known: TargetConstants) -> None:
        self.run, self.known = run, known
        c, mean = run.columns, run.mean
        self.root = np.sqrt(c["mse"])
        self.x = run.mean_rmse
        self.realised = mean(c["squared_gradient"]) / (4 * self.x**2)  # in place of L²
        self.whole = run.start - run.end

    def value(self, epsilon: float, L2: float, distance: float) -> float:
        return rmse_root(epsilon, L2, distance, self.run.eta, self.run.tau)

    def against(self, errors: Array | float) -> float:
        """ε of the identity, had e_j this size."""
        return self.run.mean(self.root * errors) / self.x

    def exact(self) -> Iterator[_Row]:
        """The identity, and what its D loses."""
        c, tau, mean = self.run.columns, self.run.tau, self.run.mean
        fell = tau * mean(c["descent"] + c["projection"] + c["rounding"])  # Σ (V_s − V_{s+1})
        gained, rounded = tau * mean(c["projection"]), tau * mean(c["rounding"])
        epsilon, whole = mean(c["correlation"]) / self.x, self.whole
        exact = fell - gained - rounded

        def value(distance: float) -> float:
            return self.value(epsilon, self.realised, distance)

        yield _Row("average", "(6)", "√min R̂ → √mean R̂", self.x)
        yield _Row("root", "(6)", "solve for √mean R̂: the largest root", value(exact))
        yield _Row("rounding", "(0)", "rounding of the iterates left out (signed)",
                   value(fell - gained))  # fmt: skip
        yield _Row("quadrature", "(0)", "steps between the audited ones (signed)",
                   value(whole - gained))  # fmt: skip
        yield _Row("projection", "(1)", "what the projection gains is dropped", value(whole))

    def of_errors(self) -> Iterator[_Row]:
        """From the correlation with the residual to the largest errors."""
        c, run = self.run.columns, self.run
        sizes = (
            ("cauchy-schwarz", "(3)", "−(1/n) Σ r_j e_j → √R̂ ‖e‖_rms", c["error_rms"]),
            ("triangle", "(4)", "‖e‖_rms → rms lin + rms app + rms cof",
             c["linearization_rms"] + run.app_rms + c["change_of_feature_rms"]),
            ("maxima", "(4)", "rms → max over samples",
             c["linearization_max"] + run.app_max + c["change_of_feature_max"]),
        )  # fmt: skip
        for name, step, text, size in sizes:
            yield _Row(name, step, text, self.value(self.against(size), self.realised, self.whole))

    def of_heads(self) -> Iterator[_Row]:
        """From the largest errors, over their heads, to the constants."""
        c, run, known = self.run.columns, self.run, self.known
        single = {
            "lin": self.against(c["linearization_max"]),
            "app": self.against(run.app_max),
            "cof": self.against(c["change_of_feature_max"]),
        }
        heads = {
            "lin": self.against(c["linearization_heads"]),
            "app": single["app"],
            "cof": self.against(c["change_of_feature_heads"]),
        }
        constants = {
            "lin": self.against(known.linearization.value),
            "app": self.against(known.approximation.value),
            "cof": self.against(known.change_of_feature.value),
        }
        stages = (
            (single, heads, {
                "lin": ("lin-heads", "lin: |Σ over heads| → Σ over heads |·|"),
                "cof": ("cof-heads", "cof: |Σ over heads| → Σ over heads |·|"),
            }),
            (heads, constants, {
                "lin": ("linearization", "lin: each head by its constant, ε_lin"),
                "app": ("approximation", "app: ε_app"),
                "cof": ("change-of-feature", "cof: each head by its constant, ε_cof"),
            }),
        )  # fmt: skip
        for start, end, rows in stages:
            reached = math.log(self._total(start))
            for part, log_factor in _shared(start, end, tuple(rows), self._total).items():
                reached += log_factor
                yield _Row(rows[part][0], "(4)", rows[part][1], math.exp(reached))

    def _total(self, parts: Mapping[str, float]) -> float:
        return self.value(sum(parts.values()), self.realised, self.whole)

    def of_constants(self, bound: float) -> Iterator[_Row]:
        """From the realised gradient and distances to theirs."""
        c, run, known, whole = self.run.columns, self.run, self.known, self.whole
        epsilon, feature_norm = self.against(known.epsilon), known.squared_feature_norm.value
        L2 = run.mean(c["mse"] * c["squared_feature"]) / self.x**2
        yield _Row("gradient", "(5)", "‖∇R̂‖² → 4R̂ max_j ‖∇f(X_j)‖²",
                   self.value(epsilon, L2, whole))  # fmt: skip
        yield _Row("feature-norm", "(5)", "max_j ‖∇f(X_j)‖² → L²",
                   self.value(epsilon, feature_norm, whole))  # fmt: skip
        yield _Row("jensen", "(6)", "mean √R̂ → √mean R̂",
                   self.value(known.epsilon, feature_norm, whole))  # fmt: skip
        yield _Row("telescope", "(6)", "V_0 − V_τ → V_0",
                   self.value(known.epsilon, feature_norm, run.start))  # fmt: skip
        yield _Row("distance", "(6)", "V_0 → ν_c² + ν_u² + ν_w²", bound)


def _shared(
    start: Mapping[str, float],
    end: Mapping[str, float],
    parts: tuple[str, ...],
    total: Callable[[Mapping[str, float]], float],
) -> dict[str, float]:
    """log total(end)/total(start), shared among ``parts`` by averaging over their orders."""
    shares = dict.fromkeys(parts, 0.0)
    orders = list(itertools.permutations(parts))
    for order in orders:
        now = dict(start)
        for part in order:
            before = total(now)
            now[part] = end[part]
            shares[part] += math.log(total(now) / before) / len(orders)
    return shares
