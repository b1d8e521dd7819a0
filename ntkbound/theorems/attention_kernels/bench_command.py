"""``bench``: what a step of all seeds costs here."""

from __future__ import annotations

from typing import Annotated

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.cli.options import Given, config_options
from ntkbound.theorems.attention_kernels.config import Config


def bench(
    given: Given,
    seeds: Annotated[int, typer.Option(min=1, help="seeds that train as one")] = 20,
    count: Annotated[int, typer.Option(min=1, help="steps per measurement")] = 500,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time one step of all seeds: native code, batched autograd, and the bare products.

    On one thread; the fastest of five measurements. Elements are multiply-adds of all seeds. The
    native step measures the loss and every norm, too; autograd's step only finds the gradients.
    """
    from ntkbound.machine.parallel import Workers
    from ntkbound.report.tables import Table, print_table, print_text
    from ntkbound.theorems.attention_kernels.bench import bench as timed
    from ntkbound.theorems.attention_kernels.run import prepare
    from ntkbound.theorems.attention_kernels.show import title

    given.config.refuse_images()
    Workers(1)  # torch on one thread, as in every run
    prepared = prepare(given.config)
    found = timed(prepared.config, prepared.data, seeds, count)
    if as_json:
        print_json({
            "ns_per_element": found.ns_per_element, "seconds_per_step": found.seconds,
            "elements": found.elements,
        })  # fmt: skip
    else:
        print_text(stdout(), title(prepared.config.model_dump()), style="bold")
        right = ("µs per step", "ns per element")
        table = Table(("", *right), right)
        for name, seconds in found.seconds.items():
            numbers = (f"{1e6 * seconds:.1f}", f"{found.ns_per_element[name]:.2f}")
            table.add_row((name, *numbers))
        print_table(stdout(), table)


command = config_options(bench, Config)
