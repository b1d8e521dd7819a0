"""``bench``: what a step of stage 2 costs here."""

from __future__ import annotations

from typing import Annotated

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.cli.options import Given, config_options
from ntkbound.theorems.next_token.config import Config


def bench(
    given: Given,
    steps: Annotated[int, typer.Option(min=20, help="steps per measurement")] = 400,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time one step of stage 2: the native kernel, plain autograd, and the bare arithmetic.

    In nanoseconds per element, a position of an input times a token of the vocabulary, on one
    thread; the fastest of five measurements. The kernel's step measures loss, excess, norms,
    direction and margin, too; autograd's does not.
    """
    from ntkbound.machine.parallel import Workers
    from ntkbound.report.tables import Table, print_table, print_text
    from ntkbound.theorems.next_token.bench import bench as timed
    from ntkbound.theorems.next_token.show import title
    from ntkbound.theorems.next_token.tasks import prepare
    from ntkbound.theorems.next_token.trained import known, train

    Workers(1)  # torch on one thread, as in every run
    prepared = prepare(given.config)
    short = prepared.config.model_copy(update={"tau": 1})
    first = train(short, prepared.data, lambda *_: None).first
    found = timed(prepared.data, first.W, known(short.eta, "eta"), steps)
    if as_json:
        print_json({
            "ns_per_element": found.ns_per_element, "seconds_per_step": found.seconds,
            "elements": found.elements,
        })  # fmt: skip
    else:
        print_text(stdout(), title(prepared.config.model_dump()), style="bold")
        right = ("µs per step", "ns per element", "over kernel")
        table = Table(("", *right), right)
        for name, seconds in found.seconds.items():
            ratio = seconds / found.seconds["kernel"]
            numbers = (f"{1e6 * seconds:.1f}", f"{found.ns_per_element[name]:.2f}", f"{ratio:.2f}×")
            table.add_row((name, *numbers))
        print_table(stdout(), table)


command = config_options(bench, Config)
