"""Synthetic records with planted laws, and the theorem that they belong to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from ntkbound.core import registry
from ntkbound.core.claim import Claim
from ntkbound.core.config import Config
from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Outcome
from ntkbound.core.quantity import Key, Quantity
from ntkbound.core.record import Record
from ntkbound.core.theorem import Theorem

WIDTHS = (16, 32, 64, 128, 256, 512)
KEY = Key("term", "probe", "max")


class PlantedConfig(Config):
    """Further seeds than ``seed``, and a dtype; records may have any field."""

    seeds: ClassVar[tuple[str, ...]] = ("seed", "data_seed", "init_seed")
    drawn: ClassVar[tuple[str, ...]] = ("init_seed",)
    precision: ClassVar[str] = "dtype"
    data: ClassVar[str] = "task"

    theorem: str = "planted"
    dtype: str = "float64"


def follows(config: Mapping[str, Any]) -> dict[str, Any]:
    """η = eta_scale/√τ, where it is that."""
    derived = config.get("eta_scale", math.nan) / math.sqrt(config.get("tau", 1))
    equal = math.isclose(config.get("eta", math.nan), derived)
    return {"eta": "eta_scale/sqrt(tau)"} if equal else {}


def never(config: Any, tools: Any) -> Outcome:
    """These records are not measured."""
    raise NotImplementedError


PLANTED = Theorem(
    name="planted",
    source="tests",
    version=1,
    config=PlantedConfig,
    quantities=(
        Quantity("optimization", "training", "rmse", trained=True),
        Quantity("optimization", "training", "loss", trained=True, noise="square"),
        Quantity("gradient", "training", "square", noise="square"),
    ),
    claims=(),
    run=never,
    axes=("m", "tau", "n", "T", "d", "rho", "nu"),
    follows=follows,
)
# Another with another idea of what a seed is.
OTHER = replace(PLANTED, name="other", config=Config, axes=("m",), follows=lambda config: {})


@contextmanager
def registered(*theorems: Theorem) -> Iterator[None]:
    """`core.registry.find` knows these theorems, and no other."""
    known = {theorem.name: theorem for theorem in theorems}

    def find(name: str) -> Theorem:
        if name not in known:
            raise InputError(f"{name!r} is unknown", field="theorem")
        return known[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "find", find)
        yield


def records(
    law: Callable[[float], float],
    *,
    axis: str = "m",
    points: Sequence[float] = WIDTHS,
    seeds: int = 5,
    noise: float = 0.05,
    stream: int = 0,
    **config: Any,
) -> list[Record]:
    """One record per (point, seed): `terms.term.probe.max` = s_seed · law(x) · lognormal noise."""
    rng = np.random.default_rng(stream)
    found = []
    for seed in range(seeds):
        scale = np.exp(rng.normal(0, 0.3))
        for x in points:
            value = float(scale * law(x) * np.exp(rng.normal(0, noise)))
            fields = {
                "m": 64,
                "tau": 400,
                "n": 32,
                "dtype": "float32",
                "eta_scale": 1.0,
                **config,
                axis: x,
                "seed": seed,
            }
            fields["eta"] = fields["eta_scale"] / np.sqrt(fields["tau"])
            tag = "".join(f"-{k}{v}" for k, v in config.items())
            name = f"{axis}{x:g}-s{seed}{tag}"
            terms = {"term": {"probe": {"max": value}}}
            found.append(Record(name, PLANTED.name, 1, fields, terms))
    return found


def claim(exponent: float = -0.5, kind: str = "upper", axis: str = "m", **more: Any) -> Claim:
    return Claim(
        term="term", probe="probe", statistic="max", axis=axis, kind=kind, exponent=exponent, **more
    )


def value(record: Record) -> float:
    number = record.number(KEY)
    return math.nan if number is None else number


def with_value(record: Record, number: float | None) -> Record:
    return replace(record, terms={"term": {"probe": {"max": number}}})


def with_fields(record: Record, **fields: Any) -> Record:
    """The record with these config fields."""
    return replace(record, config={**record.config, **fields})
