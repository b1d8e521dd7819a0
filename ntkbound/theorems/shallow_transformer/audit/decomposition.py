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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

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
    c, tau, mean = run.columns, run.tau, run.mean
    root = np.sqrt(c["mse"])
    x = run.mean_rmse

    def value(epsilon: float, L2: float, distance: float) -> float:
        return rmse_root(epsilon, L2, distance, run.eta, tau)

    def against(errors: Array | float) -> float:  # ε of the identity, had e_j this size
        return mean(root * errors) / x

    fell = tau * mean(c["descent"] + c["projection"] + c["rounding"])  # Σ (V_s − V_{s+1})
    gained, rounded = tau * mean(c["projection"]), tau * mean(c["rounding"])
    realised = mean(c["squared_gradient"]) / (4 * x**2)
    whole = run.start - run.end
    epsilon = mean(c["correlation"]) / x
    exact = fell - gained - rounded
    steps: list[tuple[str, str, str, float]] = [
        ("average", "(6)", "√min R̂ → √mean R̂", x),
        ("root", "(6)", "solve for √mean R̂: the largest root", value(epsilon, realised, exact)),
        ("rounding", "(0)", "rounding of the iterates left out (signed)",
         value(epsilon, realised, fell - gained)),
        ("quadrature", "(0)", "steps between the audited ones (signed)",
         value(epsilon, realised, whole - gained)),
        ("projection", "(1)", "what the projection gains is dropped",
         value(epsilon, realised, whole)),
    ]  # fmt: skip
    errors = (
        ("cauchy-schwarz", "(3)", "−(1/n) Σ r_j e_j → √R̂ ‖e‖_rms", c["error_rms"]),
        ("triangle", "(4)", "‖e‖_rms → rms lin + rms app + rms cof",
         c["linearization_rms"] + run.app_rms + c["change_of_feature_rms"]),
        ("maxima", "(4)", "rms → max over samples",
         c["linearization_max"] + run.app_max + c["change_of_feature_max"]),
    )  # fmt: skip
    for name, step, text, size in errors:
        steps.append((name, step, text, value(against(size), realised, whole)))

    single = {
        "lin": against(c["linearization_max"]),
        "app": against(run.app_max),
        "cof": against(c["change_of_feature_max"]),
    }
    heads = {
        "lin": against(c["linearization_heads"]),
        "app": single["app"],
        "cof": against(c["change_of_feature_heads"]),
    }
    known_errors = {
        "lin": against(known.linearization.value),
        "app": against(known.approximation.value),
        "cof": against(known.change_of_feature.value),
    }

    def total(parts: Mapping[str, float]) -> float:
        return value(sum(parts.values()), realised, whole)

    stages = (
        (single, heads, {
            "lin": ("lin-heads", "lin: |Σ over heads| → Σ over heads |·|"),
            "cof": ("cof-heads", "cof: |Σ over heads| → Σ over heads |·|"),
        }),
        (heads, known_errors, {
            "lin": ("linearization", "lin: each head by its constant, ε_lin"),
            "app": ("approximation", "app: ε_app"),
            "cof": ("change-of-feature", "cof: each head by its constant, ε_cof"),
        }),
    )  # fmt: skip
    for start, end, rows in stages:
        reached = math.log(total(start))
        for part, log_factor in _shared(start, end, tuple(rows), total).items():
            reached += log_factor
            steps.append((rows[part][0], "(4)", rows[part][1], math.exp(reached)))

    epsilon = against(known.epsilon)
    L2 = mean(c["mse"] * c["squared_feature"]) / x**2
    steps += [
        ("gradient", "(5)", "‖∇R̂‖² → 4R̂ max_j ‖∇f(X_j)‖²", value(epsilon, L2, whole)),
        ("feature-norm", "(5)", "max_j ‖∇f(X_j)‖² → L²",
         value(epsilon, known.squared_feature_norm.value, whole)),
        ("jensen", "(6)", "mean √R̂ → √mean R̂",
         value(known.epsilon, known.squared_feature_norm.value, whole)),
        ("telescope", "(6)", "V_0 − V_τ → V_0",
         value(known.epsilon, known.squared_feature_norm.value, run.start)),
        ("distance", "(6)", "V_0 → ν_c² + ν_u² + ν_w²", bound),
    ]  # fmt: skip
    measured = previous = math.sqrt(run.min_mse)
    slack = math.log(bound / measured)
    shares = []
    for name, step, text, reached in steps:
        share = math.log(reached / previous) / slack if slack else None
        shares.append(Share(name, step, text, reached, reached / previous, share))
        previous = reached
    return tuple(shares)


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
