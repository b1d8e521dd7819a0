"""``plan``: how many heads and steps a target error takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.config import build
from ntkbound.errors import InputError

if TYPE_CHECKING:
    from ntkbound.stats import Crossing, Series

CURVE = [10**power for power in range(1, 9)]  # n


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound plan --target 0.1 --n 5000 --from results/")(plan)


def plan(
    target: Annotated[float, typer.Option(help="RMSE to be guaranteed")],
    n: Annotated[int, typer.Option(help="samples")] = 512,
    T: Annotated[int, typer.Option("--T", help="tokens (no bound depends on it)")] = 16,
    d: Annotated[int, typer.Option(help="token dimension")] = 8,
    m: Annotated[int | None, typer.Option(help="heads, if they are given")] = None,
    tau: Annotated[int | None, typer.Option(help="steps, if they are given")] = None,
    nu: Annotated[str, typer.Option(help="norms of the target: 1 | 3,3,1 | c=3,W=1")] = "1",
    rho: Annotated[str, typer.Option(help="projection radii, likewise")] = "1",
    delta: Annotated[float, typer.Option(help="failure probability δ")] = 0.05,
    activation: Annotated[str, typer.Option(help="tanh, erf, sigmoid or bump")] = "tanh",
    eta_scale: Annotated[float, typer.Option(help="η·√τ")] = 1.0,
    teacher_heads: Annotated[
        int | None, typer.Option(help="heads averaged into the labels; without it y = f̃ exactly")
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--from", help="results folder: also what was measured")
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(help="plot the fewest m against n: FILE.pdf|svg|png")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the smallest m and τ that guarantee a target RMSE, by each level of bound.

    Without --m and --tau the pair with the least m·τ (to a percent); with one of them the other.
    """
    from ntkbound.report.figures import check_figure, plot_widths
    from ntkbound.report.plan_table import print_plan
    from ntkbound.theorems import plan as planner
    from ntkbound.theorems.shallow_transformer import Norms

    if not 0 < target < float("inf"):
        raise InputError(f"--target: {target:g} is not a positive RMSE")
    if curve is not None:
        check_figure("--curve", curve)
    fields = {"n": n, "T": T, "d": d, "nu": nu, "rho": rho, "delta": delta,
              "activation": activation, "eta_scale": eta_scale, "teacher_heads": teacher_heads,
              "m": m, "tau": tau, "transport": "constant"}  # fmt: skip
    config = build({name: value for name, value in fields.items() if value is not None})
    problem = planner.Problem(
        n=n, d=d, activation=config.activation, rho=Norms(*config.rho.values()),
        nu=Norms(*(config.nu or {}).values()), delta=delta, eta_scale=eta_scale,
        teacher_heads=teacher_heads,
    )  # fmt: skip
    plans = [planner.plan(problem, target, name, m=m, tau=tau) for name in planner.LEVELS]
    crossings = [] if results is None else _crossings(results, target)
    curves = {}
    if curve is not None:
        curves = {
            name: (CURVE, planner.width_curve(problem, target, name, CURVE))
            for name in planner.LEVELS
        }
        plot_widths(curve, curves)
    if as_json:
        told = {"target": target, "problem": asdict(problem)}
        told["plans"] = [row.as_dict() for row in plans]
        told["measured"] = [
            {"axis": series.axis, "arm": dict(series.arm), **asdict(found)}
            for series, found in crossings
        ]
        told["curve"] = [
            {"level": name, "n": a, "m": b}
            for name, (samples, widths) in curves.items()
            for a, b in zip(samples, widths, strict=True)
        ]
        print_json(told)
    elif not quiet:
        title = f"RMSE ≤ {target:g} with probability {1 - delta:g}: n = {n}  T = {T}  d = {d}\n"
        title += f"{activation}, ν = {nu}, ρ = {rho}, η = {eta_scale:g}/√τ"
        print_plan(stdout(), title, plans, crossings)


def _crossings(folder: Path, target: float) -> list[tuple[Series, Crossing]]:
    """Where the fitted minimum RMSE of the records reaches the target, along m and along τ."""
    from ntkbound.runs.store import survey
    from ntkbound.stats import crossing, observe

    records = [r for r in survey(folder).complete.values() if r["status"] == "complete"]
    if not records:
        raise InputError(f"--from {folder}: no complete records; make some with ntkbound sweep")
    wanted = ("optimization", "training", "min_rmse")
    found = [
        series
        for series in observe(records, axes=("m", "tau"))
        if (series.term, series.probe, series.statistic) == wanted
    ]
    if not found:
        raise InputError(f"--from {folder}: neither m nor tau varies between the records")
    return [(series, crossing(series, target)) for series in found]
