"""What is a theorem? Everything that the engine asks of one; ``registry`` finds it.

A theorem is a plugin even where it ships in the package: the engine runs, records, sweeps, fits,
judges, draws and reports any of them, and knows no name, field or term of one. Importing a
``THEOREM`` loads no torch: what needs it is ``deferred``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from ntkbound.core import userfile
from ntkbound.core.claim import STEP, Claim, Order
from ntkbound.core.config import Config, build, digest
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.outcome import Comparison, Outcome
from ntkbound.core.quantity import Key, Quantity
from ntkbound.core.record import SCHEMA, Record
from ntkbound.core.tools import Notice, Tools
from ntkbound.core.userfile import UserFile

Resource = Literal["threads", "device", "ranks"]


@dataclass(frozen=True)
class Prepared:
    """A config whose data have been looked at: sizes filled in, SHA-256 of the data (None where
    they are drawn from seeds), and whatever ``run`` wants to find again as ``tools.data``."""

    config: Any
    digest: str | None = None
    data: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Command:
    """A command that a theorem brings: its name, where its function stands, and an example.

    The module is imported when the command line is built, so it must not import torch.
    """

    name: str
    module: str
    example: str

    @property
    def function(self) -> Callable[..., None]:
        """``command`` of the module: a function with annotated options, as Typer takes them."""
        found: Callable[..., None] = import_module(self.module).command
        return found


def as_written(config: Any) -> Prepared:
    """Nothing to look at: the config is complete."""
    return Prepared(config)


def cheap(config: Any) -> float:
    """One second."""
    return 1.0


def alone(config: Any) -> None:
    """No run shares anything with another."""


def at_once(configs: Sequence[Any], notice: Notice) -> None:
    """Nothing has to be made ready."""


def nothing_follows(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every field stands for itself."""
    return {}


def needs_nothing(claim: Claim) -> Collection[str]:
    """Claims of this theorem are about every run."""
    return ()


def fields_and_values(record: Record) -> str:
    """``name = value`` of every field of the config."""
    return ", ".join(f"{k} = {v}" for k, v in record.config.items() if k != "theorem")


def no_facts(record: Record) -> list[str]:
    """Nothing beside the table."""
    return []


def plain_prefix(config: Any) -> str:
    """``theorem-s0``."""
    return f"{config.theorem}-s{config.seed}"


