"""What labels require of the target class, against n and m, over seeds: ``ntkbound membership``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.core.registry import configure
from ntkbound.core.tools import Notice
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import HeadModel, Inputs, symmetric_init
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.kernel_regression import (
    kernel_fits,
    minimum_norm_displacement,
    required_nu,
)
from ntkbound.heads.terms.tangent_kernel import tangent_kernel
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import NoCache
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.data import prepare
from ntkbound.theorems.shallow_transformer.membership.verdict import Requirement
from ntkbound.theorems.shallow_transformer.start import build_model

SIZES = (8, 4, 2, 1)  # n over these
WIDTHS = (4, 2, 1)  # m over these
LABELS = ("task", "random")


@dataclass(frozen=True)
class Question:
    """Labels of what, over how many seeds, at which ridges.

    ``labels``: the task's, or ``random`` (independent N(0, 1) on the same inputs: the reference of
    what is outside every class).
    """

    config: Config
    labels: str
    seeds: int
    ridges: Sequence[float]

    def check(self) -> None:
        """Raises InputError for what cannot be answered."""
        config, ridges = self.config, self.ridges
        if self.labels not in LABELS:
            told = f"{self.labels!r} is unknown; accepted: {', '.join(LABELS)}"
            raise InputError(told, field="labels")
        if self.seeds < 1:
            raise InputError(f"{self.seeds}; at least 1 is needed, 3 for a verdict", field="seeds")
        if not ridges or len(set(ridges)) < len(ridges) or any(not 0 <= r < 1e6 for r in ridges):
            told = "expected different numbers from 0 on, like 0,1e-6,1e-4,1e-2"
            raise InputError(told, field="ridges")
        for name in ("data_seed", "init_seed"):
            if getattr(config, name) != config.seed:
                told = "follows the seed here, which counts up to the next seeds"
                raise InputError(told, field=name)
        if config.m < 2 * WIDTHS[0]:
            told = f"{config.m} is too few; m/{WIDTHS[0]} must be at least 2"
            raise InputError(told, field="m")


@dataclass(frozen=True)
class Requirements:
    """One row per seed, m, n and ridge, and what the task remarks on."""

    rows: list[Requirement]
    ridges: list[float]
    notes: list[str]

    def at_first_ridge(self) -> list[Requirement]:
        """The rows that a verdict is about."""
        return [row for row in self.rows if row.ridge == self.ridges[0]]

    def as_json(self) -> dict[str, Any]:
        rows = [row.as_json() for row in self.rows]
        return {"ridges": self.ridges, "rows": rows, "notes": self.notes}


@dataclass(frozen=True)
class _Seed:
    """The samples of one seed in an order of its own, all of whose sizes are nested."""

    seed: int
    model: HeadModel
    inputs: Inputs
    y: torch.Tensor
    notes: tuple[str, ...]
    workers: Workers


def requirements(question: Question, workers: Workers, progress: Notice) -> Requirements:
    """Minimum-norm displacements for nested subsamples n/8 … n and widths m/4 … m.

    Every seed draws its own φ_0 and its own samples (of a teacher afresh, of other data another
    order of subsamples); the target stays the same. The widest model sees all sizes and ridges;
    a narrower one, at the first ridge, all samples and as small a share of them as its width is.

    Raises InputError for unusable data, too small n or m, or a kernel that does not fit.
    """
    question.check()
    rows: list[Requirement] = []
    notes: list[str] = []
    first = question.config.seed
    for seed in range(first, first + question.seeds):
        own = _drawn(question, seed, workers)
        notes = list(own.notes)
        for share in WIDTHS:
            m = 2 * max(1, question.config.m // share // 2)
            progress(f"seed {seed}, m = {m}")
            parts = SIZES if share == 1 else (share, 1)
            sizes = [len(own.y) // part for part in parts]
            rows += _measured(own, m, sizes, question.ridges if share == 1 else question.ridges[:1])
    return Requirements(rows, list(question.ridges), notes)


def _drawn(question: Question, seed: int, workers: Workers) -> _Seed:
    """The samples of one seed; raises InputError where there are too few, or nothing to fit."""
    moved = {"seed": seed, "data_seed": seed, "init_seed": seed}
    prepared = prepare(configure({**question.config.model_dump(), **moved}))
    config: Config = prepared.config
    if config.sizes.n < SIZES[0] * 2:
        told = f"{config.n} samples are too few; {SIZES[0] * 2} are needed"
        raise InputError(told, field="n")
    model = build_model(config)
    task: Task = prepared.data(model, workers, NoCache())  # this command writes no files
    task = task.rows(slice(0, config.n_train))
    y = task.y if question.labels == "task" else _random_labels(seed, len(task.y))
    if not y.any():
        told = "all labels are 0, which every class contains"
        raise InputError(told, field="task", value=config.task)
    order = torch.from_numpy(streams.generator(seed, "membership").permutation(len(y)))
    return _Seed(seed, model, task.inputs.rows(order), y[order], task.notes, workers)


def _measured(
    own: _Seed, m: int, sizes: Sequence[int], ridges: Sequence[float]
) -> Iterator[Requirement]:
    """All sizes at one width from one kernel: that of a subsample is a block of it."""
    initial = symmetric_init(own.model, m, own.seed, torch.float64)
    lin = Linearized(own.model, initial, own.inputs, own.workers)
    kernel = tangent_kernel(lin)
    for n in sizes:
        few, y = lin.rows(slice(0, n)), own.y[:n]
        for fit in kernel_fits(kernel[:n, :n], y, ridges):
            yield Requirement(
                m=m,
                n=n,
                seed=own.seed,
                ridge=fit.ridge,
                norm=fit.displacement_norm,
                rkhs_norm=fit.rkhs_norm,
                residual=fit.residual,
                nu=required_nu(minimum_norm_displacement(few, fit.alpha)),
            )


def _random_labels(seed: int, n: int) -> torch.Tensor:
    return torch.from_numpy(streams.generator(seed, "membership/labels").standard_normal(n))
