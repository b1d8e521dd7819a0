"""Where X, q and y come from."""

from ntkbound.heads.tasks.task import Task
from ntkbound.theorems.shallow_transformer.data import Prepared, prepare

__all__ = ["Prepared", "Task", "prepare"]
