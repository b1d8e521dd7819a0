"""What can go wrong through the user's input, told in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Unusable input. The message is one line: what, where, what is accepted."""


class RankLostError(RuntimeError):
    """Another rank of a run under torchrun died or cannot be reached: the run cannot go on."""


def nearest(name: str, accepted: Iterable[str]) -> str:
    """``"; did you mean X?"`` for the accepted name closest to ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(accepted), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
