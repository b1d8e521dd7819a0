"""``bench``: what a step costs here."""

from __future__ import annotations

from typing import Annotated

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.cli.options import Given, config_options
from ntkbound.core.errors import InputError
from ntkbound.theorems.encoder_only.config import Config

MULTIPLY_ADDS = 10**9  # of a measurement, where the steps are not given


def bench(
    given: Given,
    steps: Annotated[
        int | None, typer.Option(min=1, help="steps per measurement [about a second's]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="of the closed form")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time one step: closed form, autograd (of the model as written; through P), bare products.

    In nanoseconds per element, of which a step has 4·N·ds·d·dm; the fastest of five measurements,
    each way's in turn. Autograd and the products are on one thread.
    """
    from ntkbound.machine.parallel import Workers
    from ntkbound.report.tables import Table, print_table, print_text
    from ntkbound.theorems.encoder_only.bench import bench as timed
    from ntkbound.theorems.encoder_only.run import prepare
    from ntkbound.theorems.encoder_only.show import title
    from ntkbound.theorems.encoder_only.start import start

    if given.config.images:
        raise InputError("has no step in closed form; take gaussian or FILE.npz", field="task")
    prepared, workers = prepare(given.config), Workers(threads)
    dm, N, ds, d = prepared.config.sizes
    begin = start(prepared.config, prepared.data, workers)
    count = steps or max(2, MULTIPLY_ADDS // (4 * N * ds * d * dm))
    found = timed(begin.problem, begin.initial, count, workers)
    if as_json:
        print_json({
            "ns_per_element": found.ns_per_element, "seconds_per_step": found.seconds,
            "elements": found.elements, "threads": threads,
        })  # fmt: skip
    else:
        print_text(stdout(), title(prepared.config.model_dump()), style="bold")
        right = ("ms per step", "ns per element", "over closed form")
        table = Table(("", *right), right)
        for name, seconds in found.seconds.items():
            ratio = seconds / found.seconds["closed form"]
            numbers = (f"{1e3 * seconds:.2f}", f"{found.ns_per_element[name]:.4f}", f"{ratio:.2f}×")
            table.add_row((name, *numbers))
        print_table(stdout(), table)


command = config_options(bench, Config)
