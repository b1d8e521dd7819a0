"""ntkbound: convergence theorems, put to the test.

>>> from ntkbound import run
>>> record = run(theorem="least-squares", steps=50)
>>> record.checks[0].verdict
'holds'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ntkbound.core.claim import Claim
from ntkbound.core.config import Config
from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Bound, Check, Outcome
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.core.registry import find
from ntkbound.core.theorem import Theorem

if TYPE_CHECKING:
    from ntkbound.api import check, configure, run, sweep
    from ntkbound.core import streams
    from ntkbound.heads.model import HeadModel
    from ntkbound.results import Results, load
    from ntkbound.runs.execute import Execution
    from ntkbound.runs.record import read
    from ntkbound.studies.study import Study

__all__ = [
    "Bound",
    "Check",
    "Claim",
    "Config",
    "Execution",
    "HeadModel",
    "InputError",
    "Outcome",
    "Quantity",
    "Record",
    "Results",
    "Study",
    "Theorem",
    "check",
    "configure",
    "find",
    "load",
    "read",
    "run",
    "streams",
    "sweep",
]

# NumPy and torch are imported only when they are needed: the command line stays quick.
LATER = {
    "Execution": "ntkbound.runs.execute",
    "HeadModel": "ntkbound.heads.model",
    "Results": "ntkbound.results",
    "Study": "ntkbound.studies.study",
    "check": "ntkbound.api",
    "configure": "ntkbound.api",
    "load": "ntkbound.results",
    "read": "ntkbound.runs.record",
    "run": "ntkbound.api",
    "sweep": "ntkbound.api",
}


def __getattr__(name: str) -> Any:
    if name == "streams":
        return import_module("ntkbound.core.streams")
    if name in LATER:
        return getattr(import_module(LATER[name]), name)
    raise AttributeError(f"module 'ntkbound' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
