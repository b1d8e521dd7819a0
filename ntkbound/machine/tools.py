"""What a run may use of this computer, handed to it by the engine: a ``core.tools.Tools``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ntkbound.core.tools import Arrays, Cache, Notice, Progress

if TYPE_CHECKING:  # a theorem is declared without torch, and the help is quick
    from ntkbound.machine.parallel import Workers
    from ntkbound.machine.ranks import Ranks


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
    notice: Notice = silent_notice
    data: Any = field(default=None, repr=False)
    save: bool = True

    @property
    def ranks(self) -> Ranks:
        return self.workers.ranks
