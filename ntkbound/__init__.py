"""ntkbound: convergence theorems about Transformers, put to the test.

>>> from ntkbound import RunConfig, run
>>> record = run(RunConfig(m=64, tau=400))
>>> record.terms["linearization"]["worst"]["max"] <= record.bounds["linearization"]
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ntkbound.core.errors import InputError
from ntkbound.theorems.shallow_transformer.config import RunConfig

if TYPE_CHECKING:
    from ntkbound.runs.execute import Execution, run
    from ntkbound.runs.record import Record, read

__all__ = ["Execution", "InputError", "Record", "RunConfig", "read", "run"]


def __getattr__(name: str) -> Any:
    # torch is imported only when something is run or read: the command line stays quick.
    if name in ("Execution", "run"):
        from ntkbound.runs import execute

        return getattr(execute, name)
    if name in ("Record", "read"):
        from ntkbound.runs import record

        return getattr(record, name)
    raise AttributeError(f"module 'ntkbound' has no attribute {name!r}")