@dataclass(frozen=True)
class Theorem:
    """One theorem. Hooks with a default are optional.

    name, source
        As ``--theorem`` takes it; where the theorem stands.
    version
        Raised when this theorem's numbers change: no other theorem's records age by it.
    config, quantities, claims
        What a user may set, what is measured, what is claimed about it.
    needs
        Names of the conditions (keys of ``Outcome.conditions``) that a run has to meet for this
        claim to be about it, whoever wrote it: what is claimed of a quantity along an axis, and
        nothing else of the claim, decides.
    run
        ``run(config, tools)``: train, measure, set bounds beside. ``config`` is a prepared one.
    statement
        What it says, in plain text, as ``ntkbound theorems NAME`` shows it.
    uses
        What a run can make use of: several threads, a device other than the CPU, ranks that share
        the work. What is asked for and not among these is refused, never ignored.
    prepare
        Looks at the data before anything is run: sizes and digest.
    run_together, together
        Several runs as one, for configs of equal key; None: this run is better alone. They have
        what ``prepare`` finds of the first, such as a file; what seeds decide each draws itself.
    cost
        Rough seconds on one thread.
    ready
        What has to be made once before runs start (compiled kernels).
    verify
        A record's numbers again by an independent path; by default the run is repeated.
    headline, facts
        What stands above a record's table, and the lines below it.
    prefix
        The readable part of a run's id.
    follows
        Of a record's config: fields that follow from others, field → what they follow, so that
        they separate no arms.
    axes
        Config fields, or ratios ``a/b`` of two, along which slopes are fitted unasked.
    symbols
        How figures call a field of the config, where the paper has another letter for it.
    certified
        Term of a certificate → the measured numbers it is compared with, the first there is.
    presets
        Name → the text of a TOML preset, or its path.
    studies
        The package whose modules declare studies; empty: none.
    commands
        Commands of its own.
    file
        The user's file that it was read from; its content is part of the identity of runs.
    """

    name: str
    source: str
    version: int
    config: type[Config]
    quantities: tuple[Quantity, ...]
    claims: tuple[Claim, ...]
    run: Callable[[Any, Tools], Outcome]
    needs: Callable[[Claim], Collection[str]] = needs_nothing
    statement: str = ""
    uses: frozenset[Resource] = frozenset()
    prepare: Callable[[Any], Prepared] = as_written
    run_together: Callable[[Sequence[Any], Tools], list[Outcome]] | None = None
    together: Callable[[Any], str | None] = alone
    cost: Callable[[Any], float] = cheap
    ready: Callable[[Sequence[Any], Notice], None] = at_once
    verify: Callable[[Record], list[Comparison]] | None = None
    headline: Callable[[Record], str] = fields_and_values
    facts: Callable[[Record], list[str]] = no_facts
    prefix: Callable[[Any], str] = plain_prefix
    follows: Callable[[Mapping[str, Any]], Mapping[str, Any]] = nothing_follows
    axes: tuple[str, ...] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)
    certified: Mapping[str, tuple[Quantity, ...]] = field(default_factory=dict)
    presets: Mapping[str, str | Path] = field(default_factory=dict)
    studies: str = ""
    commands: tuple[Command, ...] = ()
    file: UserFile | None = None

    def quantity(self, key: Key) -> Quantity:
        """What is declared under this key; an undeclared number is an amplitude."""
        return self._declared.get(key) or Quantity(*key)

    def symbol(self, axis: str) -> str:
        """What stands at an axis: of a field, a ratio ``a/b`` of two, or the steps of a run."""
        return "/".join(self.symbols.get(name, name) for name in axis.split("/"))

    @cached_property
    def _declared(self) -> dict[Key, Quantity]:
        return {quantity.key: quantity for quantity in self.quantities}

    def understand(self, claim: Claim) -> None:
        """Raises InputError unless the claim is about declared quantities, along a config field, a
        ratio of two or the steps of a run, and about runs told apart by config fields; the line
        names the key at fault and the nearest name there is."""
        if claim.column:
            told = "is for a table of your own; give term, probe and statistic"
            raise InputError(told, field="column")
        for key in (claim.key, *claim.others):
            self._understand_key(key)
        fields = self.config.model_fields
        for name in claim.along:
            _one_of("axis", name, [*fields, STEP])
        arms = {"smaller": claim.smaller} if isinstance(claim, Order) else {}
        for key_of, names in {"where": claim.where, **arms}.items():
            for name in names:
                _one_of(key_of, name, fields)

    def _understand_key(self, key: Key) -> None:
        term, probe, statistic = key
        of_term = [known for known in self._declared if known.term == term]
        of_probe = [known.statistic for known in of_term if known.probe == probe]
        _one_of("term", term, {known.term for known in self._declared})
        _one_of("probe", probe, {known.probe for known in of_term})
        _one_of("statistic", statistic, of_probe)

    def configure(self, fields: Mapping[str, Any], where: str = "") -> Any:
        """A resolved config. Raises InputError in one line that names the field."""
        return build(self.config, fields, where)

    def run_id(self, prepared: Prepared) -> str:
        """The readable prefix and 12 hex digits of the run's identity."""
        config = prepared.config
        safe = "".join(ch if ch.isalnum() or ch in "-_" else "-" for ch in self.prefix(config))
        return f"{safe}-{self.identity(config, prepared.digest)[:12]}"

    @property
    def file_sha256(self) -> str | None:
        """Of the user's file that it was read from; None for one that is installed."""
        return None if self.file is None else self.file.sha256

    def code(self, config: Config) -> dict[str, str]:
        """SHA-256 of the user's files that a run executes, by the field that names them."""
        found = {} if self.file is None else {"theorem": self.file.sha256}
        files = config.files_of_code()
        return found | {name: userfile.load(path).sha256 for name, (path, _) in files.items()}

    def identity(self, config: Config, data_digest: str | None = None) -> str:
        """SHA-256 (hex) of everything that determines a run's numbers."""
        known = {"schema": SCHEMA, "theorem": self.name, "version": self.version}
        if code := self.code(config):
            known["code"] = code
        if data_digest is not None:
            known["data"] = data_digest
        return digest(known | {"config": config.canonical(data_digest)})


def _one_of(field: str, name: str, accepted: Collection[str]) -> None:
    """Raises InputError unless the name is one of those accepted."""
    if name not in accepted:
        told = nearest(name, accepted) or f"; accepted: {', '.join(sorted(accepted))}"
        raise InputError(f"{name!r} is unknown{told}", field=field)


def deferred(module: str, name: str) -> Callable[..., Any]:
    """A function of a module that is imported at the first call."""

    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **named)

    call.__name__ = call.__qualname__ = name
    return call
