"""``audit``: the inequalities of the proof along a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.cli.options import Given, config_options
from ntkbound.theorems.next_token.config import Config

if TYPE_CHECKING:
    from ntkbound.theorems.next_token.audit import Link
    from ntkbound.theorems.next_token.trained import Trained


def audit(given: Given, as_json: Json = False, quiet: Quiet = False) -> None:
    """Assert Lemmas 4 to 7 and Theorem 1 at every step of a run, and say where each is closest.

    The run is trained again (same bits); of each inequality both sides are shown at the step where
    left/right is largest. Exit 1 if one fails. What is proved from t0 on needs as many steps. No
    record is written.
    """
    from ntkbound.theorems.next_token.audit import audit as links_of
    from ntkbound.theorems.next_token.tasks import prepare
    from ntkbound.theorems.next_token.trained import train

    prepared = prepare(given.config)
    run = train(prepared.config, prepared.data, lambda *_: None)
    links = links_of(run)
    if as_json:
        rows = [asdict(link) | {"worst": link.worst, "holds": link.holds} for link in links]
        print_json({"links": rows})
    else:
        _print(run, links, notes=not quiet)
    raise typer.Exit(0 if all(link.holds for link in links) else 1)


def _print(run: Trained, links: list[Link], *, notes: bool) -> None:
    """A row per inequality, then, where ``notes`` are wanted, what is about no step of this run."""
    from ntkbound.report.tables import (
        Table,
        number,
        print_lines,
        print_table,
        print_text,
        verdict,
    )
    from ntkbound.theorems.next_token.audit import first_step
    from ntkbound.theorems.next_token.show import title

    print_text(stdout(), title(run.config.model_dump()), style="bold")
    right = ("left", "right", "room", "step")
    table = Table(("", "inequality", *right, "verdict"), right, folded=("inequality",))
    for link in links:
        sides = (number(link.left), number(link.right), f"{1 / link.worst:.3g}×", str(link.step))
        told = verdict("holds" if link.holds else "violated")
        table.add_row((link.name, link.statement, *sides, told))
    print_table(stdout(), table)
    if notes and not any(link.key == "theorem1" for link in links):
        late = f"Lemma 7 and Theorem 1 are about steps t ≥ t0 = {first_step(run):.0f} of ngd"
        print_lines(stdout(), [late])


command = config_options(audit, Config)
