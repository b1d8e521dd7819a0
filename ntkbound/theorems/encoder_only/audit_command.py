"""``audit``: where the proof of Proposition 1 loses along a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.cli.options import Given, config_options
from ntkbound.core.errors import InputError
from ntkbound.theorems.encoder_only.config import Config

if TYPE_CHECKING:
    from ntkbound.theorems.encoder_only.audit import Audit


def audit(given: Given, as_json: Json = False, quiet: Quiet = False) -> None:
    """Where the proof of Proposition 1 loses: the measured rate over the bound's, in factors.

    The run is trained again with σ_min of the features at every step. Each replacement of the
    proof (descent, share of w_O, alignment, σ_min against α/2) has the rate before and after; the
    factors multiply to measured over bound. Exit 1 if the identity that they start from, or what
    holds without conditions, fails. No record is written.
    """
    from ntkbound.machine.parallel import Workers
    from ntkbound.machine.tools import silent_progress
    from ntkbound.theorems.encoder_only.audit import audit as audited
    from ntkbound.theorems.encoder_only.audit import walk
    from ntkbound.theorems.encoder_only.run import prepare
    from ntkbound.theorems.encoder_only.start import start

    if given.config.images:
        raise InputError("has no bound to audit; take gaussian or FILE.npz", field="task")
    prepared = prepare(given.config)
    found = audited(walk(start(prepared.config, prepared.data, Workers()), silent_progress))
    if as_json:
        print_json(_as_json(found))
    else:
        _print(prepared.config, found, notes=not quiet)
    raise typer.Exit(0 if found.holds else 1)


def _as_json(found: Audit) -> dict[str, object]:
    links = [asdict(link) | {"factor": link.factor, "holds": link.holds} for link in found.links]
    rest = {name: value for name, value in asdict(found).items() if name != "links"}
    return rest | {"lost": found.lost, "links": links}


def _print(config: Config, found: Audit, *, notes: bool) -> None:
    """A row per replacement, then, where ``notes`` are wanted, the product."""
    from ntkbound.report.tables import Table, number, print_lines, print_table, print_text, verdict
    from ntkbound.theorems.encoder_only.show import title

    def told(value: float | None) -> str:
        return "–" if value is None else number(value)

    print_text(stdout(), title(config.model_dump()), style="bold")
    right = ("rate before", "after", "factor", "worst")
    table = Table(("", "the proof uses", *right, "verdict"), right, folded=("the proof uses",))
    for link in found.links:
        factor = "–" if link.factor is None else f"{link.factor:.3g}×"
        failed = "violated" if link.sure else "condition-not-met"
        row = (told(link.before), told(link.after), factor, told(link.worst))
        judged = verdict("holds" if link.holds else failed)
        table.add_row((link.name, link.statement, *row, judged))
    print_table(stdout(), table)
    if not notes:
        return
    lost = "–" if found.lost is None else f"{found.lost:.3g}×"
    lines = [
        f"measured rate {number(found.measured)} over {found.steps} steps, Proposition 1 as proved "
        f"{told(found.bound)}: {lost}, the product of the factors",
        f"ℓ_(t+1) = ℓ_t (1 − 2 D_t γ w κ_t) to {number(found.identity)}",
    ]
    print_lines(stdout(), lines)


command = config_options(audit, Config)
