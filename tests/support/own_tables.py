"""Tables that somebody else might have: a planted rate along m, per method and seed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

WIDTHS = (16, 32, 64, 128, 256)
SEEDS = 5
HEADER = ("method", "m", "seed", "loss")
CLAIM = """
[[claim]]
column = "loss"
axis = "m"
kind = "tight"
exponent = -0.5
"""

Row = tuple[object, ...]


def planted(exponent: float = -0.5, noise: float = 0.05) -> list[Row]:
    """(method, m, seed, loss): loss = a·m^exponent with multiplicative noise, 50 rows."""
    rng = np.random.default_rng(3)
    return [
        (method, m, seed, a * m**exponent * float(np.exp(noise * rng.standard_normal())))
        for method, a in (("adam", 1.0), ("gd", 3.0))
        for m in WIDTHS
        for seed in range(SEEDS)
    ]


def write(path: Path, header: Sequence[object], rows: Iterable[Row], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path
