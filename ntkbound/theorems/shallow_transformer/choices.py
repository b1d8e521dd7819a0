"""Which tasks and models a run may name."""

from __future__ import annotations

from ntkbound.core.errors import InputError, nearest
from ntkbound.core.userfile import is_python, split

DATA_FILES = (".npz", ".csv")
SERIES = "series:"  # of a task series:FILE.csv
TASKS = ("teacher", "digits", "ar")

MODELS = ("transformer", "indrnn")  # and any FILE.py:Class


def check_task(task: str) -> None:
    """Raises InputError unless it is the name of a task, or that of a data file."""
    series = task.removeprefix(SERIES)
    if series != task and not series.endswith(".csv"):
        raise InputError(f"{task!r} is no series; accepted: series:FILE.csv", field="task")
    if not task.endswith(DATA_FILES) and task not in TASKS:
        raise InputError(
            f"{task!r} is unknown; accepted: teacher, digits, ar, FILE.npz, "
            "FILE.csv, series:FILE.csv" + nearest(task, TASKS),
            field="task",
        )


def check_model(model: str) -> None:
    """Raises InputError unless it is the name of a model, or of a class in a Python file."""
    if model in MODELS:
        return
    if not is_python(model):
        told = f"{model!r} is unknown; accepted: {', '.join(MODELS)}, FILE.py:Class"
        raise InputError(told + nearest(model, MODELS), field="model")
    path, name = split(model)
    if not name:
        raise InputError(f"names no class; write {path.removesuffix(':')}:Class", field="model")
