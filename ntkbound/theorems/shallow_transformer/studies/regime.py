"""Leaving the kernel regime: plain descent at larger and larger step sizes."""

from __future__ import annotations

from collections.abc import Sequence

from ntkbound.core.outcome import Terms
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.studies.measured import Cell, cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Study
from ntkbound.theorems.shallow_transformer.statement import (
    COF,
    MIN_MSE,
    NAME,
    TRAJECTORY,
)

DRIFT = Quantity("tangent_kernel", "final", "drift", "drift ‖Θ_τ − Θ_0‖/‖Θ_0‖")
MOVED = 0.1  # a drift from which on the kernel counts as having moved


def derive(record: Record) -> Terms:
    """The drift of the tangent kernel, where training reached τ."""
    if not record.complete:
        return {}
    from ntkbound.heads.terms.tangent_kernel import kernel_change
    from ntkbound.machine.parallel import Workers
    from ntkbound.theorems.shallow_transformer.saved import saved

    kept = saved(record, Workers(1))
    change = kernel_change(kept.lin, kept.final)
    return {DRIFT.term: {DRIFT.probe: {DRIFT.statistic: float(change.drift)}}}


def judge(evidence: Evidence) -> Judgement:
    """Per width: where the kernel moves, where the loss is smallest, where runs diverge."""
    found = cells(evidence, "eta", ("m",))
    findings = []
    for arm in dict.fromkeys(cell.arm for cell in found):
        own = [cell for cell in found if cell.arm == arm]
        whole = [cell for cell in own if cell.records]
        lost = [cell for cell in own if cell.diverged]
        best = min(whole, key=lambda cell: cell.values(MIN_MSE).mean(), default=None)
        told = [
            _moved(whole),
            f"a run diverges from η = {three(lost[0].x)} on" if lost else "no run diverges",
        ]
        if best is not None:
            drift = three(float(best.values(DRIFT).mean()))
            told.append(
                f"smallest mean loss at η = {three(best.x)}, where the mean drift is {drift}"
            )
        findings.append(
            Finding(f"{arm}: leaving the kernel regime", "not-defined", "; ".join(told))
        )
    return Judgement(findings)


def _moved(whole: Sequence[Cell]) -> str:
    """In how many runs, at which η, the kernel moved: a mean hides that seeds differ."""
    parts = []
    for cell in whole:
        drift = cell.values(DRIFT)
        count = int((drift > MOVED).sum())
        if count:
            mean = three(float(drift.mean()))
            parts.append(f"in {count} of {len(drift)} runs at η = {three(cell.x)} (mean {mean})")
    return f"drift above {MOVED:g} {', '.join(parts) or 'in no run'}"


STUDY = Study(
    title="Regime",
    question="What happens without projection as larger steps take training out of its kernel?",
    reading=(
        "Plain gradient descent, one run per step size η. The drift says how far the tangent "
        "kernel moved by the end; change of feature and linearization say by how much f left its "
        "linear model. Nothing here is claimed by the theorem, which holds inside Ω_ρ: observation "
        "only."
    ),
    theorem=NAME,
    axis="eta",
    arms=("m",),
    measured=(MIN_MSE, DRIFT, COF, TRAJECTORY),
    derive=derive,
    judge=judge,
    save=True,
)
