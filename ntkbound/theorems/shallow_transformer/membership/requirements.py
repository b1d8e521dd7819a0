"""What labels require of the target class, against n and m, over seeds: ``ntkbound membership``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.heads.model import HeadModel, symmetric_init
from ntkbound.heads.tasks import prepare
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.kernel_regression import (
    kernel_fits,
    minimum_norm_displacement,
    required_nu,
)
from ntkbound.heads.terms.tangent_kernel import tangent_kernel
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import RunConfig, build
from ntkbound.theorems.shallow_transformer.run import build_model
from ntkbound.theorems.shallow_transformer.teacher import Arrays

SIZES = (8, 4, 2, 1)  # n over these
WIDTHS = (4, 2, 1)  # m over these
LABELS = ("task", "random")

Row = dict[str, Any]  # in the shape of a record: config and terms
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Requirements:
    """One row per seed, m, n and ridge, and what the task remarks on."""

    rows: list[Row]
    ridges: list[float]
    notes: list[str]

    def at_first_ridge(self) -> list[Row]:
        """The rows that a verdict is about."""
        return [row for row in self.rows if row["config"]["ridge"] == self.ridges[0]]

    def as_json(self) -> dict[str, Any]:
        rows = [
            {**row["config"], **row["terms"]["membership"]["minimum_norm"]} for row in self.rows
        ]
        return {"ridges": self.ridges, "rows": rows, "notes": self.notes}


def requirements(
    config: RunConfig,
    *,
    labels: str,
    seeds: int,
    ridges: Sequence[float],
    workers: Workers,
    progress: Progress,
) -> Requirements:
    """Minimum-norm displacements for nested subsamples n/8 … n and widths m/4 … m.

    Every seed draws its own φ_0 and its own samples (of a teacher afresh, of other data another
    order of subsamples); the target stays the same. The widest model sees all sizes and ridges;
    a narrower one, at the first ridge, all samples and as small a share of them as its width is.
    ``labels``: the task's, or ``random`` (independent N(0, 1) on the same inputs: the reference
    of what is outside every class).

    Raises InputError for unusable data, too small n or m, or a kernel that does not fit.
    """
    _check(config, labels, seeds, ridges)
    rows: list[Row] = []
    notes: list[str] = []
    for seed in range(config.seed, config.seed + seeds):
        moved = {"seed": seed, "data_seed": seed, "init_seed": seed}
        sized, _, make = prepare(build({**config.model_dump(), **moved}))
        assert sized.n is not None
        if sized.n < SIZES[0] * 2:
            raise InputError(f"--n: {sized.n} samples are too few; {SIZES[0] * 2} are needed")
        model = build_model(sized)
        task = make(model, workers, _Memory()).rows(slice(0, sized.n_train))
        notes = list(task.notes)
        y = task.y if labels == "task" else _random_labels(seed, len(task.y))
        if not y.any():
            raise InputError(f"--task {config.task}: all labels are 0, which every class contains")
        order = torch.from_numpy(streams.generator(seed, "membership").permutation(len(y)))
        shuffled = Task(task.inputs.rows(order), y[order], task.token_norm, task.query_norm)
        for share in WIDTHS:
            m = 2 * max(1, config.m // share // 2)
            progress(f"seed {seed}, m = {m}")
            parts = SIZES if share == 1 else (share, 1)
            sizes = [len(y) // part for part in parts]
            used = ridges if share == 1 else ridges[:1]
            rows += _measure(model, m, seed, shuffled, sizes, used, workers)
    return Requirements(rows, list(ridges), notes)


def _check(config: RunConfig, labels: str, seeds: int, ridges: Sequence[float]) -> None:
    if labels not in LABELS:
        raise InputError(f"--labels: {labels!r} is unknown; accepted: {', '.join(LABELS)}")
    if seeds < 1:
        raise InputError(f"--seeds: {seeds}; at least 1 is needed, 3 for a verdict")
    if not ridges or len(set(ridges)) < len(ridges) or any(not 0 <= r < 1e6 for r in ridges):
        raise InputError("--ridges: expected different numbers from 0 on, like 0,1e-6,1e-4,1e-2")
    for name in ("data_seed", "init_seed"):
        if getattr(config, name) != config.seed:
            option = name.replace("_", "-")
            raise InputError(f"--{option}: follows --seed here, which counts up to the next seeds")
    if config.m < 2 * WIDTHS[0]:
        raise InputError(f"--m: {config.m} is too few; m/{WIDTHS[0]} must be at least 2")


def _measure(
    model: HeadModel,
    m: int,
    seed: int,
    task: Task,
    sizes: Sequence[int],
    ridges: Sequence[float],
    workers: Workers,
) -> list[Row]:
    """All sizes at one width from one kernel: that of a subsample is a block of it."""
    initial = symmetric_init(model, m, seed, torch.float64)
    kernel = tangent_kernel(model, initial, task.inputs, workers)
    rows = []
    for n in sizes:
        inputs, y = task.inputs.rows(slice(0, n)), task.y[:n]
        for fit in kernel_fits(kernel[:n, :n], y, ridges):
            moved = minimum_norm_displacement(model, initial, fit.alpha, inputs, workers)
            found = {
                "norm": fit.displacement_norm,
                "rkhs_norm": fit.rkhs_norm,
                "residual": fit.residual,
                **{f"nu_{b}": value for b, value in required_nu(moved).items()},
            }
            place = {"m": m, "n": n, "seed": seed, "ridge": fit.ridge}
            rows.append({"config": place, "terms": {"membership": {"minimum_norm": found}}})
    return rows


def _random_labels(seed: int, n: int) -> torch.Tensor:
    return torch.from_numpy(streams.generator(seed, "membership/labels").standard_normal(n))


class _Memory:
    """A label cache that keeps nothing: this command writes no files."""

    def fetch(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        return compute()
