"""What is claimed about a measured number: data, judged in ``stats.forms``, one module a form.

``Claim(**keys)`` makes a claim of the form that ``form`` names; the keys are those of a
``[[claim]]`` table. What every claim has stands in `Claim`, the rest in the class of its form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from ntkbound.core.glossary import Status
from ntkbound.core.quantity import Key

Form = Literal["rate", "exponential", "level", "fraction", "order"]
Kind = Literal["upper", "lower", "tight"]

STEP = "step"  # the axis inside a run: its recorded steps
WORDS = {"upper": "at most", "lower": "at least", "tight": "exactly", "equal": "equal to"}
SIGNS = {"upper": "≤", "lower": "≥", "tight": "=", "equal": "="}


class Number(BaseModel):
    """Another measured number of the same run: ``{term, probe, statistic}`` or ``{column}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    term: str = ""
    probe: str = ""
    statistic: str = ""
    column: str = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        _names_one(self.term, self.probe, self.statistic, self.column)
        return self

    @property
    def key(self) -> Key:
        return _key(self)

    @property
    def short(self) -> str:
        """The last of its names: all that a table has room for."""
        return self.statistic or self.column


def _which(value: object) -> str:
    return "other" if isinstance(value, Mapping | Number) else "number"


Amount = Annotated[
    Annotated[float, Tag("number")] | Annotated[Number, Tag("other")], Discriminator(_which)
]


