"""Synthetic records in the shape of run.json, with planted laws."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ntkbound.core.claim import Claim

WIDTHS = (16, 32, 64, 128, 256, 512)


def records(
    law: Callable[[float], float],
    *,
    axis: str = "m",
    points: Sequence[float] = WIDTHS,
    seeds: int = 5,
    noise: float = 0.05,
    stream: int = 0,
    **config: Any,
) -> list[dict[str, Any]]:
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
            found.append(
                {
                    "id": f"{axis}{x:g}-s{seed}{tag}",
                    "config": fields,
                    "terms": {"term": {"probe": {"max": value}}},
                }
            )
    return found


def claim(
    exponent: float | None = -0.5, kind: str = "upper", axis: str = "m", **more: Any
) -> Claim:
    return Claim(
        term="term", probe="probe", statistic="max", axis=axis, kind=kind, exponent=exponent, **more
    )


def value(record: dict[str, Any]) -> float:
    return float(record["terms"]["term"]["probe"]["max"])


def set_value(record: dict[str, Any], number: float | None) -> None:
    record["terms"]["term"]["probe"]["max"] = number
