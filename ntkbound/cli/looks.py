"""``check --until-decided``: seeds are added to a preset until its claims are decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import tell
from ntkbound.cli.judging import Checked
from ntkbound.core.errors import InputError
from ntkbound.core.growing import seeds_of, with_seeds
from ntkbound.core.preset import Preset

if TYPE_CHECKING:
    from ntkbound.stats.levels import Levels, Look

UntilDecided = Annotated[
    bool, typer.Option("--until-decided", help="add seeds while a claim is open for want of them")
]
MaxSeeds = Annotated[
    int | None, typer.Option(min=1, help="how many seeds --until-decided may come to")
]


def most_seeds(until_decided: bool, max_seeds: int | None, grows: bool) -> int | None:
    """The seeds that a check may come to; None where it is not to add any.

    Raises InputError for one option without the other, and where there is nothing to run.
    """
    if until_decided and not grows:
        told = "only for a preset; a results folder or a table cannot grow"
        raise InputError(told, field="until_decided")
    if until_decided and max_seeds is None:
        raise InputError("say how many seeds it may come to at most", field="max_seeds")
    if max_seeds is not None and not until_decided:
        raise InputError("is for --until-decided", field="max_seeds")
    return max_seeds


def look_until_decided(
    preset: Preset,
    most: int,
    look_at: Callable[[Preset, Levels], Checked],
    quiet: bool,
) -> Checked:
    """The check at the first look of a plan after which no claim is open for want of seeds, or at
    the last; what earlier looks decided stays.

    Raises InputError for fewer seeds than the preset has, or for seeds that cannot be added.
    """
    from ntkbound.stats.check import kept
    from ntkbound.stats.levels import plan_looks

    first = seeds_of(preset)
    if most < first:
        raise InputError(f"{preset.name} has {first} seeds already", field="max_seeds", value=most)
    plan = plan_looks(first, most)

    def say(line: str) -> None:
        if not quiet:
            tell(line)

    say(_told(plan))

    def look_after(before: Checked | None, look: Look) -> Checked:
        now = look_at(with_seeds(preset, look.seeds), look.levels)
        result = kept(before.result, now.result) if before else now.result
        looks = (*(before.result.looks if before else ()), look)
        claims, wanting = len(result.claimed), result.wants_seeds
        say(f"{look.seeds} seeds: {result.decided} of {claims} claims decided, {wanting} need more")
        return replace(now, result=replace(result, looks=looks))

    checked = look_after(None, plan[0])
    for look in plan[1:]:
        if not checked.result.wants_seeds:
            break
        checked = look_after(checked, look)
    return checked


def _told(plan: tuple[Look, ...]) -> str:
    """ "looks at 4, 6, 12 seeds, which may spend 33, 17, 50 % of the error rates of a check"."""
    seeds = ", ".join(str(look.seeds) for look in plan)
    shares = ", ".join(f"{100 * look.levels.share:.3g}" for look in plan)
    return f"looks at {seeds} seeds, which may spend {shares} % of the error rates of a check"
