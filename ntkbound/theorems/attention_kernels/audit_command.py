"""``audit``: the inequalities of the proofs along a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.cli.options import Given, config_options
from ntkbound.theorems.attention_kernels.config import Config

if TYPE_CHECKING:
    from ntkbound.theorems.attention_kernels.audit import Link
    from ntkbound.theorems.attention_kernels.trained import Trained


def audit(given: Given, as_json: Json = False, quiet: Quiet = False) -> None:
    """Measure every inequality of Theorems 1 to 3 along a run, and say where each is closest.

    The run is trained again (same bits); of each inequality both sides are shown at the step where
    left/right is largest. One that fails where the conditions of its theorem are met exits 1; where
    they are not, nothing follows. No record is written.
    """
    from ntkbound.theorems.attention_kernels.audit import audit as links_of
    from ntkbound.theorems.attention_kernels.run import prepare
    from ntkbound.theorems.attention_kernels.trained import train

    given.config.refuse_images()
    prepared = prepare(given.config)
    (run,) = train([prepared.config], prepared.data, lambda *_: None)
    links = links_of(run)
    if as_json:
        shown = [asdict(link) | {"holds": link.holds, "verdict": link.verdict} for link in links]
        print_json({"links": shown})
    else:
        _print(run, links)
    raise typer.Exit(1 if any(link.verdict == "violated" for link in links) else 0)


def _print(run: Trained, links: list[Link]) -> None:
    """A row per inequality."""
    from ntkbound.report.tables import Table, number, print_table, print_text, verdict
    from ntkbound.theorems.attention_kernels.show import title

    print_text(stdout(), title(run.config.model_dump()), style="bold")
    right = ("left", "right", "room", "step")
    table = Table(("", "inequality", *right, "verdict"), right, folded=("inequality",))
    for link in links:
        room = f"{1 / link.worst:.3g}×" if link.worst > 0 else "∞"
        sides = (number(link.left), number(link.right), room, str(link.step))
        table.add_row((link.name, link.statement, *sides, verdict(link.verdict)))
    print_table(stdout(), table)


command = config_options(audit, Config)
