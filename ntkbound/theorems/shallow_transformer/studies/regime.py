"""Leaving the kernel regime: plain descent at larger and larger step sizes."""

from __future__ import annotations

from ntkbound.runs.record import Record
from ntkbound.studies.measured import cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Quantity, Study, Terms
from ntkbound.theorems.shallow_transformer.studies.shared import (
    COF,
    MIN_MSE,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    TRAJECTORY,
    seeds,
)

DRIFT = Quantity("kernel drift ‖Θ_τ − Θ_0‖/‖Θ_0‖", "tangent_kernel", "final", "drift")
MOVED = 0.1  # a drift from which on the kernel counts as having moved


def derive(record: Record) -> Terms:
    """The drift of the tangent kernel, where training reached τ."""
    if record.data["status"] != "complete":
        return {}
    import torch

    from ntkbound.heads.model import Inputs
    from ntkbound.heads.terms.tangent_kernel import kernel_change
    from ntkbound.machine.parallel import Workers
    from ntkbound.runs.record import group
    from ntkbound.theorems.shallow_transformer.config import build
    from ntkbound.theorems.shallow_transformer.run import build_model

    tensors = {name: torch.from_numpy(a.copy()) for name, a in record.params.items()}
    change = kernel_change(
        build_model(build(record.data["config"])),
        group(tensors, "initial"),
        group(tensors, "final"),
        Inputs(tensors["X"], tensors["q"]),
        Workers(1),
    )
    return {DRIFT.term: {DRIFT.probe: {DRIFT.statistic: float(change.drift)}}}


def judge(evidence: Evidence) -> Judgement:
    """Per width: where the kernel moves, where the loss is smallest, where runs diverge."""
    found = cells(evidence, "eta", ("m",))
    findings = []
    for arm in dict.fromkeys(cell.arm for cell in found):
        own = [cell for cell in found if cell.arm == arm]
        whole = [cell for cell in own if cell.rows]
        moved = [c for c in whole if (c.values(DRIFT) > MOVED).all()]
        lost = [cell for cell in own if cell.diverged]
        best = min(whole, key=lambda cell: cell.values(MIN_MSE).mean(), default=None)
        told = [
            f"drift above {MOVED:g} in all seeds from η = {three(moved[0].x)} on"
            if moved
            else f"drift never above {MOVED:g} in all seeds",
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


STUDY = Study(
    title="Regime",
    question="What happens without projection as larger steps take training out of its kernel?",
    reading=(
        "Plain gradient descent, one run per step size η. The drift says how far the tangent "
        "kernel moved by the end; change of feature and linearization say by how much f left its "
        "linear model. Nothing here is claimed by the theorem, which holds inside Ω_ρ: observation "
        "only."
    ),
    sizes={
        "smoke": {
            "run": {**TINY, **NO_SEARCH, "method": "gd"},
            "sweep": {"eta": [0.1, 1.0, 10.0], "m": [8, 32], "seed": seeds(3)},
        },
        "small": {
            "run": {"n": 128, "T": 8, "d": 4, "tau": 1000, "inputs": "ball", "method": "gd",
                    **NO_SEARCH},
            "sweep": {"eta": {"from": 0.03, "to": 30.0, "factor": 3.1622776601683795},
                      "m": [16, 64, 256], "seed": seeds(5)},
        },
        "paper": {
            "run": {**{k: v for k, v in PUBLISHED.items() if k != "eta_scale"}, "method": "gd"},
            "sweep": {"eta": {"from": 0.01, "to": 100.0, "factor": 10.0}, "m": [64],
                      "seed": seeds(10)},
        },
    },
    axis="eta",
    arms=("m",),
    measured=(MIN_MSE, DRIFT, COF, TRAJECTORY),
    derive=derive,
    judge=judge,
    save=True,
)  # fmt: skip
