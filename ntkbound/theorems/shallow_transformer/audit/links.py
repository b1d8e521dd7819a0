"""Every equality and inequality of the proof, asserted at every audited step.

The chain is that of docs/theory.md §4 (training error); its links are listed in docs/audit.md.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from ntkbound.core.tolerance import RELATIVE
from ntkbound.theorems.shallow_transformer.audit.columns import Array, Run
from ntkbound.theorems.shallow_transformer.audit.constants import (
    Constant,
    Constants,
    TargetConstants,
    final_bound,
)
from ntkbound.theorems.shallow_transformer.audit.observer import Columns

LinkVerdict = Literal["holds", "violated", "inconclusive", "condition-not-met", "vacuous"]


@dataclass(frozen=True)
class Link:
    """One link: its two sides and right/left, median and extremes over the audited steps.

    ``factor`` is null where the left side is not positive (the link loses without bound there).
    """

    name: str
    step: str  # of the proof: (0) … (6)
    statement: str
    left: float | None = None
    right: float | None = None
    factor: float | None = None
    factor_low: float | None = None
    factor_high: float | None = None
    verdict: LinkVerdict = "holds"
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def links_without_target(columns: Columns, known: Constants) -> list[Link]:
    """The links that need no φ̃: the step itself, ε_lin and the gradient."""
    found = [
        _step(columns),
        *_linearization(columns, known.linearization),
        *_gradient(columns, known.squared_feature_norm),
    ]
    missing = {
        "projection": "(1)", "expansion": "(2)", "identity": "(3)", "cauchy-schwarz": "(3)",
        "approximation": "(4)", "change-of-feature": "(4)", "one-step": "(6)", "bound": "(6)",
    }  # fmt: skip
    reason = "φ̃ is unknown: no transport map"
    found += [
        Link(n, s, "", verdict="condition-not-met", reason=reason) for n, s in missing.items()
    ]
    return sorted(found, key=lambda link: link.step)


def links(run: Run, known: TargetConstants) -> list[Link]:
    """Every link of the chain, asserted at every audited step.

    Where φ̃ lies outside Ω_ρ (not ν ≤ ρ), (1) and what follows from it need not hold.
    """
    c, eta = run.columns, run.eta
    at = c["step"]
    root = np.sqrt(c["mse"])
    rms = c["linearization_rms"] + run.app_rms + c["change_of_feature_rms"]
    largest = c["linearization_max"] + run.app_max + c["change_of_feature_max"]
    k = 1 - eta * known.squared_feature_norm.value
    before = c["descent"]  # V_s − ‖y − φ̃‖²
    after = before + c["projection"]  # V_s − ‖Πy − φ̃‖²
    bound = final_bound(run, known)
    held = [
        _step(c),
        _inequality("projection", "(1)", "V_s − ‖y − φ̃‖² ≤ V_s − ‖Πy − φ̃‖²", before, after, at),
        _equality("expansion", "(2)", "V_s − ‖y − φ̃‖² = 2η⟨∇R̂, φ_s − φ̃⟩ − η²‖∇R̂‖²",
                  before, 2 * eta * c["inner"] - eta**2 * c["squared_gradient"], at),
        _equality("identity", "(3)", "⟨∇R̂, φ_s − φ̃⟩ = (2/n) Σ r_j(r_j + e_j)",
                  c["inner"], c["identity"], at),
        _inequality("cauchy-schwarz", "(3)", "−(1/n) Σ r_j e_j ≤ √R̂ ‖e‖_rms",
                    c["correlation"], root * c["error_rms"], at),
        _inequality("triangle", "(4)", "‖e‖_rms ≤ rms lin + rms app + rms cof",
                    c["error_rms"], rms, at),
        _inequality("maxima", "(4)", "rms lin + rms app + rms cof ≤ their maxima over j",
                    rms, largest, at),
        *_linearization(c, known.linearization),
        _bounded("approximation", "(4)", "max_j |app_j| ≤ ε_app",
                 np.array([run.app_max]), known.approximation, at[:1]),
        _inequality("cof-heads", "(4)", "max_j |cof_j| ≤ max_j m^{-1/2} Σ_i |cof of head i|",
                    c["change_of_feature_max"], c["change_of_feature_heads"], at),
        _bounded("change-of-feature", "(4)", "m^{-1/2} Σ_i |cof of head i| ≤ ε_cof",
                 c["change_of_feature_heads"], known.change_of_feature, at),
        *_gradient(c, known.squared_feature_norm),
        _inequality("one-step", "(6)", "4η(kR̂ − ε√R̂) ≤ V_s − ‖Πy − φ̃‖²",
                    4 * eta * (k * c["mse"] - known.epsilon * root), after, at),
        _inequality("distance", "(6)", "V_0 ≤ ν_c² + ν_u² + ν_w²", np.array([run.start]),
                    np.array([known.distance]), at[:1]),
        _inequality("average", "(6)", "min R̂ ≤ mean R̂", np.array([run.min_mse]),
                    np.array([run.mean_rmse**2]), at[:1]),
    ]  # fmt: skip
    last = ("bound", "(6)", "√min R̂ ≤ bound")
    if bound.value is None:
        held.append(Link(*last, left=math.sqrt(run.min_mse), verdict="vacuous",
                         reason=bound.reason))  # fmt: skip
    else:
        held.append(
            _inequality(*last, np.array([math.sqrt(run.min_mse)]), np.array([bound.value]), at[:1])
        )
    return [_qualified(link, run, known, held) for link in held]


def _step(c: Columns) -> Link:
    return _inequality(
        "step", "(0)", "‖φ_{s+1} − Π(φ_s − η∇R̂)‖ ≤ rounding",
        c["step_error"], c["step_allowed"], c["step"],
    )  # fmt: skip


def _linearization(c: Columns, epsilon: Constant) -> tuple[Link, Link]:
    return (
        _inequality("lin-heads", "(4)", "max_j |lin_j| ≤ max_j m^{-1/2} Σ_i |lin of head i|",
                    c["linearization_max"], c["linearization_heads"], c["step"]),
        _bounded("linearization", "(4)", "m^{-1/2} Σ_i |lin of head i| ≤ ε_lin",
                 c["linearization_heads"], epsilon, c["step"]),
    )  # fmt: skip


def _gradient(c: Columns, L2: Constant) -> tuple[Link, Link]:
    return (
        _inequality("gradient", "(5)", "‖∇R̂‖² ≤ 4R̂ max_j ‖∇f(X_j)‖²",
                    c["squared_gradient"], 4 * c["mse"] * c["squared_feature"], c["step"]),
        _bounded("feature-norm", "(5)", "max_j ‖∇f(X_j)‖² ≤ L²",
                 c["squared_feature"], L2, c["step"]),
    )  # fmt: skip


FROM_PROJECTION = ("projection", "one-step", "bound")
FROM_APPROXIMATION = ("approximation", "one-step", "bound")


def _qualified(link: Link, run: Run, known: TargetConstants, held: list[Link]) -> Link:
    """The verdict where an assumption fails, a probability is involved or a constant is missing."""
    if link.name in FROM_PROJECTION and not run.inside:
        reason = "needs ν ≤ ρ: φ̃ lies outside Ω_ρ"
        return replace(link, verdict="condition-not-met", reason=reason)
    if link.name == "bound" and known.stand_ins and link.right is not None:
        return _unproved(link, run, known)
    unlucky = any(row.name == "approximation" and row.verdict == "violated" for row in held)
    if link.verdict == "violated" and unlucky and link.name in FROM_APPROXIMATION:
        reason = f"ε_app may fail in {run.delta:g} of runs: {link.reason}"
        return replace(link, verdict="inconclusive", reason=reason)
    return link


def _unproved(bound: Link, run: Run, known: TargetConstants) -> Link:
    """The last link where measured values stand in for constants."""
    verdict, told = bound.verdict, "with measured constants: not a proof"
    if set(known.stand_ins) == {"approximation"}:
        # max_j |app_j| is known before the first step: nothing along the descent is assumed.
        told = "with the realised max_j |app_j| for ε_app: about this φ_0 only"
    elif verdict == "violated" and len(run.columns["step"]) < run.tau:
        verdict, told = "inconclusive", f"{told}, and they may be larger between audited steps"
    return replace(bound, verdict=verdict, reason="; ".join(filter(None, (told, bound.reason))))


def _inequality(name: str, step: str, statement: str, left: Array, right: Array, at: Array) -> Link:
    """left ≤ right at every audited step, beyond rounding."""
    broken = np.array([_beyond(a, b) for a, b in zip(left, right, strict=True)])
    return _judged(Link(name, step, statement), _Sides(left, right, at), broken, "above")


def _bounded(
    name: str, step: str, statement: str, left: Array, constant: Constant, at: Array
) -> Link:
    """left ≤ the constant at every audited step; the row says whether it is one."""
    link = _inequality(name, step, statement, left, np.full_like(left, constant.value), at)
    if not constant.unknown:
        return link
    return replace(link, reason=f"{constant.unknown}: the largest measured value stands in")


def _equality(name: str, step: str, statement: str, left: Array, right: Array, at: Array) -> Link:
    """left = right at every audited step, to rounding."""
    broken = np.array([_beyond(a, b) or _beyond(b, a) for a, b in zip(left, right, strict=True)])
    return _judged(Link(name, step, statement), _Sides(left, right, at), broken, "not equal to")


# Both sides are sums over samples, heads and steps: some thousand roundings of numbers of size 1.
ABSOLUTE = 1e-12


def _beyond(left: float, right: float) -> bool:
    """left > right, beyond rounding."""
    return left > right + RELATIVE * abs(right) + ABSOLUTE


class _Sides(NamedTuple):
    """Both sides of a link, one number each at the audited steps ``at``."""

    left: Array
    right: Array
    at: Array


def _judged(link: Link, sides: _Sides, broken: Array, word: str) -> Link:
    """``link`` with its numbers; violated where it is ``broken``: left is ``word`` right."""
    left, right, at = sides
    loses = np.full(len(left), np.inf)
    loses[np.maximum(np.abs(left), np.abs(right)) <= ABSOLUTE] = 1.0  # 0 ≤ 0
    np.divide(right, left, out=loses, where=left > ABSOLUTE)
    low, middle, high = (_finite(float(f(loses))) for f in (np.min, np.median, np.max))
    verdict: LinkVerdict = "holds"
    reason = ""
    if broken.any():
        verdict = "violated"
        first = int(np.flatnonzero(broken)[0])
        reason = (
            f"at step {int(at[first])} {left[first]:.6g} is {word} {right[first]:.6g} "
            f"({int(broken.sum())} of {len(left)} audited steps)"
        )
    return replace(
        link, left=float(np.median(left)), right=float(np.median(right)), factor=middle,
        factor_low=low, factor_high=high, verdict=verdict, reason=reason,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
