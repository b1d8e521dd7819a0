"""What a theorem claims about how one measured number grows or decays along one axis."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Kind = Literal["upper", "lower", "tight", "none", "log"]


class Claim(BaseModel):
    """A claimed rate: `statistic` of `probe` of `term` behaves like x^exponent along `axis`.

    kind
        ``upper``  O(x^exponent): violated only by slower decay (or faster growth);
        ``lower``  Ω(x^exponent): violated only by faster decay (or slower growth);
        ``tight``  Θ(x^exponent): violated on either side;
        ``log``    at most O((log x)^exponent), exponent 1 unless given (1/2 for √log x);
        ``none``   reported, never judged.
    floor
        The declared form: ``a·x^b + c`` with a constant c ≥ 0 instead of ``a·x^b``.

    model
        The claim is about runs of this model alone; None: about all.

    Raises pydantic.ValidationError when a judged power has no exponent, or a logarithm a
    non-positive one or a floor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    term: str
    probe: str
    statistic: str
    axis: str
    kind: Kind
    exponent: float | None = None
    floor: bool = False
    label: str | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind in ("upper", "lower", "tight") and self.exponent is None:
            raise ValueError(f"a claim of kind {self.kind!r} needs an exponent")
        if self.kind == "log" and self.exponent is not None and self.exponent <= 0:
            raise ValueError("the exponent of a claim of kind 'log' is a power of log x: above 0")
        if self.kind == "log" and self.floor:
            raise ValueError("a claim of kind 'log' has no floor: (log x)^k already allows one")
        return self
