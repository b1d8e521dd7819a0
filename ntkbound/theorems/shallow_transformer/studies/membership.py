"""The smallest error against ρ/ν: what is guaranteed, what is out of reach, and the curve."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ntkbound.core.outcome import Check, Terms, Verdict
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.core.tolerance import exceeds
from ntkbound.stats.curves import median_interval
from ntkbound.studies.measured import Cell, cells, paired_ratio, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Line, Panel, Study, TextTable
from ntkbound.theorems.shallow_transformer.statement import IN_BALL, MIN_RMSE, NAME, WORST

AXIS = "rho/nu"
LEFT = Quantity("membership", "training", "left", "RMSE left / RMS of y")
LEAST = Quantity("membership", "training", "least_rmse", "proved at least")
GUARANTEED = "proved at most"
WORST_FIRST: tuple[Verdict, ...] = (
    "bound-violated", "inconclusive", "holds", "vacuous", "condition-not-met", "not-defined",
)  # fmt: skip


def derive(record: Record) -> Terms:
    """The share of the labels that training leaves, and what none inside Ω_ρ can do better than.

    The latter needs a sure bound on the linearization error, and is left out where it is not
    positive.
    """
    if not record.complete:
        return {}
    from ntkbound.machine.parallel import Workers
    from ntkbound.theorems.shallow_transformer.membership.distance import least_rmse
    from ntkbound.theorems.shallow_transformer.saved import saved

    kept = saved(record, Workers(1))
    size = float(kept.y.norm()) / math.sqrt(len(kept.y))
    left = record.terms[MIN_RMSE.term][MIN_RMSE.probe][MIN_RMSE.statistic] / size
    numbers = {LEFT.statistic: left}
    sure = [row.bound for row in record.checks if row.key == WORST.key and row.delta == 0]
    if sure and sure[0] is not None and record.conditions.get(IN_BALL):
        residual = kept.y - kept.lin.outputs(kept.best)
        least = least_rmse(kept.lin, kept.y, residual, record.config["rho"], sure[0])
        if least > 0:
            numbers[LEAST.statistic] = least
    return {LEFT.term: {LEFT.probe: numbers}}


def narrowed(record: Record) -> list[str]:
    """The blocks in which ρ/ν is smallest."""
    rho, nu = record.config["rho"], record.config["nu"]
    ratios = {block: rho[block] / nu[block] for block in rho}
    smallest = min(ratios.values())
    return [block for block, ratio in ratios.items() if math.isclose(ratio, smallest)]


def arm(record: Record) -> str:
    """ν, and the block that is narrowed: "ν = 1, all blocks"."""
    blocks, nu = narrowed(record), record.config["nu"]
    which = "all blocks" if len(blocks) == len(nu) else f"block {', '.join(blocks)}"
    return f"ν = {max(nu.values()):g}, {which}"


def judge(evidence: Evidence) -> Judgement:
    """Per arm: the guarantee, the proved lower bound, and, judged by nothing, the curve itself."""
    found = [cell for cell in cells(evidence, AXIS, arm) if cell.records]
    findings, rows, lines = [], [], []
    for name in dict.fromkeys(cell.arm for cell in found):
        own = [cell for cell in found if cell.arm == name]
        findings += [_upper_bound(name, own), _lower_bound(name, own), *_curve(name, own)]
        rows += [_row(cell, before) for cell, before in zip(own, [None, *own[:-1]], strict=True)]
        first = own[0].records[0]
        if len(narrowed(first)) == len(first.config["nu"]):
            lines += _between(name, own)
    title = "The whole curve: smallest RMSE, its proved bounds, and its ratio to the ρ/ν before"
    columns = ("arm", AXIS, MIN_RMSE.title, LEAST.title, GUARANTEED, "ratio")
    panel = Panel("between what is proved of it", "ρ/ν", MIN_RMSE.title, lines)
    return Judgement(
        findings, tables=[TextTable(title, columns, rows)], panels=[panel] * bool(lines)
    )


def _checks(cell: Cell) -> list[Check]:
    """What the records say of the theorem's bound on the smallest RMSE."""
    return [row for record in cell.records for row in record.checks if row.key == MIN_RMSE.key]


def _bounds(cell: Cell) -> list[float]:
    return [row.bound for row in _checks(cell) if row.bound is not None]


