"""The benchmark as a table: time per element, ratios, and the machine's own ceilings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

MEANING = {
    "kernel": "this tool's native kernel",
    "blocked": "closed form in torch, blocked",
    "autograd": "torch autograd through einsum",
    "compile": "torch.compile of the same",
    "jax": "jax.jit of the same",
}


def print_bench(console: Console, result: Mapping[str, Any]) -> None:
    sizes = ", ".join(f"{name} = {value}" for name, value in result["sizes"].items())
    console.print(
        f"loss and gradient, {sizes}, {result['dtype']}, {result['device']}, "
        f"{result['threads']} thread{'s' * (result['threads'] > 1)}",
        style="bold",
        highlight=False,
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("", "ns per element", "ratio"):
        table.add_column(title, justify="left" if not title else "right")
    for name, value in result["ns_per_element"].items():
        if value is not None:
            table.add_row(MEANING[name], f"{value:.3f}", f"{result['ratios'][name]:.1f}×")
    console.print(table)
    for name, reason in result["absent"].items():
        console.print(f"  · {MEANING[name]}: {reason}", highlight=False)
    ceilings = result["ceilings"]
    console.print(
        f"  · ceilings: {ceilings['multiply_adds_per_second'] / 1e9:.1f} G multiply-adds/s, "
        f"exp {ceilings['exp_ns']:.2f} ns, copy {ceilings['copy_bytes_per_second'] / 1e9:.1f} GB/s",
        highlight=False,
    )
    console.print(
        f"  · arithmetic floor {result['floor_ns']:.3f} ns per element; the first line is "
        f"{result['times_floor']:.2f}× that",
        highlight=False,
    )
