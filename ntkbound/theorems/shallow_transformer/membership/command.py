"""``membership``: whether labels lie in the target class F_ν, and for which ν."""

from __future__ import annotations

from typing import Annotated

import typer

from ntkbound.cli.common import (
    INCONCLUSIVE,
    Json,
    Quiet,
    Threads,
    print_json,
    stderr,
    stdout,
)
from ntkbound.cli.options import Given, config_options
from ntkbound.core.errors import InputError
from ntkbound.theorems.shallow_transformer.config import Config


def membership(
    given: Given,
    labels: Annotated[
        str, typer.Option(help="task, or random: N(0, 1) labels on the same inputs")
    ] = "task",
    seeds: Annotated[int, typer.Option(min=1, help="seeds, from --seed on")] = 5,
    ridges: Annotated[
        str, typer.Option(help="ridges relative to the mean eigenvalue; the first is judged")
    ] = "0,1e-6,1e-4,1e-2",
    strict: Annotated[bool, typer.Option(help="exit 3 if the verdict is inconclusive")] = False,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether labels lie in the target class F_ν, and for which ν.

    The norm that they require is measured against n and m; nothing is written.
    """
    from ntkbound.machine.parallel import Workers
    from ntkbound.theorems.shallow_transformer.membership.requirements import Question, requirements
    from ntkbound.theorems.shallow_transformer.membership.table import print_membership
    from ntkbound.theorems.shallow_transformer.membership.verdict import judge_membership

    def progress(line: str) -> None:
        if not quiet and stderr().is_terminal:
            stderr().print(line, highlight=False)

    config: Config = given.config
    question = Question(config, labels, seeds, _numbers(ridges))
    found = requirements(question, Workers(threads), progress)
    verdict = judge_membership(found.at_first_ridge())
    if as_json:
        print_json(verdict.as_json() | found.as_json())
    else:
        what = f"{config.task} labels" if labels == "task" else f"random labels on {config.task}"
        title = f"{what}, {config.activation}, query {config.query}, medians over {seeds} seeds"
        print_membership(stdout(), title, found, verdict, notes=not quiet)
    if strict:
        raise typer.Exit(INCONCLUSIVE if verdict.verdict == "inconclusive" else 0)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        told = f"{text!r} is not numbers separated by commas"
        raise InputError(told, field="ridges") from None


command = config_options(membership, Config, panels=("Model", "Data", "Seeds"))
