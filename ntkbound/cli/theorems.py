"""Commands about what there is: ``theorems`` and ``presets``."""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.core import registry
from ntkbound.core.preset import preset_names
from ntkbound.core.theorem import Theorem
from ntkbound.report.tables import Table, print_table


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound theorems")(theorems)
    app.command(epilog="Example: ntkbound presets, then ntkbound check smoke")(presets)


def theorems(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE.py", help="show the page of this one")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the theorems that can be put to the test, with their sources, or show one as a page:
    what it says, what is measured and claimed, and what may fail."""
    if name is not None:
        from ntkbound.report import theorem_page as page

        theorem = registry.named(name)
        if as_json:
            print_json(page.as_json(theorem))
        else:
            page.print_theorem(stdout(), theorem, notes=not quiet)
        return
    found, broken = registry.theorems(), registry.broken()
    if as_json:
        rows = [
            {
                "name": name,
                "source": one.source,
                "version": one.version,
                "origin": registry.origin(one),
                "quantities": len(one.quantities),
                "claims": len(one.claims),
                "commands": [command.name for command in one.commands],
            }
            for name, one in found.items()
        ]
        print_json({"theorems": rows, "broken": broken})
    else:
        shown = [(name, _about(one)) for name, one in found.items()]
        shown += [(name, f"broken: {reason}") for name, reason in broken.items()]
        _print(("theorem", "source"), shown)


def _about(theorem: Theorem) -> str:
    """Where it stands and comes from, how much it says, and the commands that it brings."""
    refuted = sum(claim.status == "refuted" for claim in theorem.claims)
    quantities, claims = len(theorem.quantities), len(theorem.claims)
    counts = f"{quantities} {'quantity' if quantities == 1 else 'quantities'}, "
    counts += f"{claims} claim{'s' * (claims != 1)}"
    told = [theorem.source, counts + (f", {refuted} of them known to fail" if refuted else "")]
    if registry.origin(theorem) != "ntkbound":
        told.append(f"from {registry.origin(theorem)}")
    if theorem.commands:
        told.append("commands: " + ", ".join(command.name for command in theorem.commands))
    return "; ".join(told)


def _count(things: Sized, stem: str, one: str = "", many: str = "s") -> str:
    """ "1 claim", "2 claims"."""
    return f"{len(things)} {stem}{one if len(things) == 1 else many}"


def presets(as_json: Json = False, quiet: Quiet = False) -> None:
    """List the presets that sweep, check and study find by name."""
    found = preset_names()
    if as_json:
        print_json({"presets": [{"name": name, "title": title} for name, title in found.items()]})
    else:
        _print(("preset", "title"), list(found.items()))


def _print(titles: tuple[str, str], rows: list[tuple[str, str]]) -> None:
    table = Table(titles, folded=titles)
    for row in rows:
        table.add_row(row)
    print_table(stdout(), table)
