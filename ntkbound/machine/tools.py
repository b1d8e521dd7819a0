"""What a run may use of this computer, handed to it by the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a theorem is declared without torch, and the help is quick
    import numpy as np

    from ntkbound.machine.parallel import Workers
    from ntkbound.machine.ranks import Ranks

Arrays = Mapping[str, "np.ndarray"]
Progress = Callable[[int, int, float], None]  # step, of how many, loss


class Cache(Protocol):
    """Arrays kept by content, so that what several runs share is computed once."""

    def fetch(self, key: str, names: Sequence[str], compute: Callable[[], Arrays]) -> Arrays:
        """The arrays ``names``, float64 of one length, of ``key``; computed where unknown."""


class NoCache:
    """Keeps nothing."""

    def fetch(self, key: str, names: Sequence[str], compute: Callable[[], Arrays]) -> Arrays:
        return compute()


def silent_progress(step: int, steps: int, loss: float) -> None:
    """Tells nobody."""


def silent_notice(line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Tools:
    """Threads and ranks, a cache, and whom to tell.

    ``data``: what ``prepare`` found. ``save``: parameters and inputs are wanted in the outcome.
    """

    workers: Workers
    device: str = "cpu"
    cache: Cache = field(default_factory=NoCache)
    progress: Progress = silent_progress
    notice: Callable[[str], None] = silent_notice
    data: Any = field(default=None, repr=False)
    save: bool = True

    @property
    def ranks(self) -> Ranks:
        return self.workers.ranks
