"""One run against the theorem: which bounds are defined, and what was measured beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ntkbound.core.outcome import Bound, Certificate, Check, Terms, check
from ntkbound.core.quantity import Quantity
from ntkbound.heads.own import OwnHead
from ntkbound.heads.terms.trajectory import MSE
from ntkbound.theorems.shallow_transformer import statement
from ntkbound.theorems.shallow_transformer.bounds import Bounds
from ntkbound.theorems.shallow_transformer.certificates import certify, of_any_head, sharpened
from ntkbound.theorems.shallow_transformer.proved import closed_form, in_theorem
from ntkbound.theorems.shallow_transformer.start import Start, Trained, no_transport

Conditions = Mapping[str, bool | None]  # name → met, not met, or not known

UNPROVED = "show --levels: what constants of this head, stated or searched, would imply"
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
    known, left = _known(run, closed), _left(run)
    return Judgement(
        bounds=known.bounds.values(),
        checks=tuple(_checks(run, terms, known.bounds, left)),
        conditions=_conditions(run.start, closed, known.bounds.training_rmse, left),
        certificates=known.certificates,
        notes=known.notes,
    )


@dataclass(frozen=True)
class _Known:
    """The bounds of a run, where they come from, and what is to be said of all of them; why one
    is absent is the reason of its row."""

    bounds: Bounds
    certificates: tuple[Certificate, ...] = ()
    notes: tuple[str, ...] = ()


def _known(run: Trained, closed: Bounds) -> _Known:
    start = run.start
    if start.config.bounds and isinstance(start.model, OwnHead):
        return _Known(closed, tuple(of_any_head(start, start.model)), (UNPROVED,))
    if not (start.config.bounds and in_theorem(start.model)):
        return _Known(closed)
    certified = certify(start, run.descent.reach, closed)
    best = sharpened(closed, certified.certificates, start.problem)
    notes = [certified.missing, certified.price]
    if start.problem.B_x > 1:
        notes.append(f"token norms reach {start.problem.B_x:g}, the paper assumes 1 (bounds scale)")
    return _Known(best, certified.certificates, tuple(note for note in notes if note))


def _left(run: Trained) -> list[str]:
    """The blocks in which the trajectory leaves Ω_ρ."""
    moved = run.trajectory.worst("displacement")
    return [b for b, r in run.start.config.rho.items() if moved[b] > r * (1 + OUTSIDE)]


def _checks(run: Trained, terms: Terms, found: Bounds, left: Sequence[str]) -> Iterator[Check]:
    """One row per measured number that has a bound, or a reason why there is none."""

    def row(quantity: Quantity, bound: Bound) -> Check:
        term, probe, statistic = quantity.key
        return check(quantity, terms[term][probe][statistic], bound)

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
        why = no_transport(run.start.config)
        for quantity, bound in (
            (statement.APPROXIMATION, found.approximation),
            (statement.COF_WORST, change),
        ):
            yield check(quantity, None, replace(bound, value=None, reason=why))
    initial = float(run.trajectory.table[MSE][0])
    yield _unless_trivial(row(statement.MIN_MSE, found.optimization_mse), initial, 1)
    yield _unless_trivial(row(statement.MIN_RMSE, found.training_rmse), initial, 2)
    yield row(statement.FEATURE_NORM, seen(found.feature_norm))


def _unless_trivial(row: Check, initial: float, power: int) -> Check:
    """A bound on a power of √min R̂ that is above R̂(φ_0), ``initial``, says nothing: φ_0 is one of
    the iterates over which the minimum is taken, so no run could refute it."""
    if row.bound is None or row.verdict != "holds" or row.bound**power <= initial:
        return row
    by = f" by {row.bound**power / initial:.3g}×" if initial > 0 else ""
    return replace(row, verdict="vacuous", reason=f"R̂(φ_0) = {initial:.3g} is smaller{by}")


def _conditions(start: Start, closed: Bounds, training: Bound, left: Sequence[str]) -> Conditions:
    """The assumptions of the theorem, by name: met, not met, or not known."""
    mapping = start.task.transport
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
        statement.IN_BALL: not left,
    }
