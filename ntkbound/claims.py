"""What a theorem claims about a rate, as data."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["upper", "lower", "tight", "none", "log"]


class Claim(BaseModel):
    """``term/probe/statistic = O(axis^exponent)`` (``upper``), Ω (``lower``), Θ (``tight``).

    ``log``: grows at most like (a power of) the logarithm of the axis; ``none``: reported, never
    judged. ``floor`` declares the form a·x^b + c instead of the pure power law a·x^b.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    term: str
    probe: str
    statistic: str
    axis: str
    kind: Kind
    exponent: float | None = None
    floor: bool = False
    label: str | None = None
