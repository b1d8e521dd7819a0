"""A record against its linearization: the kernel at φ_0, its drift, and the loss it predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ntkbound.heads.model import HeadModel, Inputs
from ntkbound.heads.sums import outputs
from ntkbound.heads.terms.linear_dynamics import (
    SpectralMeasure,
    dense_measure,
    lanczos_measure,
    parting_step,
    products_needed,
)
from ntkbound.heads.terms.tangent_kernel import (
    TangentOperator,
    infinite_width_kernel,
    kernel_bytes,
    kernel_change,
    tangent_kernel,
)
from ntkbound.machine import memory
from ntkbound.machine.parallel import Workers
from ntkbound.runs.record import Record, group, require_saved
from ntkbound.theorems.shallow_transformer.config import RunConfig, build
from ntkbound.theorems.shallow_transformer.run import build_model

DENSE_SAMPLES = 4096  # beyond, an eigendecomposition takes minutes


@dataclass(frozen=True)
class KernelReport:
    """What ``ntkbound kernel`` says of one record; every field is in its JSON."""

    id: str
    n: int
    m: int
    method: str  # "eigendecomposition" or "lanczos"
    spectrum: dict[str, float | None]
    drift: float
    infinite_width: dict[str, float] | None
    steps: list[int]
    measured: list[float]
    predicted: list[float | None]  # None: descent on the linear model has diverged
    tolerance: float
    parting_step: int | None
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def kernel_report(
    record: Record,
    *,
    tolerance: float,
    infinite_heads: int,
    matrix_free: bool | None,
    workers: Workers,
) -> KernelReport:
    """The tangent kernel of a record's φ_0 and the loss curve it predicts beside the measured one.

    ``tolerance``: the relative difference at which the curves count as parted. ``infinite_heads``:
    fresh heads of the infinite-width kernel, 0 to leave it out. ``matrix_free``: never hold an
    n × n matrix; by default where n > DENSE_SAMPLES or memory is short.

    Raises InputError if parameters or inputs were not saved, or the kernel does not fit.
    """
    require_saved(record, "X", "q", "y", "initial.c", "final.c")
    config = build(record.data["config"])
    model = build_model(config)
    tensors = {name: torch.from_numpy(a.copy()) for name, a in record.params.items()}
    inputs, y = Inputs(tensors["X"], tensors["q"]), tensors["y"]
    initial, final = group(tensors, "initial"), group(tensors, "final")
    if matrix_free is None:
        needed = kernel_bytes(inputs.n, 5)
        matrix_free = inputs.n > DENSE_SAMPLES or needed > memory.available()
    residual = outputs(model, initial, inputs, workers) - y
    steps, measured = record.trace["step"], record.trace["mse"]
    change = kernel_change(model, initial, final, inputs, workers)
    spectrum: dict[str, float | None] = {
        "largest": None,
        "smallest": None,
        "condition": None,
        "trace": change.trace,
        "effective_rank": (change.trace / change.norm) ** 2,
    }
    infinite = None
    if matrix_free:
        product = TangentOperator(model, initial, inputs, workers)
        measure = lanczos_measure(product, residual, products_needed(int(steps[-1])))
    else:
        kernel = tangent_kernel(model, initial, inputs, workers)
        measure = dense_measure(kernel, residual)
        smallest = float(measure.values[0])
        spectrum["smallest"] = smallest
        # Below the rounding of the decomposition a smallest eigenvalue has no digit to divide by.
        if smallest > inputs.n * np.finfo(float).eps * measure.values[-1]:
            spectrum["condition"] = float(measure.values[-1]) / smallest
        if infinite_heads:
            infinite = _infinite_width(
                model, kernel, inputs, infinite_heads, config.init_seed or 0, workers
            )
    spectrum["largest"] = float(measure.values[-1])
    assert config.eta is not None
    predicted = measure.losses(config.eta, steps)
    parted = parting_step(steps, measured, predicted, tolerance)
    return KernelReport(
        id=record.id,
        n=inputs.n,
        m=config.m,
        method="lanczos" if matrix_free else "eigendecomposition",
        spectrum=spectrum,
        drift=change.drift,
        infinite_width=infinite,
        steps=steps.tolist(),
        measured=measured.tolist(),
        predicted=[value if math.isfinite(value) else None for value in predicted.tolist()],
        tolerance=tolerance,
        parting_step=parted,
        notes=_notes(record, config, measure, matrix_free),
    )


def _infinite_width(
    model: HeadModel, kernel: torch.Tensor, inputs: Inputs, heads: int, seed: int, workers: Workers
) -> dict[str, float]:
    wide = infinite_width_kernel(model, inputs, heads, seed, workers)
    return {
        "heads": wide.heads,
        "relative_distance": float((kernel - wide.kernel).norm() / wide.kernel.norm()),
        "relative_standard_error": wide.relative_error,
    }


def _notes(
    record: Record, config: RunConfig, measure: SpectralMeasure, matrix_free: bool
) -> list[str]:
    """What stands between this run and the prediction, which is for plain gradient descent."""
    notes = []
    fractions = record.terms["gradient"]["boundary_fraction"]
    if config.method in ("projgd", "projsgd"):
        active = ", ".join(f"{b} {f:.1%}" for b, f in fractions.items() if f > 0)
        if active:
            notes.append(
                "the prediction is for plain gradient descent, but the projection is active: "
                f"{active} of the heads end on the boundary of Ω_ρ"
            )
    if config.method == "projsgd":
        notes.append("the prediction is for full gradients, the run took mini-batches")
    if config.method == "decay" and config.decay:
        notes.append(f"the prediction leaves out the decay {config.decay:g} toward φ_0")
    limit = config.eta * float(measure.values[-1]) / measure.n if config.eta else 0.0
    if limit >= 1:
        notes.append(f"ηλ_max/n = {limit:.3g} ≥ 1: descent on the linear model diverges")
    if record.data["status"] != "complete":
        notes.append(f"the run {record.data['status']}: its trace ends early")
    if matrix_free:
        notes.append(
            "matrix-free: λ_max by Lanczos, a lower bound that converges from below; "
            "no smallest eigenvalue, condition or infinite-width kernel"
        )
    return notes
