"""From the config's ``task`` to the data, in two steps: sizes first, labels when asked for."""

from __future__ import annotations

from dataclasses import replace

from ntkbound.core.theorem import Prepared
from ntkbound.core.tools import Cache
from ntkbound.heads.model import HeadModel
from ntkbound.heads.tasks.arrays import Sampling, array_task, read_digits, read_file
from ntkbound.heads.tasks.series import (
    TimeSeries,
    Windowing,
    autoregressive,
    read_series,
    series_task,
    sizes,
)
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import Config, known
from ntkbound.theorems.shallow_transformer.teacher import Teacher, teacher_task

NO_QUERY = "none"  # of a model that asks nothing


def prepare(config: Config) -> Prepared:
    """The config with the data's sizes filled in, and how to make the task.

    Reading and checking a file happens here; the teacher's labels are averaged by the maker.
    Raises InputError for data that cannot be used.
    """
    if config.task == "teacher":
        teacher = Teacher.of(config)
        return Prepared(config, None, lambda model, workers, cache: _taught(
            teacher, model, workers, cache))  # fmt: skip
    if config.is_series:
        lag, positions = known(config.lag, "lag"), known(config.positions, "positions")
        series = _series(config, lag)
        sized = config.with_data(*sizes(series, lag, positions))
        task, digest = series_task(series, windowing(sized)), series.digest
    else:
        file = config.data_file
        raw = read_digits(known(config.target, "target")) if file is None else read_file(file)
        sized = config.with_data(*raw.X.shape)
        task, digest = array_task(raw, sampling(sized)), raw.digest
    return Prepared(sized, digest, lambda model, workers, cache: task)


def sampling(config: Config) -> Sampling:
    """Which samples of a file, or of the digits, a config whose sizes are known asks for."""
    return Sampling(
        n=config.sizes.n,
        seed=known(config.data_seed, "data_seed"),
        shuffle=bool(config.validation),
        rescale=config.rescale,
        query=config.query or NO_QUERY,
    )


def windowing(config: Config) -> Windowing:
    """How a config whose sizes are known cuts a series into samples."""
    return Windowing(
        lag=known(config.lag, "lag"),
        positions=known(config.positions, "positions"),
        n=config.sizes.n,
        n_train=config.n_train,
        seed=known(config.data_seed, "data_seed"),
        rescale=config.rescale,
        query=config.query or NO_QUERY,
        query_scale=config.query_scale or 1.0,
    )


def _series(config: Config, lag: int) -> TimeSeries:
    """The series of a config: drawn for ``ar``, read for ``series:FILE.csv``."""
    if config.data_file is not None:
        return read_series(config.data_file)
    count = known(config.n, "n") + lag + 1
    return autoregressive(lag, count, known(config.data_seed, "data_seed"))


def _taught(teacher: Teacher, model: HeadModel, workers: Workers, cache: Cache) -> Task:
    """The teacher task; any other model than its own learns the labels of the same Transformer."""
    task = teacher_task(teacher, workers, cache)
    if isinstance(model, ShallowTransformer):
        return task
    note = "labels are the Transformer teacher's; its transport map moves heads of another kind"
    return replace(task, transport=None, standard_error=None, notes=(*task.notes, note))
