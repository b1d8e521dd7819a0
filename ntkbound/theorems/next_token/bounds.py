"""Proved bounds beside what was measured: the paper's, and certificates that know the run.

A bound above what is known without it is vacuous. Sources: arXiv 2409.17335; D4 to D6 are derived
in docs/next-token.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntkbound.core.outcome import Bound, Certificate, Check, Terms, check
from ntkbound.core.quantity import Quantity
from ntkbound.core.tolerance import EPSILON, FACTOR
from ntkbound.theorems.next_token import kernel, statement
from ntkbound.theorems.next_token.audit import first_step, telescoped, theorem1
from ntkbound.theorems.next_token.measure import margin_certificate
from ntkbound.theorems.next_token.sentences import ABSENT
from ntkbound.theorems.next_token.trained import Trained

PAPER, A_POSTERIORI = "paper", "a-posteriori"
LARGEST_GAP = 2.0  # of two directions
ROUNDING = FACTOR * EPSILON["float64"]  # of 1 − x, added to certificates of that form

Conditions = Mapping[str, bool | None]


@dataclass(frozen=True)
class Proved:
    """One bound: its name, what it bounds, its value, and the conditions it needs."""

    name: str
    quantity: Quantity
    level: str
    source: str
    value: float
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """The fields of an ``Outcome`` that are about bounds."""

    checks: tuple[Check, ...]
    bounds: Mapping[str, float | None]
    certificates: tuple[Certificate, ...]
    conditions: Conditions


def conditions(run: Trained) -> dict[str, bool | None]:
    """The assumptions of the theorem, name → whether this run meets them."""
    config, V = run.config, run.sentences.V
    least = 384 * run.first_best**5 * math.log(2 * V) / run.eta0
    steps = run.first.steps
    return {
        statement.ZERO_START: config.ov_init == 0,
        statement.EQUAL_WEIGHTS: config.ov_weights == "uniform",
        statement.ALL_KNOWN: bool((run.sentences.next != ABSENT).all()),
        statement.SMALL_FIRST: 2 * run.eta0 <= run.first_best,
        statement.NORMALISED: config.method == "ngd",
        statement.FREQUENT: run.sentences.optimal_most_frequent,
        statement.SMALL_STEP: run.eta <= run.best.norm / math.e,
        statement.CLOSED_FORM: run.best.closed_form_error < 1e-9,
        statement.LATE: run.second.steps >= first_step(run),
        statement.LONG_FIRST: steps >= least * math.log(max(steps, 2)),
    }


def judge(run: Trained, terms: Terms) -> Judged:
    """Every bound in the same order for every run, those whose conditions it misses with the first
    that it misses."""
    met, rows, certificates = conditions(run), [], []
    values: dict[str, float | None] = {}
    for one in proved(run):
        missing = next((name for name in one.needs if not met[name]), "")
        values[one.name] = None if missing or not math.isfinite(one.value) else one.value
        term, probe, statistic = one.quantity.key
        rows.append(_row(one, terms[term][probe][statistic], missing, run))
        if values[one.name] is not None:
            about = next(k for k, v in statement.CERTIFIED.items() if one.quantity in v)
            certificates.append(Certificate(about, one.level, one.value, one.source))
    return Judged(tuple(rows), values, tuple(_sharpest(certificates)), met)


def _row(one: Proved, measured: float, missing: str, run: Trained) -> Check:
    if missing:
        told = f"{one.source}: {missing} is not met"
        if missing == statement.LATE:
            told += f" (t0 = {math.ceil(first_step(run))})"
        return check(one.quantity, measured, Bound(None, told, absent="condition-not-met"))
    if not math.isfinite(one.value):
        return check(one.quantity, measured, Bound(None, f"{one.source}: is about steps t ≥ 2"))
    is_loss = one.quantity == statement.LOSS
    trivial = float(run.second.of(kernel.LOSS)[0]) if is_loss else LARGEST_GAP
    row = check(one.quantity, measured, Bound(one.value))
    if row.verdict == "holds" and one.value > trivial:
        known = "the loss at the start of stage 2" if is_loss else "the largest gap there is"
        told = f"{one.source}: {one.value / trivial:.3g} times {trivial:.3g}, {known}"
        return replace(row, verdict="vacuous", reason=told)
    return replace(row, reason=f"{one.source}: {row.reason}" if row.reason else "")


def _sharpest(found: Sequence[Certificate]) -> list[Certificate]:
    """Of each term and level the smallest."""
    least: dict[tuple[str, str], Certificate] = {}
    for one in found:
        key = (one.term, one.level)
        if key not in least or one.value < least[key].value:
            least[key] = one
    return list(least.values())


def proved(run: Trained) -> tuple[Proved, ...]:
    """The bounds on the run's last step, whether its conditions are met or not."""
    first = (statement.ZERO_START, statement.EQUAL_WEIGHTS, statement.ALL_KNOWN)
    second = (*first, statement.NORMALISED, statement.FREQUENT, statement.CLOSED_FORM)
    t, T0 = run.second.steps, run.first.steps
    gap = partial_gap(run, t)
    opening = 12 * run.first_best**3 * math.log(2 * run.sentences.V) / run.eta0
    p1 = opening * math.log(T0) / T0 if T0 > 1 else math.inf
    d4 = 1 - run.first_best * run.margins[0] / float(np.linalg.norm(run.first.W))
    kq, ov, loss = statement.KQ_GAP, statement.OV_GAP, statement.LOSS
    follows = float(telescoped(run)[-1]) if run.config.method == "ngd" else math.inf
    return (
        Proved("direction/kq/theorem 1", kq, PAPER, "Theorem 1", gap,
               (*second, statement.SMALL_STEP, statement.LATE)),
        Proved("direction/kq/margin", kq, A_POSTERIORI, "margin certificate (D4)",
               float(margin_certificate(run)[-1]) + ROUNDING),
        Proved("direction/kq/telescoped", kq, A_POSTERIORI, "telescoped certificate (D5)",
               follows, (statement.NORMALISED,)),
        Proved("direction/ov/proposition 1", ov, PAPER, "Proposition 1", p1,
               (*first, statement.SMALL_FIRST)),
        Proved("direction/ov/margin", ov, A_POSTERIORI, "margin certificate (D4)",
               d4 + ROUNDING),
        Proved("loss/theorem 2", loss, PAPER, "Theorem 2", theorem2(run),
               (*second, statement.SMALL_STEP)),
        Proved("loss/attention", loss, A_POSTERIORI, "attention certificate (D6)",
               attention_certificate(run)),
    )  # fmt: skip


