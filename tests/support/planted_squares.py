"""A theorem, its presets and its study that only the tests have: least squares by descent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ntkbound import theorems
from ntkbound.core.outcome import Bound, check
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record

ERROR = Quantity("error", "training", "rmse", "RMSE")
NORM = Quantity("weights", "final", "norm", "‖w‖")

TINY = """
title = "error against steps"
[run]
n = 16
d = 2
[sweep]
steps = { from = 10, to = 160, factor = 2 }
seed = { from = 0, to = 3 }
"""

THEOREM = f"""
from typing import ClassVar, Literal

from pydantic import Field

from ntkbound.core.claim import Claim
from ntkbound.core.config import Config, Count, Seed
from ntkbound.core.outcome import Outcome
from ntkbound.core.quantity import Quantity
from ntkbound.core.theorem import Theorem


class LeastSquares(Config):
    seeds: ClassVar[tuple[str, ...]] = ("seed", "noise_seed")
    theorem: Literal["planted-squares"] = Field("planted-squares")
    n: Count = 16
    d: Count = 4
    steps: Count = 100
    noise_seed: Seed | None = None


def claim(axis, **rest):
    return Claim(term="error", probe="training", statistic="rmse", axis=axis, **rest)


THEOREM = Theorem(
    name="planted-squares",
    source="Gauss 1809",
    version=1,
    config=LeastSquares,
    quantities=(Quantity("error", "training", "rmse"),),
    claims=(claim("steps", kind="tight", exponent=-0.5), claim("n", kind="upper", exponent=0.0)),
    run=lambda config, tools: Outcome({{}}),
    presets={{"smoke/descent": {TINY!r}}},
    studies="planted_squares_studies",
)
"""

STUDY = """
from ntkbound.studies.study import Study
from tests.support.planted_squares import ERROR, NORM

STUDY = Study(
    title="Descent",
    question="Does the error fall like the root of the steps?",
    reading="A point is a run.",
    theorem="planted-squares",
    axis="steps",
    arms=("d",),
    measured=(ERROR, NORM),
)
"""


@contextmanager
def planted(folder: Path) -> Iterator[None]:
    """The theorem ``planted-squares`` and its study ``descent``, until the block ends."""
    found, package = folder / "theorems", folder / "planted_squares_studies"
    found.mkdir()
    package.mkdir()
    (found / "planted_squares.py").write_text(THEOREM, encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "descent.py").write_text(STUDY, encoding="utf-8")
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theorems, "__path__", [*theorems.__path__, str(found)])
        patch.syspath_prepend(str(folder))
        yield
    for name in set(sys.modules) - before:
        if "planted_squares" in name and not name.startswith("tests."):
            del sys.modules[name]


def records(exponent: float = -0.5, bound: float | None = 100.0) -> list[Record]:
    """Runs of the preset ``smoke/descent`` with an error c·steps^exponent."""
    rng = np.random.default_rng(7)
    return [
        record({"steps": steps, "seed": seed}, 3 * steps**exponent * rng.uniform(0.99, 1.01), bound)
        for steps in (10, 20, 40, 80, 160)
        for seed in range(4)
    ]


def record(
    fields: dict[str, int], error: float, bound: float | None = None, status: str = "complete"
) -> Record:
    """One run: these fields beside n = 16 and d = 2."""
    config = {"theorem": "planted-squares", "n": 16, "d": 2, "noise_seed": None, **fields}
    return Record(
        id="-".join(f"{name}{value}" for name, value in fields.items()),
        theorem="planted-squares",
        version=1,
        config=config,
        terms={"error": {"training": {"rmse": float(error)}}},
        status=status,
        checks=(check(ERROR, float(error), Bound(bound)),),
    )
