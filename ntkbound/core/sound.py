"""Is an outcome what its theorem declares? Asked of every run, before its record is written.

What is declared and not measured would be missed by whoever reads the records, and what is judged
and not declared would be judged under a name that nobody knows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from ntkbound.core.declared import line_of
from ntkbound.core.outcome import Check, Outcome, Status
from ntkbound.core.quantity import Key
from ntkbound.core.theorem import Theorem
from ntkbound.core.userfile import UserCodeError

NUMBERS = "biuf"  # kinds of NumPy's dtypes


def check_outcomes(theorem: Theorem, outcomes: Sequence[object], runs: int) -> None:
    """Whether there is one for every run, each as declared.

    Raises UserCodeError for the first defect of a theorem of the user's own, with the line where
    its ``run`` stands, and ValueError for one of an installed one.
    """
    defects = [f"the Outcome of run: {one}" for each in outcomes for one in _first(theorem, each)]
    if len(outcomes) != runs:
        defects = [f"run_together gives {len(outcomes)} Outcomes of {runs} runs"]
    if not defects:
        return
    if theorem.file is None:
        raise ValueError(f"{theorem.name}: {defects[0]}")
    place = f"{theorem.file.path.name}, line {line_of(theorem.run)}"
    raise UserCodeError(f"{place}: {defects[0]}")


def plain(value: object) -> object:
    """For JSON: a number of NumPy's as Python's. Raises TypeError for anything else."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no JSON")


def _first(theorem: Theorem, outcome: object) -> list[str]:
    found = next(_defects(theorem, outcome), None)
    return [] if found is None else [found]


def _defects(theorem: Theorem, outcome: object) -> Iterator[str]:
    if not isinstance(outcome, Outcome):
        yield f"it is a {type(outcome).__name__}"
        return
    if outcome.status not in get_args(Status):
        yield f"status {outcome.status!r} is unknown; accepted: {', '.join(get_args(Status))}"
    try:
        measured = {
            Key(term, probe, statistic): value
            for term, probes in outcome.terms.items()
            for probe, statistics in probes.items()
            for statistic, value in statistics.items()
        }
    except AttributeError:
        yield "terms is term → probe → statistic → number; Outcome.of makes it of Quantities"
        return
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
        if not isinstance(row, Check):
            yield f"a {type(row).__name__} among checks; Outcome.of makes them of (Quantity, Bound)"
        elif row.key not in declared:
            yield f"a bound for {row.key}, which is no declared Quantity"
        for name in ("measured", "bound", "slack"):
            value = getattr(row, name)
            if value is not None and not math.isfinite(value):
                yield f"{name} of the bound on {row.key} is {float(value)}"
    for name, array in {**outcome.trace, **outcome.params, **outcome.inputs}.items():
        if _shape(array) is None:
            yield f"{name} is no array of numbers"
    if theorem.file is not None:
        yield from _of_unequal_length(outcome.trace)
    if isinstance(outcome.notes, str) or not all(isinstance(one, str) for one in outcome.notes):
        yield "notes is no list of sentences"
    for name in ("bounds", "conditions", "environment"):
        try:
            json.dumps(dict(getattr(outcome, name)), allow_nan=False, default=plain)
        except (TypeError, ValueError) as error:
            yield f"{name}: {error}"


def _of_unequal_length(trace: Mapping[str, Any]) -> Iterator[str]:
    """Series that are not as long as their steps, ``…/step`` of their own or ``step``."""
    for name, series in trace.items():
        own = f"{name.rpartition('/')[0]}/step"
        step = own if own in trace else "step"
        lengths = [(_shape(one) or (0,))[0] for one in (series, trace.get(step, series))]
        if lengths[0] != lengths[1]:
            yield f"trace {name} has {lengths[0]} values, {step} {lengths[1]}"


def _shape(array: object) -> tuple[int, ...] | None:
    """None of what is no array of numbers."""
    try:
        found = np.asarray(array)
    except ValueError:  # rows of unequal length
        return None
    return found.shape if found.dtype.kind in NUMBERS else None
