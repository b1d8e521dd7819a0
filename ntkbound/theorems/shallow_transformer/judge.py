"""One run against the theorem: which bounds are defined, and what was measured beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ntkbound.core.outcome import Bound, Certificate, Check, Terms, check
from ntkbound.core.quantity import Quantity
from ntkbound.heads.terms.trajectory import MSE, RunTrajectory
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer import statement
from ntkbound.theorems.shallow_transformer.bounds import Bounds
from ntkbound.theorems.shallow_transformer.certificates import certify, sharpened
from ntkbound.theorems.shallow_transformer.proved import closed_form, in_theorem
from ntkbound.theorems.shallow_transformer.start import Start, Trained, no_transport

Conditions = Mapping[str, bool | None]  # name → met, not met, or not known

OUTSIDE = 1e-12  # a displacement beyond its radius by more than this share of it is no rounding


@dataclass(frozen=True)
class Judgement:
    """What the theorem says about one run; the fields are those of an ``Outcome``."""

    bounds: Mapping[str, float | None]
    checks: tuple[Check, ...]
    conditions: Conditions
    certificates: tuple[Certificate, ...] = ()
    notes: tuple[str, ...] = ()


def judge(run: Trained, terms: Terms) -> Judgement:
    """The bounds of a run, each the tightest proved certificate, beside its measured ``terms``."""
    closed = closed_form(run.start)
    known = _known(run, closed)
    return Judgement(
        bounds=known.bounds.values(),
        checks=tuple(_checks(run, terms, known.bounds)),
        conditions=_conditions(run, closed, known.bounds.training_rmse),
        certificates=known.certificates,
        notes=known.notes,
    )


@dataclass(frozen=True)
class _Known:
    """The bounds of a run, where they come from, and what is to be said of those it has not."""

    bounds: Bounds
    certificates: tuple[Certificate, ...] = ()
    notes: tuple[str, ...] = ()


def _known(run: Trained, closed: Bounds) -> _Known:
    start = run.start
    if not start.config.bounds:
        return _Known(closed)
    if not in_theorem(start.model):
        return _Known(closed, notes=tuple(_unproved(closed)))
    certified = certify(start, run.descent.reach, closed)
    best = sharpened(closed, certified.certificates, start.problem)
    notes = [certified.missing] if certified.missing else []
    notes += [f"assumption not met: {text}" for text in _assumptions(start, best.training_rmse)]
    notes += [f"no bound on {', '.join(n)}: {reason}" for reason, n in best.missing().items()]
    return _Known(best, certified.certificates, tuple(notes))


def _unproved(closed: Bounds) -> Iterator[str]:
    """What is to be said of heads that the theorem is not about: they miss most bounds."""
    missing = closed.missing()
    most = max(missing, key=lambda reason: len(missing[reason]))
    for reason, names in missing.items():
        if reason != most:
            yield f"no bound on the {', '.join(names)}: {reason}"
    every = len(missing[most]) == len(vars(closed))
    yield f"no bound on any {'' if every else 'other '}term: {most}"


def _assumptions(start: Start, training: Bound) -> Iterator[str]:
    """The assumptions of the theorem that this run does not satisfy, one line each."""
    problem = start.problem
    if problem.B_x > 1:
        yield f"token norms reach {problem.B_x:g}, the paper assumes 1 (bounds scale)"
    if problem.target == "unknown":
        yield "the target class is unknown (no transport map)"
    elif not problem.target_inside:
        yield "ν > ρ in some block: the target is not inside the projection ball"
    L2 = theorem.squared_feature_norm(problem, start.norms)
    if training.value is None and problem.eta * L2 >= 1:
        yield f"ηL² = {problem.eta * L2:.3g} ≥ 1"
    if not start.projected:
        yield f"method {start.config.method} is not full-batch projected descent"


def _left(run: Trained) -> list[str]:
    """The blocks in which the trajectory leaves Ω_ρ."""
    moved = run.trajectory.worst("displacement")
    return [b for b, r in run.start.config.rho.items() if moved[b] > r * (1 + OUTSIDE)]


def _checks(run: Trained, terms: Terms, found: Bounds) -> Iterator[Check]:
    """One row per measured number that has a bound, or a reason why there is none."""

    def row(quantity: Quantity, bound: Bound, remark: str = "") -> Check:
        term, probe, statistic = quantity.key
        return check(quantity, terms[term][probe][statistic], bound, remark)

    left = _left(run)

    def seen(bound: Bound) -> Bound:
        """On the trajectory, which must stay where the bound holds."""
        if not left:
            return bound
        reason = f"the trajectory leaves Ω_ρ (block {', '.join(left)})"
        reason = bound.reason if bound.value is None else reason
        return Bound(None, reason, absent="condition-not-met")

    over_rho, change = found.linearization, found.change_of_feature
    special = {"trajectory": seen(over_rho), "transported": found.linearization_transported}
    for probe in terms["linearization"]:
        yield row(Quantity(statement.WORST.term, probe, "max"), special.get(probe, over_rho))
    if statement.APPROXIMATION.term in terms:
        yield row(statement.APPROXIMATION, found.approximation)
        for probe in terms["change_of_feature"]:
            bound = seen(change) if probe == "trajectory" else change
            yield row(Quantity(statement.COF.term, probe, "max"), bound)
    else:
        absent = Bound(None, no_transport(run.start.config), absent="not-defined")
        yield check(statement.APPROXIMATION, None, absent)
        yield check(statement.COF_WORST, None, absent)
    says_less = _says_less(found.optimization_mse, run.trajectory)
    yield row(statement.MIN_MSE, found.optimization_mse, says_less)
    yield row(statement.MIN_RMSE, found.training_rmse, says_less)
    yield row(statement.FEATURE_NORM, seen(found.feature_norm))


def _says_less(training: Bound, trajectory: RunTrajectory) -> str:
    """The remark on a training bound above what is known without any theorem."""
    initial = float(trajectory.table[MSE][0])
    trivial = training.value is not None and training.value > initial
    return f"says less than R̂(φ_0) = {initial:.3g}" if trivial else ""


def _conditions(run: Trained, closed: Bounds, training: Bound) -> Conditions:
    """The assumptions of the theorem, by name: met, not met, or not known."""
    start, mapping = run.start, run.start.task.transport
    independent = inside = small = None
    if mapping is not None:
        independent = start.config.ridge is None
        inside = start.contains(mapping)
    norm = closed.feature_norm.value
    if norm is not None:
        # With a bound on training the step was small enough for the L² of its certificate.
        small = training.value is not None or start.step_size * norm**2 < 1
    return {
        statement.TRANSPORT: mapping is not None,
        statement.INDEPENDENT: independent,
        statement.INSIDE: inside,
        statement.UNIT_TOKENS: start.task.token_norm <= 1,
        statement.SMALL_STEP: small,
        statement.PROJECTED: start.projected,
        statement.IN_BALL: not _left(run),
    }
