"""Where X, q and y come from."""

from ntkbound.tasks.load import Prepared, prepare
from ntkbound.tasks.task import Task

__all__ = ["Prepared", "Task", "prepare"]