class Claim(BaseModel):
    """One statement about ``statistic`` of ``probe`` of ``term``, or about a ``column`` of a table.

    label
        What people call it, such as "Lemma 1".
    where
        It is about runs with these config values alone: field → a value, a list of values, or a
        table ``{from, to}``.
    status
        ``stated``: somebody claims it. ``refuted``: known to be false, for the ``reason`` given;
        seen violated it costs no exit code, found to hold it does. ``conjecture``: judged and
        shown, never gated on.

    Raises pydantic.ValidationError for keys of another form, for a subject named twice or not at
    all, and for a refuted claim without a reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    term: str = ""
    probe: str = ""
    statistic: str = ""
    column: str = ""
    label: str | None = None
    form: Form
    where: Mapping[str, Any] = Field(default_factory=dict)
    status: Status = "stated"
    reason: str = ""

    if TYPE_CHECKING:

        def __init__(self, **keys: Any) -> None: ...
    else:

        def __new__(cls, **keys: Any) -> Claim:
            """``Claim(form=…, …)`` is a claim of that form; a rate where none is named."""
            return super().__new__(FORMS.get(str(keys.get("form")), Rate) if cls is Claim else cls)

    @model_validator(mode="after")
    def _about_one_number(self) -> Self:
        _names_one(self.term, self.probe, self.statistic, self.column)
        if self.status == "refuted" and not self.reason:
            raise ValueError("reason: a refuted claim says why it is known to be false")
        return self

    @property
    def key(self) -> Key:
        return _key(self)

    @property
    def along(self) -> tuple[str, ...]:
        """The config fields that its axis is made of: none, one, or both of a ratio."""
        return ()

    @property
    def others(self) -> tuple[Key, ...]:
        """The other numbers that it compares with."""
        return ()

    @property
    def title(self) -> str:
        return self.label or str(self.key)

    @property
    def sign(self) -> str:
        """What is claimed, as short as a table has it: "≤ −0.5"."""
        raise NotImplementedError

    @property
    def said(self) -> str:
        """What is claimed, as a sentence has it: "at most m^−0.5"."""
        raise NotImplementedError


class Along(Claim):
    """A claim along an axis: a config field, a ratio ``a/b`` of two, or ``step`` inside runs.

    kind
        ``upper``  O(·): violated only by slower decay (or faster growth);
        ``lower``  Ω(·): violated only by faster decay (or slower growth);
        ``tight``  Θ(·): violated on either side.
    start, stop
        It is about this window of the axis alone.
    """

    form: Form
    axis: str
    kind: Kind
    start: float | None = None
    stop: float | None = None

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.start is not None and self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop: {self.stop:g} is not above start = {self.start:g}")
        return self

    @property
    def inside(self) -> bool:
        """Whether it is about the steps inside each run."""
        return self.axis == STEP

    @property
    def along(self) -> tuple[str, ...]:
        return () if self.inside else tuple(self.axis.split("/", 1))


class Rate(Along):
    """Behaves like x^exponent (log x)^log_power along ``axis``.

    floor
        The declared form is ``a·x^b + c`` with a constant c ≥ 0 instead of ``a·x^b``.
    """

    form: Literal["rate"] = "rate"
    exponent: float
    log_power: float = Field(0.0, ge=0)
    floor: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.log_power and self.floor:
            raise ValueError("floor: (log x)^k already allows one; leave floor out")
        if self.inside and self.floor:
            raise ValueError("floor: not along step; claim a Quantity without its floor")
        return self

    @property
    def sign(self) -> str:
        power, sign = self.log_power, f"{SIGNS[self.kind]} "
        log = "log" if power == 1 else f"log^{power:g}"
        if not power:
            return f"{sign}{_told(self.exponent)}"
        if self.exponent:
            return f"{sign}{_told(self.exponent)} {log}"
        return log if power == 1 and self.kind == "upper" else sign + log

    @property
    def said(self) -> str:
        kind = WORDS[self.kind]
        if self.log_power and not self.exponent:
            return f"{kind} like the claimed logarithm of {self.axis}"
        power = f"{self.axis}^{_told(self.exponent)}"
        if self.log_power:
            power += f" (log {self.axis})^{_told(self.log_power)}"
        return f"{kind} {power}"


class Exponential(Along):
    """Behaves like e^(−rate·x) along ``axis``: a positive rate is decay, a negative one growth.

    rate
        A number, or another number of the same run, such as the rate that a theorem promises it.
    """

    form: Literal["exponential"] = "exponential"
    rate: Amount

    @model_validator(mode="after")
    def _not_constant(self) -> Self:
        if self.rate == 0:
            raise ValueError("rate: 0 is no decay; claim form = 'rate' with exponent = 0")
        if isinstance(self.rate, Number) and not self.inside:
            raise ValueError("rate: a recorded one goes with axis = 'step', inside its run")
        return self

    @property
    def sign(self) -> str:
        rate = self.rate.short if isinstance(self.rate, Number) else _told(self.rate)
        return f"{SIGNS[self.kind]} e^−{rate}·{self.axis}".replace("−−", "")

    @property
    def said(self) -> str:
        return f"{WORDS[self.kind]} {self.sign.split(' ', 1)[1]}"

    @property
    def others(self) -> tuple[Key, ...]:
        return _others(self.rate)


class Level(Claim):
    """Is at most (``upper``), at least (``lower``) or equal to ``level``, in the mean over seeds.

    level
        A number, or another number of the same run.
    tolerance
        Of ``equal`` alone: how far from the level it may lie.
    """

    form: Literal["level"] = "level"
    kind: Literal["upper", "lower", "equal"]
    level: Amount
    tolerance: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _tolerance(self) -> Self:
        if (self.kind == "equal") != (self.tolerance is not None):
            raise ValueError("tolerance: goes with kind = 'equal', and only with that")
        return self

    @property
    def sign(self) -> str:
        room = "" if self.tolerance is None else f" ± {_told(self.tolerance)}"
        level = self.level.short if isinstance(self.level, Number) else self.target
        return f"{SIGNS[self.kind]} {level}{room}"

    @property
    def said(self) -> str:
        room = "" if self.tolerance is None else f" ± {_told(self.tolerance)}"
        return f"{WORDS[self.kind]} {self.target}{room}"

    @property
    def target(self) -> str:
        """The level, or the name of the number that it is."""
        return str(self.level.key) if isinstance(self.level, Number) else _told(self.level)

    @property
    def others(self) -> tuple[Key, ...]:
        return _others(self.level)


class Fraction(Claim):
    """At least (``lower``) or at most (``upper``) a ``share`` of the runs are successes.

    above, below
        A success is a run whose number is above, or below, this; without either one where it is 1
        (and 0 where not). 1 at least is all runs, 0 at most is none.
    """

    form: Literal["fraction"] = "fraction"
    kind: Literal["upper", "lower"] = "lower"
    share: float = Field(ge=0, le=1)
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.above is not None and self.below is not None:
            raise ValueError("below: a success is above one number or below one, not both")
        if self.share == (1.0 if self.kind == "upper" else 0.0):
            raise ValueError(f"share: {self.share:g} of kind {self.kind!r} says nothing")
        return self

    @property
    def sign(self) -> str:
        return f"{SIGNS[self.kind]} {_told(self.share)} of runs"

    @property
    def said(self) -> str:
        limits = {"above": self.above, "below": self.below}
        told = [f" {word} {_told(limit)}" for word, limit in limits.items() if limit is not None]
        return f"{WORDS[self.kind]} {_told(self.share)} of runs{told[0] if told else ''}"


class Order(Claim):
    """Is smaller in the runs with the fields ``smaller`` than in those with ``larger``, paired.

    Two runs are a pair where their seeds and all their other fields are equal.
    """

    form: Literal["order"] = "order"
    smaller: Mapping[str, Any]
    larger: Mapping[str, Any]

    @model_validator(mode="after")
    def _two_arms(self) -> Self:
        if not self.smaller or self.smaller.keys() != self.larger.keys():
            raise ValueError("smaller: give it and larger the same fields, one at least")
        if self.smaller == self.larger:
            raise ValueError("larger: is the same as smaller")
        return self

    @property
    def sign(self) -> str:
        return f"{_values(self.smaller)} < {_values(self.larger)}"

    @property
    def said(self) -> str:
        return f"{fields_told(self.smaller)} below {fields_told(self.larger)}"


FORMS: Mapping[str, type[Claim]] = {
    "rate": Rate,
    "exponential": Exponential,
    "level": Level,
    "fraction": Fraction,
    "order": Order,
}


def axis_of(claim: Claim) -> str:
    """Its axis; empty where it has none."""
    return claim.axis if isinstance(claim, Along) else ""


def fields_told(fields: Mapping[str, Any]) -> str:
    """ "kernel=gaussian, D=16"."""
    return ", ".join(f"{name}={value}" for name, value in fields.items())


def _values(fields: Mapping[str, Any]) -> str:
    return ", ".join(str(value) for value in fields.values())


def _told(number: float) -> str:
    return f"{number:g}".replace("-", "−")


def _names_one(term: str, probe: str, statistic: str, column: str) -> None:
    """Raises ValueError unless these name one number, in one of the two ways."""
    named = [name for name in (term, probe, statistic) if name]
    if column and named:
        raise ValueError("column: give it, or term, probe and statistic, not both")
    about = {"term": term, "probe": probe, "statistic": statistic}
    missing = [name for name, given in about.items() if not given]
    if not column and missing:
        raise ValueError(f"{missing[0]}: is missing; give term, probe and statistic, or column")


def _key(about: Number | Claim) -> Key:
    if about.column:
        return Key.of_column(about.column)
    return Key(about.term, about.probe, about.statistic)


def _others(value: float | Number) -> tuple[Key, ...]:
    return (value.key,) if isinstance(value, Number) else ()
