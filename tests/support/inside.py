"""Synthetic runs with planted numbers and planted series along their steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ntkbound.core.record import Record
from tests.support.synthetic import KEY, PLANTED

STEPS = np.unique(np.geomspace(1, 20_000, 200).astype(int)).astype(float)


def wobble(rng: np.random.Generator, size: int, noise: float, memory: float = 0.9) -> np.ndarray:
    """(size,) stationary AR(1) noise of this deviation: steps of one run are correlated."""
    shocks = rng.normal(0, noise * np.sqrt(1 - memory**2), size)
    found = np.empty(size)
    found[0] = rng.normal(0, noise)
    for i in range(1, size):
        found[i] = memory * found[i - 1] + shocks[i]
    return found


def traced(
    law: Callable[[np.ndarray], np.ndarray],
    *,
    seeds: int = 5,
    noise: float = 0.1,
    stream: int = 0,
    numbers: Mapping[str, Sequence[float]] | None = None,
    **fields: Any,
) -> list[Record]:
    """One run a seed whose `KEY` is scale · law(step) · AR noise; ``numbers``: further terms
    ``term / probe / name``, one value a seed."""
    rng = np.random.default_rng(stream)
    found = []
    for seed in range(seeds):
        values = np.exp(rng.normal(0, 0.3) + wobble(rng, len(STEPS), noise)) * law(STEPS)
        own = {name: float(each[seed]) for name, each in (numbers or {}).items()}
        terms = {KEY.term: {KEY.probe: {KEY.statistic: float(values[-1]), **own}}}
        trace = {"step": STEPS, KEY.column: values}
        found.append(_record(seed, terms, trace, fields))
    return found


def numbered(values: Sequence[float], **fields: Any) -> list[Record]:
    """One run a seed whose `KEY` is this value."""
    return [
        _record(seed, {KEY.term: {KEY.probe: {KEY.statistic: float(value)}}}, {}, fields)
        for seed, value in enumerate(values)
    ]


def _record(seed: int, terms: Any, trace: Any, fields: Mapping[str, Any]) -> Record:
    config = {"m": 64, "dtype": "float64", **fields, "seed": seed}
    name = "-".join(f"{key}{value}" for key, value in config.items())
    return Record(name, PLANTED.name, 1, config, terms, trace=trace)
