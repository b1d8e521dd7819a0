"""What can go wrong through the user's input, told in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class InputError(ValueError):
    """Unusable input. The message is one line: what, where, what is accepted.

    ``field``: the config field or argument that is at fault, and ``value`` what it was given, where
    naming it helps; the command line turns a field into its option.
    """

    def __init__(self, message: str, *, field: str = "", value: object = "") -> None:
        super().__init__(message)
        self.field, self.value = field, str(value)

    def told(self, name: str) -> str:
        """The line, with the field called ``name``."""
        message = str(self.args[0])
        if not self.field:
            return message
        return f"{name} {self.value}: {message}" if self.value else f"{name}: {message}"

    def __str__(self) -> str:
        return self.told(self.field)


class StaleError(InputError):
    """A record in another layout, or of another version of its theorem: it has to be made again.

    ``reason`` is the message without the path.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = f"{reason}; run it again"
        super().__init__(f"{path}: {self.reason}")


class RankLostError(RuntimeError):
    """Another rank of a run under torchrun died or cannot be reached: the run cannot go on."""


def nearest(name: str, accepted: Iterable[str]) -> str:
    """``"; did you mean X?"`` for the accepted name closest to ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(accepted), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