def _upper_bound(name: str, own: Sequence[Cell]) -> Finding:
    """The theorem's own bound, as the records judged it: it exists where ρ ≥ ν only."""
    statement = f"{name}: the error is below its proved upper bound, which needs ρ ≥ ν"
    rows = [row for cell in own for row in _checks(cell)]
    counts = Counter(row.verdict for row in rows)
    verdict = next((word for word in WORST_FIRST if counts[word]), "not-defined")
    bounded = [cell.x for cell in own if _bounds(cell)]
    told = f"a bound in {sum(row.bound is not None for row in rows)} of {len(rows)} runs"
    if bounded:
        closest = min((row.slack for row in rows if row.slack is not None), default=math.inf)
        told += f", from ρ/ν = {min(bounded):g} on; the closest is {three(closest)} times the error"
    return Finding(statement, verdict, told)


def _lower_bound(name: str, own: Sequence[Cell]) -> Finding:
    """Sure, so that one run below it contradicts it."""
    statement = f"{name}: the error is above its proved lower bound"
    runs = [(cell.x, record) for cell in own for record in cell.records]
    pairs = [
        (x, error, least)
        for x, record in runs
        if (least := record.number(LEAST.key)) is not None
        and (error := record.number(MIN_RMSE.key)) is not None
    ]
    if not pairs:
        return Finding(statement, "vacuous", f"no positive lower bound in {len(runs)} runs")
    below = sum(exceeds(least, error) for _, error, least in pairs)
    closest = min(error / least for _, error, least in pairs)
    told = f"positive in {len(pairs)} of {len(runs)} runs, up to ρ/ν = {max(pairs)[0]:g}; "
    told += f"the error is at least {three(closest)} times it"
    return Finding(statement, "bound-violated" if below else "holds", told)


def _curve(name: str, own: Sequence[Cell]) -> list[Finding]:
    """How much falls still beyond ρ = ν; observed, since nothing is claimed about the form."""
    inside = [cell for cell in own if cell.x <= 1]
    last = own[-1]
    if not inside or last.x <= 1:
        return []
    earlier = dict.fromkeys((inside[-1].x, own[-2].x))
    told = [
        f"over that at {cell.x:g}: {paired_ratio(_by_seed(last), _by_seed(cell))}"
        for cell in own
        if cell.x in earlier
    ]
    statement = f"{name}: what the error still loses beyond ρ = ν"
    return [Finding(statement, "not-defined", f"error at ρ/ν = {last.x:g} {'; '.join(told)}")]


def _by_seed(cell: Cell) -> Mapping[int, float]:
    """Seed → smallest RMSE."""
    found = {record.config["seed"]: record.number(MIN_RMSE.key) for record in cell.records}
    return {seed: value for seed, value in found.items() if value is not None}


def _row(cell: Cell, before: Cell | None) -> list[str]:
    """Medians over seeds; the ratio to the error at the ρ/ν before, paired by seed."""
    numbers = [cell.values(MIN_RMSE).tolist(), cell.values(LEAST).tolist(), _bounds(cell)]
    shown = [three(_median(values)) for values in numbers]
    ratio = "–" if before is None else paired_ratio(_by_seed(cell), _by_seed(before))
    return [cell.arm, f"{cell.x:g}", *shown, ratio]


def _between(name: str, own: Sequence[Cell]) -> list[Line]:
    """The error of one arm, with what is proved below and above it."""
    x = [cell.x for cell in own]
    errors = [cell.values(MIN_RMSE) for cell in own]
    low, high = zip(*map(median_interval, errors), strict=True)
    middle = [_median(values.tolist()) for values in errors]
    least = [_median(cell.values(LEAST).tolist()) for cell in own]
    most = [_median(_bounds(cell)) for cell in own]
    return [
        Line(name, x, middle, low, high, seeds=[values.tolist() for values in errors]),
        Line(LEAST.title, x, least, role="lower", arm=name),
        Line(GUARANTEED, x, most, role="upper", arm=name),
    ]


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


STUDY = Study(
    title="Membership",
    question="From which projection radius ρ on can training reach a target of norm ν?",
    reading=(
        "The teacher moves every head by exactly ν. For ρ ≥ ν the student's ball contains the "
        "target up to the approximation error, and the theorem bounds the error from above "
        "(dotted). Below, it guarantees nothing; instead the distance of the labels from the "
        "linear class on Ω_ρ, less the proved linearization error, is an error that no parameters "
        "in the ball can do without (dashes and dots; none where it is not positive). Where the "
        "error stops falling is not judged: nobody claims it, and the place of a bend depends on "
        "the ratios measured. So the whole curve is shown, with the ratio of each error to the one "
        "before. "
        "For a narrowed block the other blocks are wide."
    ),
    theorem=NAME,
    axis=AXIS,
    arms=arm,
    measured=(LEFT,),
    derive=derive,
    judge=judge,
    save=True,
)
