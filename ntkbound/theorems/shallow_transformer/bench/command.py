"""``bench``: what a step costs on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.core.errors import InputError, nearest


def command(
    n: Annotated[int, typer.Option("--n", min=1, help="samples")] = 4000,
    T: Annotated[int, typer.Option("--T", min=1, help="tokens")] = 16,
    d: Annotated[int, typer.Option("--d", min=1, help="token dimension")] = 8,
    m: Annotated[int, typer.Option("--m", min=2, help="heads (even)")] = 256,
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
    threads: Annotated[int, typer.Option(min=1, help="threads")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    only: Annotated[
        str | None, typer.Option(help="some of kernel,blocked,autograd,compile,jax")
    ] = None,
    grow: Annotated[
        bool, typer.Option("--growth", help="how a step grows with n, m and T, with slopes")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time loss and gradient beside other implementations and the machine's own limits."""
    from ntkbound.runs.execute import check_device
    from ntkbound.theorems.shallow_transformer.bench.measure import NAMES, TOLERANCE, Sizes, growth
    from ntkbound.theorems.shallow_transformer.bench.measure import bench as measure
    from ntkbound.theorems.shallow_transformer.bench.table import print_bench, print_growth

    chosen = NAMES if only is None else tuple(name.strip() for name in only.split(","))
    for name in chosen:
        if name not in NAMES:
            accepted = ", ".join(NAMES)
            told = f"{name!r} is unknown; accepted: {accepted}{nearest(name, NAMES)}"
            raise InputError(told, field="only")
    if dtype not in TOLERANCE:
        raise InputError(f"{dtype!r} is unknown; accepted: float32, float64", field="dtype")
    if m % 2:
        told = f"{m} is odd; symmetric initialisation needs an even number"
        raise InputError(told, field="m")
    check_device(device)
    if grow:
        result, show = growth(d, dtype, threads, device), print_growth
    else:
        result, show = measure(Sizes(n, T, d, m), dtype, threads, device, chosen), print_bench
    if as_json:
        print_json(result)
    else:
        show(stdout(), result, notes=not quiet)