def partial_gap(run: Trained, t: int) -> float:
    """Theorem 1 at the last step."""
    return float(theorem1(run, np.array([t]))[0]) if t > 1 else math.inf


def theorem2(run: Trained) -> float:
    """V exp(−C0T0 + 2C0T0 L/(L + e^{C1 t})), C0 = η0/(4‖W_ov*‖²), C1 = η/(4L‖W_kq*‖²)."""
    L, t = run.sentences.longest, run.second.steps
    reached = run.first.steps * run.eta0 / (4 * run.first_best**2)
    grown = min(run.eta / (4 * L * run.best.norm**2) * t, kernel.HUGE)
    exponent = -reached + 2 * reached * L / (L + math.exp(grown))
    return run.sentences.V * math.exp(min(exponent, kernel.HUGE))


def attention_certificate(run: Trained) -> float:
    """log1p((V − 1) exp(−Δφ₊ + Δ₊(1 − φ₊))), φ₊ the least attention on an optimal token, Δ and Δ₊
    the smallest and largest margin of W_ov: log1p((V − 1)e^{−Δ(2φ₊ − 1)}) where they agree (D6)."""
    found = float(run.second.of(kernel.LEAST)[-1])
    low, high = run.margins
    exponent = math.log(run.sentences.V - 1) - low * found + high * (1 - found)
    return (
        exponent + math.log1p(math.exp(-exponent))
        if exponent > 0
        else math.log1p(math.exp(exponent))
    )
