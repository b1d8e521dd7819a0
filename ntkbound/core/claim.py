"""What a theorem claims about one measured number: data, judged in ``stats``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ntkbound.core.errors import InputError, nearest
from ntkbound.core.quantity import Key

Form = Literal["rate"]
Kind = Literal["upper", "lower", "tight"]


class Claim(BaseModel):
    """`statistic` of `probe` of `term` behaves like x^exponent (log x)^log_power along `axis`.

    form
        ``rate``, the only one so far: a power of a config field, perhaps with a power of its
        logarithm.
    kind
        ``upper``  O(·): violated only by slower decay (or faster growth);
        ``lower``  Ω(·): violated only by faster decay (or slower growth);
        ``tight``  Θ(·): violated on either side.
    floor
        The declared form is ``a·x^b + c`` with a constant c ≥ 0 instead of ``a·x^b``.
    where
        The claim is about runs with these config values alone: field → a value, a list of values,
        or a table ``{from, to}``.
    start, stop
        The claim is about this window of the axis alone.

    Raises pydantic.ValidationError for a power of a logarithm below 0 or with a floor, and for an
    empty window.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    term: str = ""
    probe: str = ""
    statistic: str = ""
    column: str = ""
    label: str | None = None
    form: Form = "rate"
    axis: str
    kind: Kind
    exponent: float
    log_power: float = Field(0.0, ge=0)
    floor: bool = False
    where: Mapping[str, Any] = Field(default_factory=dict)
    start: float | None = None
    stop: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.log_power and self.floor:
            raise ValueError("floor: (log x)^k already allows one; leave floor out")
        if self.start is not None and self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop: {self.stop:g} is not above start = {self.start:g}")
        return self

    @property
    def key(self) -> Key:
        if self.column:
            return Key.of_column(self.column)
        return Key(self.term, self.probe, self.statistic)

    @property
    def others(self) -> tuple[Key, ...]:
        """The other numbers that it compares with."""
        return ()

    @property
    def along(self) -> tuple[str, ...]:
        """The config fields that the axis is made of: one, or both of a ratio."""
        return tuple(self.axis.split("/", 1))

    @property
    def title(self) -> str:
        return self.label or str(self.key)


def read_claim(table: Mapping[str, Any], where: str) -> Claim:
    """A claim from a ``[[claim]]`` table; every mistake is one line that opens with ``where``."""
    for name in table:
        if name not in Claim.model_fields:
            told = nearest(name, Claim.model_fields)
            raise InputError(f"{where}: [[claim]] {name}: no such key{told}")
    try:
        return Claim.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        told = f"{field}: {message[0].lower()}{message[1:]}" if field else message
        raise InputError(f"{where}: [[claim]] {told}") from None
