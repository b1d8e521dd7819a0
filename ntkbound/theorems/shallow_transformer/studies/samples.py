"""The approximation error against the number of samples n, and the width that a target needs."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ntkbound.core.claim import Claim
from ntkbound.stats import check
from ntkbound.studies.growth import growth, series_of
from ntkbound.studies.measured import statistic
from ntkbound.studies.study import Evidence, Finding, Judgement, Line, Panel, Quantity, Row, Study
from ntkbound.theorems.shallow_transformer.studies.shared import (
    APPROXIMATION,
    NO_SEARCH,
    PUBLISHED,
    TINY,
    seeds,
)

TARGET = 0.1  # largest approximation error that the width is to reach
NEEDED = Quantity("width needed", "width_needed", "approximation", "heads")
GROWS_LIKE_LOG = Claim(
    term=NEEDED.term,
    probe=NEEDED.probe,
    statistic=NEEDED.statistic,
    axis="n",
    kind="log",
    label=f"width needed for an approximation error of {TARGET:g}",
)


def width_needed(rows: list[Row]) -> list[Row]:
    """Per n and seed the m at which the error's power law in m meets the target, as rows."""
    errors: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        error = statistic(row, APPROXIMATION)
        if error:
            config = row["config"]
            errors[config["n"], config["seed"]].append((config["m"], error))
    found: list[Row] = []
    for (n, seed), points in sorted(errors.items()):
        m, error = np.log(np.array(sorted(points))).T
        slope, start = np.polyfit(m, error, 1)
        heads = float(np.exp((np.log(TARGET) - start) / slope))
        terms = {NEEDED.term: {NEEDED.probe: {NEEDED.statistic: heads}}}
        found.append({"config": {"n": n, "seed": seed}, "terms": terms, "checks": []})
    return found


def judge(evidence: Evidence) -> Judgement:
    """Log n against powers of n, for the width needed."""
    rows = width_needed(list(evidence.rows))
    fits = check(rows, [GROWS_LIKE_LOG]).fits
    findings, lines = [], []
    for series in series_of(rows, "n", NEEDED):
        form = growth(series)
        findings.append(
            Finding(f"growth of the width needed with n: {form.word}", "not-defined",
                    form.reason)
        )  # fmt: skip
        y = np.median(series.values, axis=0)
        low, high = series.values.min(axis=0), series.values.max(axis=0)
        lines.append(
            Line("median", series.points.tolist(), y.tolist(), low.tolist(), high.tolist())
        )
        for label, shape in (("∝ log n", np.log(series.points)), ("∝ n^½", series.points**0.5)):
            curve = y[0] * shape / shape[0]
            lines.append(Line(label, series.points.tolist(), curve.tolist(), dashed=True))
    panel = Panel(f"width needed for {TARGET:g}", "n", "m", lines)
    return Judgement(findings, fits, panels=[panel] if lines else [])


STUDY = Study(
    title="Samples",
    question=(
        "How do the largest approximation error, and the width that keeps it below a target, grow "
        "with the number of samples n?"
    ),
    reading=(
        "The error is the largest over n samples, for each width. The width needed is where each "
        f"seed's power law in m meets the target {TARGET:g}; it may lie outside the widths that "
        "were run, and is then an extrapolation. Older theory needed powers of n: the last panel "
        "draws log n and n^½ through the first point."
    ),
    sizes={
        "smoke": {
            "run": {**TINY, **NO_SEARCH, "tau": 2, "records": 2},
            "sweep": {
                "n": {"from": 32, "to": 512, "factor": 4},
                "m": [32, 64, 128],
                "seed": seeds(4),
            },
        },
        "small": {
            "run": {"T": 8, "d": 4, "tau": 2, "records": 2, "inputs": "ball", **NO_SEARCH},
            "sweep": {
                "n": {"from": 32, "to": 2048, "factor": 4},
                "m": {"from": 32, "to": 512, "factor": 2},
                "seed": seeds(10),
            },
        },
        "paper": {
            "run": {**PUBLISHED, "validation": 0.0},
            "sweep": {
                "n": {"from": 250, "to": 8000, "factor": 2},
                "m": {"from": 32, "to": 256, "factor": 2},
                "seed": seeds(10),
            },
        },
    },
    axis="n",
    arms=("m",),
    measured=(APPROXIMATION,),
    claims=(
        Claim(
            term="approximation",
            probe="transported",
            statistic="max",
            axis="n",
            kind="log",
            exponent=0.5,
        ),
    ),
    judge=judge,
)
