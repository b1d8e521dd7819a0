"""Where X, q and y come from."""

from ntkbound.tasks.load import prepare
from ntkbound.tasks.task import Task

__all__ = ["Task", "prepare"]
