"""What a theorem declares to the statistics: its seeds, its precision, its axes, its numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ntkbound.core import registry
from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.core.quantity import Key, Quantity
from ntkbound.core.theorem import Theorem, needs_nothing, nothing_follows


def undeclared(key: Key) -> Quantity:
    """An amplitude measured in float64."""
    return Quantity(*key)


@dataclass(frozen=True)
class Declared:
    """The part of a theorem that the statistics ask for; by default that of an unknown one.

    seeds
        Config fields in which repetitions differ.
    precision
        The field that names the dtype trained in; empty: none does.
    data
        The field that may name a data file, whose content counts and not its path; empty: none.
    axes
        Fields, or ratios ``a/b`` of two, along which slopes are fitted unasked.
    follows
        Of a record's config: the fields that follow from others, with what they follow.
    quantity
        What is declared of a measured number.
    needs
        The conditions that a run has to meet for a claim to be about it.
    drawn
        Those of the seeds that claims are about the randomness of.
    """

    seeds: tuple[str, ...] = ("seed",)
    precision: str = ""
    axes: tuple[str, ...] = ()
    follows: Callable[[Mapping[str, Any]], Mapping[str, Any]] = nothing_follows
    quantity: Callable[[Key], Quantity] = undeclared
    needs: Callable[[Claim], Collection[str]] = needs_nothing
    drawn: tuple[str, ...] = ()
    data: str = ""


UNDECLARED = Declared()


def declared(name: str) -> Declared:
    """What the theorem of this name declares; `UNDECLARED` where it is not known."""
    try:
        return _declared(registry.find, name)
    except InputError:
        return UNDECLARED


@lru_cache(maxsize=64)
def _declared(find: Callable[[str], Theorem], name: str) -> Declared:
    """Looked up once: every record of a table asks."""
    found = find(name)
    config = found.config
    return Declared(
        seeds=config.seeds,
        precision=config.precision,
        axes=found.axes,
        follows=found.follows,
        quantity=found.quantity,
        needs=found.needs,
        drawn=config.drawn,
        data=config.data,
    )
