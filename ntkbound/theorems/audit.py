"""The proof of arXiv 2601.16514 put to the test link by link: what holds, and what each link loses.

The chain is that of docs/theory.md §4 (training error). ``links`` asserts every equality and
inequality at every audited step; ``decompose`` splits bound/measured into one factor per link.

**Decomposition.** Summed over s, links (1)–(6) with nothing dropped are one identity,

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
from typing import Any, Literal

import numpy as np

from ntkbound.terms.audit import Columns
from ntkbound.theorems.bound import Bound
from ntkbound.theorems.shallow_transformer import Bounds, rmse_root
from ntkbound.tolerance import ABSOLUTE_ROUNDING, exceeds

LinkVerdict = Literal["holds", "violated", "inconclusive", "condition-not-met", "not-defined"]
Array = np.ndarray


@dataclass(frozen=True)
class Constants:
    """What the proof puts in place of measured numbers.

    ``measured`` names those for which no constant is known, so that the largest measured value
    stands in: then nothing is proved, and the row says so.
    """

    linearization: float
    approximation: float
    change_of_feature: float
    squared_feature_norm: float
    distance: float  # ν_c² + ν_u² + ν_w² ≥ V_0
    measured: frozenset[str] = frozenset()

    @property
    def epsilon(self) -> float:
        return self.linearization + self.approximation + self.change_of_feature


@dataclass(frozen=True)
class Run:
    """One audited run: columns of ``terms.audit``, one row per audited step, and its scalars."""

    columns: Columns
    eta: float
    tau: int
    delta: float
    start: float  # V_0
    end: float  # V_τ
    app_rms: float
    app_max: float
    min_mse: float  # over all s < τ


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


def constants(bounds: Bounds | None, distance: float, run: Run) -> Constants:
    """The proved constants; without them (``bounds`` None) the largest measured values."""
    if bounds is None:
        c = run.columns
        names = ("linearization", "approximation", "change_of_feature", "squared_feature_norm")
        return Constants(
            linearization=float(c["linearization_heads"].max()),
            approximation=run.app_max,
            change_of_feature=float(c["change_of_feature_heads"].max()),
            squared_feature_norm=float(c["squared_feature"].max()),
            distance=distance,
            measured=frozenset(names),
        )
    return Constants(
        linearization=_value(bounds.linearization),
        approximation=_value(bounds.approximation),
        change_of_feature=_value(bounds.change_of_feature),
        squared_feature_norm=_value(bounds.feature_norm) ** 2,
        distance=distance,
    )


def _value(bound: Bound) -> float:
    assert bound.value is not None, bound.reason
    return bound.value


def weights(steps: Array, tau: int) -> Array:
    """(K,) weights with Σ_k w_k y_k = Σ_{s<τ} of the piecewise linear curve through (s_k, y_k).

    ``steps`` increase from 0 to τ − 1; all of them audited means all weights 1.
    """
    every = np.arange(tau)
    return np.array([np.interp(every, steps, row).sum() for row in np.eye(len(steps))])


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
    mean = _average(run)
    x = math.sqrt(mean(c["mse"]))
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
                    np.array([x**2]), at[:1]),
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


def final_bound(run: Run, known: Constants) -> Bound:
    """The right-hand end of the chain."""
    L2 = known.squared_feature_norm
    value = rmse_root(known.epsilon, L2, known.distance, run.eta, run.tau)
    if math.isinf(value):
        return Bound(None, f"ηL² = {run.eta * L2:.3g} ≥ 1")
    return Bound(value)


def _average(run: Run) -> Callable[[Array], float]:
    w = weights(run.columns["step"], run.tau)
    return lambda values: float((w * values).sum() / run.tau)


def decompose(run: Run, known: Constants) -> tuple[Share, ...]:
    """One factor per link in the order of the proof; their product is bound/measured.

    Empty where the bound is vacuous. Rounding and quadrature are signed: their factors may lie on
    either side of 1, and every other factor is at least 1 where its link holds.
    """
    bound = final_bound(run, known).value
    if bound is None or run.min_mse <= 0:
        return ()
    c, tau, mean = run.columns, run.tau, _average(run)
    root = np.sqrt(c["mse"])
    x = math.sqrt(mean(c["mse"]))

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
        "lin": against(known.linearization),
        "app": against(known.approximation),
        "cof": against(known.change_of_feature),
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
         value(epsilon, known.squared_feature_norm, whole)),
        ("jensen", "(6)", "mean √R̂ → √mean R̂",
         value(known.epsilon, known.squared_feature_norm, whole)),
        ("telescope", "(6)", "V_0 − V_τ → V_0",
         value(known.epsilon, known.squared_feature_norm, run.start)),
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
