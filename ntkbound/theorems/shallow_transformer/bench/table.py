"""The benchmark as a table: time per element, ratios, and the machine's own ceilings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from ntkbound.report.tables import Table, print_lines, print_table, print_text

MEANING = {
    "kernel": "this tool's native kernel",
    "blocked": "closed form in torch, blocked",
    "autograd": "torch autograd through einsum",
    "compile": "torch.compile of the same",
    "jax": "jax.jit of the same",
}


def print_bench(console: Console, result: Mapping[str, Any], *, notes: bool = True) -> None:
    sizes = ", ".join(f"{name} = {value}" for name, value in result["sizes"].items())
    _headline(console, f"loss and gradient, {sizes}", result)
    right = ("ns per element", "ratio")
    table = Table(("", *right), right)
    for name, value in result["ns_per_element"].items():
        if value is not None:
            table.add_row((MEANING[name], f"{value:.3f}", f"{result['ratios'][name]:.1f}×"))
    print_table(console, table)
    ceilings = result["ceilings"]
    lines = [f"{MEANING[name]}: {reason}" for name, reason in result["absent"].items()]
    lines += [
        f"ceilings: {ceilings['multiply_adds_per_second'] / 1e9:.1f} G multiply-adds/s, "
        f"exp {ceilings['exp_ns']:.2f} ns, copy {ceilings['copy_bytes_per_second'] / 1e9:.1f} GB/s",
        f"arithmetic floor {result['floor_ns']:.3f} ns per element; the first line is "
        f"{result['times_floor']:.2f}× that",
    ]
    if notes:
        print_lines(console, lines)


def print_growth(console: Console, result: Mapping[str, Any], *, notes: bool = True) -> None:
    _headline(console, f"µs per step, {MEANING[result['timed']]}, d = {result['d']}", result)
    first = next(iter(result["axes"].values()))
    sizes = [f"2^{math.log2(elements):.0f}" for elements in first["elements"]]
    right = (*sizes, "slope", "repeats")
    table = Table(("along", *right), right)
    for axis, found in result["axes"].items():
        low, high = found["slope_range"]
        times = [f"{seconds * 1e6:.3g}" for seconds in found["seconds"]]
        table.add_row((axis, *times, f"{found['slope']:.2f}", f"{low:.2f} … {high:.2f}"))
    print_table(console, table)
    if notes:
        print_lines(console, ["columns are samples × tokens × heads; a slope of 1 is linear cost"])


def _headline(console: Console, what: str, result: Mapping[str, Any]) -> None:
    threads = result["threads"]
    text = f"{what}, {result['dtype']}, {result['device']}, {threads} thread{'s' * (threads > 1)}"
    print_text(console, text, style="bold")
