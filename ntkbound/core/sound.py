"""Is an outcome what its theorem declares? Asked of every run, before its record is written.

What is declared and not measured would be missed by whoever reads the records, and what is judged
and not declared would be judged under a name that nobody knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ntkbound.core.outcome import Outcome
from ntkbound.core.quantity import Key
from ntkbound.core.theorem import Theorem
from ntkbound.core.userfile import UserCodeError

NUMBERS = "biuf"  # kinds of NumPy's dtypes


def check_outcome(theorem: Theorem, outcome: object) -> None:
    """Raises UserCodeError for the first defect of a theorem of the user's own, with the line where
    its ``run`` stands, and ValueError for one of an installed one."""
    defect = next(_defects(theorem, outcome), None)
    if defect is None:
        return
    if theorem.file is None:
        raise ValueError(f"{theorem.name}: {defect}")
    line = getattr(getattr(theorem.run, "__code__", None), "co_firstlineno", 1)
    raise UserCodeError(f"{theorem.file.path.name}, line {line}: the Outcome of run: {defect}")


def _defects(theorem: Theorem, outcome: object) -> Iterator[str]:
    if not isinstance(outcome, Outcome):
        yield f"it is a {type(outcome).__name__}"
        return
    measured = {
        Key(term, probe, statistic): value
        for term, probes in outcome.terms.items()
        for probe, statistics in probes.items()
        for statistic, value in statistics.items()
    }
    for key, value in measured.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            yield f"{key} is a {type(value).__name__}, not a number"
        elif not math.isfinite(value):
            yield f"{key} is {float(value)}; leave out what could not be measured"
    declared = {quantity.key for quantity in theorem.quantities}
    if outcome.status == "complete" and theorem.file is not None:  # ours: a test looks for it
        for quantity in theorem.quantities:
            if quantity.key not in measured and not quantity.optional:
                yield f"{quantity.key} is declared and missing from terms (optional=True allows it)"
    for row in outcome.checks:
        if row.key not in declared:
            yield f"a bound for {row.key}, which is no declared Quantity"
        for name in ("measured", "bound", "slack"):
            value = getattr(row, name)
            if value is not None and not math.isfinite(value):
                yield f"{name} of the bound on {row.key} is {float(value)}"
    for name, array in {**outcome.trace, **outcome.params, **outcome.inputs}.items():
        if np.asarray(array).dtype.kind not in NUMBERS:
            yield f"{name} is no array of numbers"
