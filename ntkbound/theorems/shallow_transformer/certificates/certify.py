"""All certificates of one run, and the bounds that follow: the tightest proved value per term."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ntkbound.core.outcome import Bound, Certificate
from ntkbound.heads.model import Params
from ntkbound.heads.sums import squared_distance
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.heads.transport import TransportMap
from ntkbound.theorems.shallow_transformer.bounds import Bounds, descent_bound
from ntkbound.theorems.shallow_transformer.certificates import a_priori
from ntkbound.theorems.shallow_transformer.certificates.certificate import Level, tightest
from ntkbound.theorems.shallow_transformer.certificates.exchangeable import approximation_bound
from ntkbound.theorems.shallow_transformer.certificates.suprema import (
    Suprema,
    TargetSuprema,
    suprema,
    target_suprema,
)
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem
from ntkbound.theorems.shallow_transformer.rounding import Rounding, rounding
from ntkbound.theorems.shallow_transformer.start import Start

ROUNDED = 1e-12  # of a realised distance, which was measured in float64
NARROWER = 0.9  # suprema over the ball that training met are worth finding below this share of ρ
TRANSFORMER_ONLY = "certificates beyond the closed forms are known for the Transformer only"
PROOFS = "docs/certificates.md"
TERMS = ("linearization", "approximation", "change_of_feature", "feature_norm", "training_rmse")


PRICE = 1.02  # of single precision, in the training bound, from which on it is told


@dataclass(frozen=True)
class Certified:
    """Every certificate that is defined for a run, why others are absent ('' if none), and what
    the precision of training costs ('' if next to nothing)."""

    certificates: tuple[Certificate, ...]
    missing: str = ""
    price: str = ""


def certify(start: Start, reach: Mapping[str, float], closed: Bounds) -> Certified:
    """The certificates of a run whose closed forms (docs/theory.md §4) are ``closed``.

    ``reach``: block → the largest ‖φ_i(s) − φ_i(0)‖ over heads and steps that training met.
    Only the Transformer has the constants that the other levels need.
    """
    model, likely = start.model, _likely(start.problem)
    known = []
    for term in TERMS:
        bound: Bound = getattr(closed, term)
        note = f", {likely}" if term in ("approximation", "training_rmse") else ""
        source = f"theorem, docs/theory.md §4{note}"
        known.append(_certificate("closed-form", term, bound.value, source))
    if not isinstance(model, ShallowTransformer):
        return Certified(_telling(known), TRANSFORMER_ONLY)
    if not model.activation.smooth:
        why = f"no constant is known for the third derivative of {model.activation.name}"
        return Certified(_telling(known), why)
    mapping, transported = start.task.transport, start.transported
    if transported is None or mapping is None:
        sure = suprema(model, start.initial, start.radii, start.task.inputs, start.workers)
        return Certified(_telling([*known, *_before(start), *_over_the_ball(sure)]))
    target = _Target(start, model, transported)
    whole = target.over(start.radii)
    known += [*_before(start), *_about_target(target, whole, mapping)]
    if not (start.projected and start.problem.target_inside):
        return Certified(_telling(known))
    training = _training(target, whole, reach)
    return Certified(_telling([*known, *training.certificates()]), price=training.price())


def _before(start: Start) -> Iterator[Certificate]:
    """What is known of a Transformer before a head is drawn, without a target."""
    problem = start.problem
    source = f"{PROOFS} §5, {_likely(problem)}"
    yield _certificate("a-priori", "linearization", a_priori.linearization(problem), source)
    norm = math.sqrt(a_priori.squared_feature_norm(problem))
    yield _certificate("a-priori", "feature_norm", norm, source)


def _over_the_ball(sure: Suprema) -> Iterator[Certificate]:
    source = f"{PROOFS} §3, sure"
    lin, norm = sure.linearization.max(), sure.squared_feature_norm.max()
    yield _certificate("a-posteriori", "linearization", float(lin), source)
    yield _certificate("a-posteriori", "feature_norm", math.sqrt(float(norm)), source)


def _over_the_draw(
    start: Start, transported: Params, mapping: TransportMap
) -> Iterator[Certificate]:
    """What holds with a probability over φ_0, for a map that is independent of it."""
    problem = start.problem
    source = f"{PROOFS} §5, {_likely(problem)}"
    yield _certificate("a-priori", "approximation", a_priori.approximation(problem), source)
    yield _certificate("a-priori", "change_of_feature", a_priori.change_of_feature(problem), source)
    if start.projected:
        prior = a_priori.training_rmse(problem).value
        yield _certificate("a-priori", "training_rmse", prior, f"{source}, in exact arithmetic")
    drawn, guessed = approximation_bound(start, transported, mapping)
    source = f"{PROOFS} §4, {_likely(problem)} and fresh heads"
    yield _certificate("a-posteriori", "approximation", float(drawn.max()), source)
    source = f"{PROOFS} §4, Chernoff with a sampled moment generating function: not proved"
    yield _certificate("estimate", "approximation", float(guessed.max()), source)


@dataclass(frozen=True)
class _Target:
    """A run with φ̃ = ``transported``."""

    start: Start
    model: ShallowTransformer
    transported: Params

    def over(self, radii: Mapping[str, float]) -> TargetSuprema:
        s = self.start
        return target_suprema(
            self.model, s.initial, self.transported, radii, s.task.inputs, s.workers
        )


def _about_target(
    target: _Target, whole: TargetSuprema, mapping: TransportMap
) -> Iterator[Certificate]:
    """What ``whole``, over all of Ω_ρ, says, and what the draw of φ_0 adds."""
    yield from _over_the_ball(whole)
    source = f"{PROOFS} §3, sure, for the realised φ̃"
    cof = float(whole.change_of_feature.max())
    yield _certificate("a-posteriori", "change_of_feature", cof, source)
    if target.start.problem.target == "drawn":  # a map that knows φ_0 has no bound over φ_0
        yield from _over_the_draw(target.start, target.transported, mapping)


@dataclass(frozen=True)
class _Training:
    """What the training bound of a run is made of; ``met``: the radii of the ball it is over."""

    start: Start
    met: Norms
    epsilon: float
    L2: float
    V0: float

    def rounding(self, dtype: str = "") -> Rounding:
        return rounding(self.start, self.met, math.sqrt(self.L2), dtype)

    def bound(self, dtype: str = "") -> float | None:
        rounded = self.rounding(dtype)
        return descent_bound(self.start.problem, self.epsilon, self.L2, self.V0, rounded).value

    def certificates(self) -> Iterator[Certificate]:
        source = f"{PROOFS} §6, sure: approximation error and reach of training are realised"
        yield _certificate("a-posteriori", "training_rmse", self.bound(), source)
        source = f"{PROOFS} §6, sure: ‖ĝ − ∇R̂‖ at every step, ĝ as it is rounded"
        yield _certificate("a-posteriori", "gradient_error", self.rounding().gradient, source)

    def price(self) -> str:
        """What single precision costs, where that is more than a trifle."""
        here, exact = self.bound(), self.bound("float64")
        if here is None or exact is None or here <= PRICE * exact:
            return ""
        told = f"{here:.3g} instead of {exact:.3g}: set dtype float64 for that"
        return f"rounding of {self.start.config.dtype} gradients makes the bound on RMSE {told}"


def _training(target: _Target, whole: TargetSuprema, reach: Mapping[str, float]) -> _Training:
    """With everything realised that is known before the first step, and the ball no larger than
    what training met; ``whole`` is over all of Ω_ρ."""
    start, radii = target.start, target.start.radii
    ball = {b: min(r, reach[b] * (1 + ROUNDED)) for b, r in radii.items()}
    narrow = all(ball[b] < NARROWER * r for b, r in radii.items())
    sure = target.over(ball) if narrow else whole
    app = approximation_errors(start.lin, target.transported, start.task.y)
    epsilon = float((sure.combined + app.abs()).square().mean().sqrt())
    L2 = float(sure.squared_feature_norm.mean())
    V0 = squared_distance(start.model, target.transported, start.initial, start.workers)
    met = Norms.of({b: math.sqrt(start.problem.m) * r for b, r in ball.items()})
    return _Training(start, met, epsilon, L2, V0)


def _likely(problem: Problem) -> str:
    return f"probability ≥ {1 - problem.delta:g} over φ_0"


def _certificate(level: Level, term: str, value: float | None, source: str) -> Certificate:
    """A bound that is absent certifies no finite value, and is dropped in the end."""
    return Certificate(term, level, math.inf if value is None else value, source)


def _telling(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Those that are finite, and a priori those that are not above the closed form: it knows the
    norms that were drawn, and a larger number says less of this run."""
    closed = {c.term: c.value for c in certificates if c.level == "closed-form"}
    return tuple(
        c
        for c in certificates
        if math.isfinite(c.value)
        and (c.level != "a-priori" or c.value <= closed.get(c.term, math.inf))
    )


def sharpened(closed: Bounds, certificates: Sequence[Certificate], problem: Problem) -> Bounds:
    """``closed`` with every term at its tightest proved value."""
    best = {term: tightest(certificates, term) for term in TERMS}
    realised = {c.term for c in certificates if c.level == "a-posteriori"}
    changed = {}
    for term, value in best.items():
        if value is not None:
            # Realised errors leave nothing to chance but how close the heads' average comes to f̃.
            sure = term in realised and term != "approximation"
            changed[term] = Bound(value, delta=0.0 if sure else getattr(closed, term).delta)
    transported = closed.linearization_transported
    over_rho = best["linearization"]
    if over_rho is not None and transported.value is not None and problem.target_inside:
        # φ̃ ∈ Ω_ν ⊂ Ω_ρ
        changed["linearization_transported"] = Bound(min(over_rho, transported.value))
    return replace(closed, **changed)
