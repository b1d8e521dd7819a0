"""Radii ρ of Ω_ρ and norms ν of a map: one number per parameter block, however spelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator

from ntkbound.core.config import NonNegative
from ntkbound.core.errors import InputError

EVERY_BLOCK = "*"


def _radii(value: object) -> object:
    """``3``, ``"3"``, ``"3,3,1"``, ``"c=3,W=1"`` or a mapping, as a mapping block → number."""
    if isinstance(value, bool):
        raise ValueError("expected a number, a list or block=number pairs")
    if isinstance(value, int | float):
        return {EVERY_BLOCK: value}
    if isinstance(value, list | tuple):
        return {str(position): number for position, number in enumerate(value)}
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        try:
            if "=" in value:
                pairs = [part.split("=") for part in parts]
                named = {block.strip(): float(number) for block, number in pairs}
                if len(named) < len(pairs):
                    raise ValueError
                return named
            numbers = [float(part) for part in parts]
        except ValueError:
            raise ValueError("expected a number, c,U,W or block=number pairs") from None
        return _radii(numbers[0] if len(numbers) == 1 else numbers)
    return value


Radii = Annotated[dict[str, NonNegative], BeforeValidator(_radii)]


def per_block(
    name: str, given: Mapping[str, float], blocks: Sequence[str], synonyms: Mapping[str, str]
) -> dict[str, float]:
    """Radii in every spelling, as block → number in the order of the blocks; 1 where none is given.

    ``synonyms``: other names of blocks. Raises InputError naming the field ``name``.
    """
    if set(given) == {EVERY_BLOCK}:
        return dict.fromkeys(blocks, given[EVERY_BLOCK])
    if list(given) == [str(position) for position in range(len(blocks))]:
        return dict(zip(blocks, given.values(), strict=True))
    named = {synonyms.get(block, block): number for block, number in given.items()}
    for block in named:
        if block not in blocks:
            raise InputError(
                f"block {block!r} is unknown; accepted: one number, {len(blocks)} numbers, "
                f"or pairs for {', '.join(blocks)}",
                field=name,
            )
    return {block: named.get(block, 1.0) for block in blocks}
