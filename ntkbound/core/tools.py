"""What a run is handed by the engine, as a theorem may count on it.

Torch-free, so that a theorem can be declared without it; ``machine.tools`` has what is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the help and the reports are quick without
    import numpy as np

Arrays = Mapping[str, "np.ndarray"]
Progress = Callable[[int, int, float], None]  # step, of how many, loss
Notice = Callable[[str], None]  # a line about what takes a while


class Cache(Protocol):
    """Arrays kept by content, so that what several runs share is computed once."""

    def fetch(self, key: str, names: Sequence[str], compute: Callable[[], Arrays]) -> Arrays:
        """The arrays ``names``, float64 of one length, of ``key``; computed where unknown."""


class Tools(Protocol):
    """A cache, whom to tell, what ``prepare`` found, and where to compute.

    workers, device
        Threads (with the ranks beside this process) and where to train: of use only to a theorem
        that declares so in ``Theorem.uses``.
    save
        Parameters and inputs are wanted in the outcome.
    """

    @property
    def workers(self) -> Any: ...
    @property
    def device(self) -> str: ...
    @property
    def cache(self) -> Cache: ...
    @property
    def progress(self) -> Progress: ...
    @property
    def notice(self) -> Notice: ...
    @property
    def data(self) -> Any: ...
    @property
    def save(self) -> bool: ...
