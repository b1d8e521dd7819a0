"""Every equality and inequality of the proof, asserted at every audited step.

The chain is that of docs/theory.md §4 (training error); its links are listed in docs/audit.md.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ntkbound.terms.audit import Columns
from ntkbound.theorems.audit.constants import Constants, final_bound
from ntkbound.theorems.audit.run import Array, Run
from ntkbound.tolerance import ABSOLUTE_ROUNDING, exceeds

LinkVerdict = Literal["holds", "violated", "inconclusive", "condition-not-met", "not-defined"]


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


def links_without_target(columns: Columns, epsilon: float | None, L2: float | None) -> list[Link]:
    """The links that need no φ̃: the step itself, ε_lin and the gradient."""
    found = [
        _inequality("step", "(0)", "‖φ_{s+1} − Π(φ_s − η∇R̂)‖ ≤ rounding",
                    columns["step_error"], columns["step_allowed"], columns["step"]),
        *_linearization(columns, epsilon),
        *_gradient(columns, L2),
    ]  # fmt: skip
    missing = {
        "projection": "(1)", "expansion": "(2)", "identity": "(3)", "cauchy-schwarz": "(3)",
        "approximation": "(4)", "change-of-feature": "(4)", "one-step": "(6)", "bound": "(6)",
    }  # fmt: skip
    reason = "φ̃ is unknown: no transport map"
    found += [Link(n, s, "", verdict="not-defined", reason=reason) for n, s in missing.items()]
    return sorted(found, key=lambda link: link.step)


def links(run: Run, known: Constants, *, inside: bool = True) -> list[Link]:
    """Every link of the chain, asserted at every audited step.

    ``inside``: φ̃ ∈ Ω_ρ (ν ≤ ρ). Otherwise (1) and what follows from it need not hold.
    """
    c, eta = run.columns, run.eta
    at = c["step"]
    root = np.sqrt(c["mse"])
    rms = c["linearization_rms"] + run.app_rms + c["change_of_feature_rms"]
    largest = c["linearization_max"] + run.app_max + c["change_of_feature_max"]
    ones = np.ones_like(root)
    k = 1 - eta * known.squared_feature_norm
    before = c["descent"]  # V_s − ‖y − φ̃‖²
    after = before + c["projection"]  # V_s − ‖Πy − φ̃‖²
    bound = final_bound(run, known)
    app = known.approximation
    held = [
        _inequality("step", "(0)", "‖φ_{s+1} − Π(φ_s − η∇R̂)‖ ≤ rounding",
                    c["step_error"], c["step_allowed"], at),
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
        _inequality("approximation", "(4)", "max_j |app_j| ≤ ε_app", run.app_max * ones[:1],
                    app * ones[:1], at[:1]),
        _inequality("cof-heads", "(4)", "max_j |cof_j| ≤ max_j m^{-1/2} Σ_i |cof of head i|",
                    c["change_of_feature_max"], c["change_of_feature_heads"], at),
        _inequality("change-of-feature", "(4)", "m^{-1/2} Σ_i |cof of head i| ≤ ε_cof",
                    c["change_of_feature_heads"], known.change_of_feature * ones, at),
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
        held.append(Link(*last, left=math.sqrt(run.min_mse), verdict="not-defined",
                         reason=f"vacuous: {bound.reason}"))  # fmt: skip
    else:
        held.append(
            _inequality(*last, np.array([math.sqrt(run.min_mse)]), np.array([bound.value]), at[:1])
        )
    return [_qualified(link, run, known, inside, held) for link in held]


def _linearization(c: Columns, epsilon: float | None) -> list[Link]:
    heads = _inequality(
        "lin-heads", "(4)", "max_j |lin_j| ≤ max_j m^{-1/2} Σ_i |lin of head i|",
        c["linearization_max"], c["linearization_heads"], c["step"],
    )  # fmt: skip
    text = "m^{-1/2} Σ_i |lin of head i| ≤ ε_lin"
    if epsilon is None:
        reason = "no constants are known for this activation"
        return [heads, Link("linearization", "(4)", text, verdict="not-defined", reason=reason)]
    right = np.full_like(c["mse"], epsilon)
    return [
        heads,
        _inequality("linearization", "(4)", text, c["linearization_heads"], right, c["step"]),
    ]


def _gradient(c: Columns, L2: float | None) -> list[Link]:
    size = _inequality(
        "gradient", "(5)", "‖∇R̂‖² ≤ 4R̂ max_j ‖∇f(X_j)‖²",
        c["squared_gradient"], 4 * c["mse"] * c["squared_feature"], c["step"],
    )  # fmt: skip
    text = "max_j ‖∇f(X_j)‖² ≤ L²"
    if L2 is None:
        reason = "no constants are known for this activation"
        return [size, Link("feature-norm", "(5)", text, verdict="not-defined", reason=reason)]
    right = np.full_like(c["mse"], L2)
    return [size, _inequality("feature-norm", "(5)", text, c["squared_feature"], right, c["step"])]


FROM_PROJECTION = ("projection", "one-step", "bound")
FROM_APPROXIMATION = ("approximation", "one-step", "bound")
CONSTANT_OF = {
    "linearization": "linearization",
    "approximation": "approximation",
    "change-of-feature": "change_of_feature",
    "feature-norm": "squared_feature_norm",
}


def _qualified(link: Link, run: Run, known: Constants, inside: bool, held: list[Link]) -> Link:
    """The verdict where an assumption fails, a probability is involved or a constant is missing."""

    def to(verdict: LinkVerdict, reason: str) -> Link:
        return Link(**{**vars(link), "verdict": verdict, "reason": reason})

    if link.name in FROM_PROJECTION and not inside:
        return to("condition-not-met", "needs ν ≤ ρ: φ̃ lies outside Ω_ρ")
    if CONSTANT_OF.get(link.name) in known.measured:
        return to(link.verdict, "no constant is known: the largest measured value stands in")
    if link.name == "bound" and known.measured and link.verdict == "holds":
        return to(link.verdict, "with measured constants: not a proof")
    unlucky = any(row.name == "approximation" and row.verdict == "violated" for row in held)
    if link.verdict == "violated" and unlucky and link.name in FROM_APPROXIMATION:
        return to("inconclusive", f"ε_app may fail in {run.delta:g} of runs: {link.reason}")
    return link


def _inequality(name: str, step: str, statement: str, left: Array, right: Array, at: Array) -> Link:
    """left ≤ right at every audited step, beyond rounding."""
    broken = np.array([exceeds(a, b) for a, b in zip(left, right, strict=True)])
    return _link(name, step, statement, left, right, at, broken, "above")


def _equality(name: str, step: str, statement: str, left: Array, right: Array, at: Array) -> Link:
    """left = right at every audited step, to rounding."""
    broken = np.array([exceeds(a, b) or exceeds(b, a) for a, b in zip(left, right, strict=True)])
    return _link(name, step, statement, left, right, at, broken, "not equal to")


def _link(
    name: str, step: str, statement: str, left: Array, right: Array, at: Array, broken: Array,
    word: str,
) -> Link:  # fmt: skip
    loses = np.full(len(left), np.inf)
    loses[np.maximum(np.abs(left), np.abs(right)) <= ABSOLUTE_ROUNDING] = 1.0  # 0 ≤ 0
    np.divide(right, left, out=loses, where=left > ABSOLUTE_ROUNDING)
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
    return Link(
        name, step, statement, float(np.median(left)), float(np.median(right)), middle, low, high,
        verdict, reason,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
