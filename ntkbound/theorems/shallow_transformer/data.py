"""From the config's ``task`` to the data, in two steps: sizes first, labels when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.model import HeadModel
from ntkbound.heads.tasks.arrays import array_task, read_digits, read_file
from ntkbound.heads.tasks.series import load_series, series_task, sizes
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import RunConfig
from ntkbound.theorems.shallow_transformer.teacher import Cache, teacher_task

MakeTask = Callable[[HeadModel, Workers, Cache], Task]


class Prepared(NamedTuple):
    """A config whose data have been seen, their SHA-256 (None if seeded), and the task's maker."""

    config: RunConfig
    digest: str | None
    make_task: MakeTask


def prepare(config: RunConfig) -> Prepared:
    """The config with the data's sizes filled in, and how to make the task.

    Reading and checking a file happens here; the teacher's labels are averaged by the maker.
    Raises InputError for data that cannot be used.
    """
    if config.task == "teacher":
        return Prepared(
            config, None, lambda model, workers, cache: _taught(config, model, workers, cache)
        )
    if config.is_series:
        series = load_series(config)
        sized = config.with_data(*sizes(config, series))
        task, digest = series_task(sized, series), series.digest
    else:
        file = config.data_file
        raw = read_digits(config.target or "parity") if file is None else read_file(file)
        sized = config.with_data(*raw.X.shape)
        task, digest = array_task(sized, raw), raw.digest
    return Prepared(sized, digest, lambda model, workers, cache: task)


def _taught(config: RunConfig, model: HeadModel, workers: Workers, cache: Cache) -> Task:
    """The teacher task; any other model than its own learns the labels of the same Transformer."""
    if isinstance(model, ShallowTransformer):
        return teacher_task(config, model, workers, cache)
    assert config.d is not None
    fixed = config.query == "fixed"
    teacher = ShallowTransformer(config.d, ACTIVATIONS[config.activation], fixed_query=fixed)
    task = teacher_task(config, teacher, workers, cache)
    note = "labels are the Transformer teacher's; its transport map moves heads of another kind"
    return replace(task, transport=None, standard_error=None, notes=(*task.notes, note))
