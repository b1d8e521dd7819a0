"""From the config's ``task`` to the data, in two steps: sizes first, labels when asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ntkbound.config import RunConfig
from ntkbound.models.transformer import ShallowTransformer
from ntkbound.parallel import Workers
from ntkbound.tasks.arrays import array_task, read_digits, read_file
from ntkbound.tasks.task import Task
from ntkbound.tasks.teacher import Cache, teacher_task

MakeTask = Callable[[ShallowTransformer, Workers, Cache], Task]


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
            config,
            None,
            lambda model, workers, cache: teacher_task(config, model, workers, cache),
        )
    raw = (
        read_digits(config.target or "parity")
        if config.task == "digits"
        else read_file(Path(config.task))
    )
    sized = config.with_data(*raw.X.shape)
    task = array_task(sized, raw)
    return Prepared(sized, raw.digest, lambda model, workers, cache: task)
