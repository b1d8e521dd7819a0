"""``plan``: how many heads and steps a target error takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntkbound.cli.common import Json, Quiet, print_json, stdout
from ntkbound.cli.figures import Dpi, Width
from ntkbound.core.errors import InputError
from ntkbound.core.registry import configure
from ntkbound.theorems.shallow_transformer.config import Config, config_of, known
from ntkbound.theorems.shallow_transformer.statement import MIN_RMSE

if TYPE_CHECKING:
    from ntkbound.stats import Crossing, Series
    from ntkbound.theorems.shallow_transformer.problem import Problem

CURVE = [10**power for power in range(1, 9)]  # n


def command(
    target: Annotated[float, typer.Option(help="RMSE to be guaranteed")],
    record: Annotated[
        Path | None,
        typer.Argument(metavar="[RECORD]", help="take the problem (all but m and τ) from a record"),
    ] = None,
    n: Annotated[int | None, typer.Option(help=r"samples \[512]")] = None,
    T: Annotated[
        int | None, typer.Option("--T", help=r"tokens (no bound depends on it) \[16]")
    ] = None,
    d: Annotated[int | None, typer.Option(help=r"token dimension \[8]")] = None,
    m: Annotated[int | None, typer.Option(help="heads, if they are given")] = None,
    tau: Annotated[int | None, typer.Option(help="steps, if they are given")] = None,
    nu: Annotated[
        str | None, typer.Option(help=r"norms of the target: 1 | 3,3,1 | c=3,W=1 \[1]")
    ] = None,
    rho: Annotated[str | None, typer.Option(help=r"projection radii, likewise \[1]")] = None,
    delta: Annotated[float | None, typer.Option(help=r"failure probability δ \[0.05]")] = None,
    activation: Annotated[
        str | None, typer.Option(help=r"tanh, erf, sigmoid or bump \[tanh]")
    ] = None,
    eta_scale: Annotated[float | None, typer.Option(help=r"η·√τ \[1]")] = None,
    teacher_heads: Annotated[
        int | None, typer.Option(help="heads averaged into the labels; without it y = f̃ exactly")
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--from", help="results folder: also what was measured")
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(help="plot the fewest m against n: FILE.pdf|svg|png")
    ] = None,
    width: Width = "column",
    dpi: Dpi = 200,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the smallest m and τ that guarantee a target RMSE, by each level of bound.

    Without --m and --tau the pair with the least m·τ (to a percent); with one of them the other.
    """
    from ntkbound.report.figures import check_figure
    from ntkbound.report.style import Layout
    from ntkbound.theorems.shallow_transformer.plan import inversion as planner
    from ntkbound.theorems.shallow_transformer.plan.figure import plot_widths
    from ntkbound.theorems.shallow_transformer.plan.table import print_plan

    if not 0 < target < float("inf"):
        raise InputError(f"{target:g} is not a positive RMSE", field="target")
    layout = Layout(width, dpi)
    if curve is not None:
        check_figure("curve", curve)
    options = {"n": n, "T": T, "d": d, "nu": nu, "rho": rho, "delta": delta,
               "activation": activation, "eta_scale": eta_scale, "teacher_heads": teacher_heads,
               "m": m, "tau": tau}  # fmt: skip
    base = {"transport": "constant"} if record is None else _recorded(record)
    chosen = {name: value for name, value in options.items() if value is not None}
    config: Config = configure(base | chosen)
    exact = record is None and teacher_heads is None
    problem = _problem(config, 0 if exact else config.teacher_heads or 0)
    plans = [planner.plan(problem, target, name, m=m, tau=tau) for name in planner.LEVELS]
    crossings = [] if results is None else _crossings(results, target)
    curves = {}
    if curve is not None:
        curves = {
            name: (CURVE, planner.width_curve(problem, target, name, CURVE))
            for name in planner.LEVELS
        }
        plot_widths(curve, curves, layout)
    if as_json:
        told = {"target": target, "problem": _told(problem)}
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
    else:
        norms, radii = _short(config.nu or {}), _short(config.rho)
        title = f"RMSE ≤ {target:g} with probability {1 - config.delta:g}: "
        title += f"n = {config.n}  T = {config.T}  d = {config.d}\n"
        title += f"{config.activation}, ν = {norms}, ρ = {radii}, η = {problem.eta_scale:g}/√τ"
        print_plan(stdout(), title, plans, crossings, notes=not quiet)


FROM_RECORD = (
    "n", "T", "d", "nu", "rho", "delta", "activation", "teacher_heads", "transport", "query",
)  # fmt: skip


def _recorded(path: Path) -> dict[str, Any]:
    """The problem of a record: a teacher's, since the bounds need its norm ν."""
    from ntkbound.runs.record import read

    config = config_of(read(path))
    if config.task != "teacher" or config.model != "transformer":
        raise InputError(
            f"{path}: only a Transformer on the teacher task has the bounds that are inverted here"
        )
    fields = {name: getattr(config, name) for name in FROM_RECORD}
    return fields | {"eta_scale": config.step_size * math.sqrt(config.tau)}


def _problem(config: Config, label_heads: int) -> Problem:
    """What is asked, at τ = 1: there η is η√τ."""
    from ntkbound.theorems.shallow_transformer.problem import Norms, Problem

    return Problem(
        n=known(config.n, "n"),
        m=config.m,
        d=known(config.d, "d"),
        T=known(config.T, "T"),
        activation=config.activation,
        rho=Norms.of(config.rho),
        nu=Norms.of(known(config.nu, "nu")),
        eta=known(config.eta_scale, "eta_scale"),
        tau=1,
        delta=config.delta,
        label_heads=label_heads,
    )


# Of a problem, all but m and τ, which are looked for, and T, on which nothing depends.
TOLD = ("n", "d", "activation", "delta", "eta_scale", "B_x", "B_q")


def _told(problem: Problem) -> dict[str, Any]:
    norms = {"rho": asdict(problem.rho), "nu": asdict(problem.nu)}
    heads = {"teacher_heads": problem.label_heads or None}
    return {name: getattr(problem, name) for name in TOLD} | norms | heads


def _short(norms: Mapping[str, float]) -> str:
    """One number where all blocks share it."""
    if len(set(norms.values())) == 1:
        return f"{next(iter(norms.values())):g}"
    return ", ".join(f"{block} {value:g}" for block, value in norms.items())


def _crossings(folder: Path, target: float) -> list[tuple[Series, Crossing]]:
    """Where the fitted minimum RMSE of the records reaches the target, along m and along τ."""
    from ntkbound.runs.store import survey
    from ntkbound.stats import crossing, observe

    records = [record for record in survey(folder).complete.values() if record.complete]
    if not records:
        told = "no complete records; make some with ntkbound sweep"
        raise InputError(told, field="from", value=folder)
    found = [s for s in observe(records, axes=("m", "tau")) if s.key == MIN_RMSE.key]
    if not found:
        told = "neither m nor tau varies between the records"
        raise InputError(told, field="from", value=folder)
    return [(series, crossing(series, target)) for series in found]
