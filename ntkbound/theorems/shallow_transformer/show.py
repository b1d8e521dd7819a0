"""A run of this theorem in words: the headline above its table, and the facts below it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ntkbound.core.record import Record
from ntkbound.core.tolerance import EPSILON, FACTOR
from ntkbound.report.tables import number
from ntkbound.theorems.shallow_transformer.choices import MODELS

NEAR = 10  # times the noise floor, below which a minimum is said to be near it


def headline(record: Record) -> str:
    """Sizes, then task, method, radii and seed of the run."""
    return title(record.config)


def title(config: Mapping[str, Any]) -> str:
    """The two lines that name a run, from its resolved config."""
    names = ("m", "tau", "n", "T", "d")
    sizes = "  ".join(f"{'τ' if name == 'tau' else name} = {config[name]}" for name in names)
    query = "" if config["query"] is None else f"query {config['query']}"
    lag = "" if config["lag"] is None else f"lag {config['lag']}, positions {config['positions']}"
    parts = [config["task"], lag, config["transport"], config["activation"], query]
    if config["omega"] is not None:
        parts.insert(0, f"{config['model']} ω = {config['omega']:g}")
    elif config["model"] not in MODELS:
        parts.insert(0, Path(config["model"]).name)
    radii = " ".join(f"ρ_{b} = {r:g}" for b, r in config["rho"].items())
    what = ", ".join(part for part in parts if part)
    how = f"{config['method']}, η = {config['eta']:.3g}, {radii}, seed {config['seed']}"
    return f"{sizes}\n{what}, {how}"


def facts(record: Record) -> list[str]:
    """What training reached, and how far the heads went for it."""
    training, gradient = record.terms["optimization"]["training"], record.terms["gradient"]
    fractions = ", ".join(f"{b} {f:.1%}" for b, f in gradient["boundary_fraction"].items())
    reach = ", ".join(f"{b} {r:.3g}" for b, r in gradient["reach"].items())
    told = [
        f"minimum MSE {number(training['min_mse'])} at step {training['best_step']}, "
        f"final {number(training['final_mse'])}",
        f"heads on the boundary of Ω_ρ at the end: {fractions}",
        f"farthest any head went, in units of 1/√m: {reach}",
        f"largest ‖∇R̂‖ {number(gradient['training']['loss_gradient_norm_max'])}",
    ]
    told += _noise(training["min_mse"], record.config["dtype"])
    if "min_validation_mse" in training:
        told.append(f"minimum validation MSE {number(training['min_validation_mse'])}")
    return told


def _noise(min_mse: float, dtype: str) -> Iterator[str]:
    """Whether training came so far that its precision, not its length, may be the limit."""
    floor, root = FACTOR * EPSILON[dtype], math.sqrt(min_mse)
    if root < NEAR * floor:
        told = f"noise floor of {dtype}, {number(floor)}: rounding may limit it"
        yield f"minimum RMSE {number(root)} is less than {NEAR} times the {told}"
