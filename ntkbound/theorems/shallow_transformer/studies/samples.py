"""The approximation error against the number of samples n, and the width that a target needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from ntkbound.core.claim import Rate
from ntkbound.core.quantity import Key, Quantity
from ntkbound.core.record import Record
from ntkbound.stats import judge_claims, tabulate
from ntkbound.stats.curves import median_interval
from ntkbound.studies.growth import growth, series_of
from ntkbound.studies.measured import MEDIAN
from ntkbound.studies.study import Evidence, Finding, Judgement, Line, Panel, Study
from ntkbound.theorems.shallow_transformer.statement import (
    APPROXIMATION,
    NAME,
)

TARGET = 0.1  # largest approximation error that the width is to reach
NEEDED = Quantity("width_needed", "approximation", "heads", "width needed")
GROWS_LIKE_LOG = Rate(
    term=NEEDED.term,
    probe=NEEDED.probe,
    statistic=NEEDED.statistic,
    axis="n",
    kind="upper",
    exponent=0.0,
    log_power=1.0,
    label=f"width needed for an approximation error of {TARGET:g}",
)


Row = tuple[Mapping[str, int], Mapping[Key, float]]  # n and seed, and what was measured there


def width_needed(records: Sequence[Record]) -> list[Row]:
    """Per n and seed the m at which the error's power law in m meets the target."""
    errors: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        error = record.number(APPROXIMATION.key)
        if error:
            config = record.config
            errors[config["n"], config["seed"]].append((config["m"], error))
    found: list[Row] = []
    for (n, seed), points in sorted(errors.items()):
        m, error = np.log(np.array(sorted(points))).T
        slope, start = np.polyfit(m, error, 1)
        heads = float(np.exp((np.log(TARGET) - start) / slope))
        found.append(({"n": n, "seed": seed}, {NEEDED.key: heads}))
    return found


def judge(evidence: Evidence) -> Judgement:
    """Log n against powers of n, for the width needed."""
    table = tabulate(width_needed(evidence.complete))
    fits = judge_claims(table, [GROWS_LIKE_LOG])
    findings, lines = [], []
    for _, series in series_of(table, "n", [NEEDED]):
        form = growth(series)
        findings.append(
            Finding(f"growth of the width needed with n: {form.word}", "not-defined",
                    form.reason)
        )  # fmt: skip
        y = np.median(series.values, axis=0)
        low, high = zip(*map(median_interval, series.values.T), strict=True)
        x, seeds = series.points.tolist(), series.values.T.tolist()
        lines.append(Line(MEDIAN, x, y.tolist(), low, high, seeds=seeds))
        for label, shape in (("∝ log n", np.log(series.points)), ("∝ √n", series.points**0.5)):
            curve = y[0] * shape / shape[0]
            lines.append(Line(label, x, curve.tolist(), role="reference"))
    panel = Panel(f"m needed for ε_app = {TARGET:g}", "n", "m", lines)
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
    theorem=NAME,
    axis="n",
    arms=("m",),
    measured=(APPROXIMATION,),
    judge=judge,
)
