"""A made-up theorem about least squares, and records of it: what every table must cope with."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from rich.console import Console

from ntkbound.core.claim import Claim
from ntkbound.core.config import Config, Count
from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Bound, Certificate, Check, Outcome, check
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.core.theorem import Theorem

NAME = "least-squares"
EXCESS = Quantity("excess", "test", "max", "E[R] − R*", headline=True)
RESIDUAL = Quantity("residual", "training", "mean", headline=True)
SPREAD = Quantity("residual", "training", "spread")


class LeastSquares(Config):
    theorem: str = NAME
    n: Count = 64
    d: Count = 4
    steps: Count = 100


def run(config: LeastSquares, tools: object) -> Outcome:
    raise AssertionError("no table runs anything")


THEOREM = Theorem(
    name=NAME,
    source="made up",
    version=1,
    config=LeastSquares,
    quantities=(EXCESS, RESIDUAL, SPREAD),
    claims=(),
    run=run,
    facts=lambda record: [f"{record.config['steps']} steps"],
    axes=("n",),
    symbols={"n": "N"},
    certified={"excess": (Quantity("excess", "worst", "max"), EXCESS)},
)


def find(name: str) -> Theorem:
    """Knows one theorem."""
    if name != NAME:
        raise InputError(f"{name!r} is unknown", field="theorem")
    return THEOREM


def config(**fields: Any) -> dict[str, Any]:
    return LeastSquares(**fields).model_dump()


def record(**changes: Any) -> Record:
    """A complete run with one check that holds and one without a bound."""
    fields: dict[str, Any] = {
        "id": "ls-0",
        "theorem": NAME,
        "version": 1,
        "config": config(),
        "terms": {
            "excess": {"test": {"max": 0.25}},
            "residual": {"training": {"mean": 0.5, "spread": None, "best": 12345}},
        },
        "checks": (
            check(EXCESS, 0.25, Bound(1.0)),
            check(RESIDUAL, 0.5, Bound(None, "n < d", absent="condition-not-met")),
        ),
        "certificates": (
            Certificate("excess", "uniform", 3.0, "made up"),
            Certificate("excess", "estimate", 0.5, "made up"),
            Certificate("radius", "realised", 2.0, "made up"),
        ),
    }
    return Record(**(fields | changes))


def absent(term: str, reason: str) -> Check:
    """A number without a bound."""
    return check(Quantity(term, "test", "max"), 1.0, Bound(None, reason))


def planted(exponent: float, points=(16, 32, 64, 128, 256), seeds: int = 5) -> list[Record]:
    """Records in which the excess is n^exponent with a little noise, and so is the residual;
    the bound on the excess is twice that."""
    rng = np.random.default_rng(3)
    made = []
    for seed in range(seeds):
        for n in points:
            excess = float(n**exponent * np.exp(0.01 * rng.standard_normal()))
            terms = {
                "excess": {"test": {"max": excess}},
                "residual": {"training": {"mean": 2 * excess, "spread": 3 * excess}},
            }
            row = check(EXCESS, excess, Bound(2 * n**exponent))
            fields = config(n=n, seed=seed)
            made.append(record(id=f"ls-{n}-{seed}", config=fields, terms=terms, checks=(row,)))
    return made


def claim(**changes: Any) -> Claim:
    fields = {"axis": "n", "kind": "upper", "exponent": -0.5}
    return Claim(**(EXCESS.key._asdict() | fields | changes))


def printed(show, *arguments: Any, width: int = 100) -> list[str]:
    """The lines that a table prints on a terminal of this width; none ends in a blank."""
    stream = io.StringIO()
    show(Console(file=stream, width=width), *arguments)
    lines = stream.getvalue().splitlines()
    assert lines == [line.rstrip() for line in lines]
    return lines
