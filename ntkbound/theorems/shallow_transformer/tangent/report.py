"""A record against its linearization: the kernel at φ_0, its drift, and the loss it predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from ntkbound.core.record import Record
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.terms.linear_dynamics import (
    SpectralMeasure,
    dense_measure,
    lanczos_measure,
    parting_step,
    products_needed,
)
from ntkbound.heads.terms.tangent_kernel import (
    infinite_width_kernel,
    kernel_bytes,
    kernel_change,
    kernel_product,
    tangent_kernel,
)
from ntkbound.heads.terms.trajectory import MSE
from ntkbound.machine import memory
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import Config, known
from ntkbound.theorems.shallow_transformer.saved import saved

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


@dataclass(frozen=True)
class Options:
    """tolerance: the relative difference at which the curves count as parted. infinite_heads:
    fresh heads of the infinite-width kernel, 0 to leave it out. matrix_free: never hold an n × n
    matrix; by default where n > DENSE_SAMPLES or memory is short."""

    tolerance: float = 0.05
    infinite_heads: int = 4096
    matrix_free: bool | None = None


def kernel_report(record: Record, options: Options, workers: Workers) -> KernelReport:
    """The tangent kernel of a record's φ_0 and the loss curve it predicts beside the measured one.

    Raises InputError if parameters or inputs were not saved, or the kernel does not fit.
    """
    kept = saved(record, workers)
    lin, config, n = kept.lin, kept.config, kept.lin.inputs.n
    free = options.matrix_free
    if free is None:
        free = n > DENSE_SAMPLES or kernel_bytes(n, 5) > memory.available()
    residual = lin.outputs(lin.initial) - kept.y
    steps, measured = record.trace["step"], record.trace[MSE]
    change = kernel_change(lin, kept.final)
    rank = (change.trace / change.norm) ** 2
    trace: dict[str, float | None] = {"trace": change.trace, "effective_rank": rank}
    infinite = None
    if free:
        product = partial(kernel_product, lin)
        measure = lanczos_measure(product, residual, products_needed(int(steps[-1])))
        ends = _ends(measure, seen=False)
    else:
        kernel = tangent_kernel(lin)
        measure = dense_measure(kernel, residual)
        ends = _ends(measure, seen=True)
        if options.infinite_heads:
            seed = known(config.init_seed, "init_seed")
            infinite = _infinite_width(lin, kernel, options.infinite_heads, seed)
    predicted = measure.losses(config.step_size, steps)
    return KernelReport(
        id=record.id,
        n=n,
        m=config.m,
        method="lanczos" if free else "eigendecomposition",
        spectrum=ends | trace,
        drift=change.drift,
        infinite_width=infinite,
        steps=steps.tolist(),
        measured=measured.tolist(),
        predicted=[value if math.isfinite(value) else None for value in predicted.tolist()],
        tolerance=options.tolerance,
        parting_step=parting_step(steps, measured, predicted, options.tolerance),
        notes=_notes(record, config, measure, free),
    )


def _ends(measure: SpectralMeasure, *, seen: bool) -> dict[str, float | None]:
    """The largest eigenvalue and, where all were ``seen``, the smallest and the condition."""
    largest, smallest = float(measure.values[-1]), float(measure.values[0])
    # Below the rounding of the decomposition a smallest eigenvalue has no digit to divide by.
    resolved = smallest > measure.n * np.finfo(float).eps * largest
    return {
        "largest": largest,
        "smallest": smallest if seen else None,
        "condition": largest / smallest if seen and resolved else None,
    }


def _infinite_width(
    lin: Linearized, kernel: torch.Tensor, heads: int, seed: int
) -> dict[str, float]:
    wide = infinite_width_kernel(lin, heads, seed)
    return {
        "heads": wide.heads,
        "relative_distance": float((kernel - wide.kernel).norm() / wide.kernel.norm()),
        "relative_standard_error": wide.relative_error,
    }


def _notes(
    record: Record, config: Config, measure: SpectralMeasure, matrix_free: bool
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
    limit = config.step_size * float(measure.values[-1]) / measure.n
    if limit >= 1:
        notes.append(f"ηλ_max/n = {limit:.3g} ≥ 1: descent on the linear model diverges")
    if not record.complete:
        notes.append(f"the run {record.status}: its trace ends early")
    if matrix_free:
        notes.append(
            "matrix-free: λ_max by Lanczos, a lower bound that converges from below; "
            "no smallest eigenvalue, condition or infinite-width kernel"
        )
    return notes
