"""Putting the theorem to the test: read files, train, measure, set bounds beside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ntkbound.core.config import digest
from ntkbound.core.outcome import Outcome
from ntkbound.core.theorem import Prepared
from ntkbound.core.tools import Tools
from ntkbound.theorems.attention_kernels import classifier
from ntkbound.theorems.attention_kernels.bounds import judge
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.files import Files, read
from ntkbound.theorems.attention_kernels.landscape import landscape
from ntkbound.theorems.attention_kernels.measure import terms, trace
from ntkbound.theorems.attention_kernels.trained import Trained, train

# What runs that train together may differ in: seeds, and what makes arrays of equal shapes.
OWN_FIELDS = {*Config.seeds, "rho", "epsilon", "student", "sq", "sk", "sv", "so", "eta"}


def prepare(config: Config) -> Prepared:
    """The config with its sizes known, and the files it names.

    Raises InputError for a file, or sizes, that cannot be used.
    """
    files, sizes, found = read(config)
    return Prepared(config.with_sizes(sizes), found, files)


def together(config: Config) -> str | None:
    """Equal for runs that are one computation; None for the classifier, and for a user's kernel,
    which torch rounds differently in another batch."""
    if config.own_kernel is not None or config.images:
        return None
    return digest(config.model_dump(exclude=set(OWN_FIELDS)))


def run(config: Config, tools: Tools) -> Outcome:
    """Trains a prepared config and measures it, in float64."""
    if config.images:
        return classifier.run(config, tools)
    return run_together([config], tools)[0]


def run_together(configs: Sequence[Config], tools: Tools) -> list[Outcome]:
    """``run`` of configs with equal ``together``; every number is that of a run alone."""
    files: Files = tools.data or read(configs[0])[0]
    found = train(configs, files, tools.progress)
    return [outcome_of(one, save=tools.save) for one in found]


def outcome_of(run: Trained, *, save: bool = True) -> Outcome:
    """What one run has to say, its bounds beside its terms."""
    found, series = terms(run), dict(trace(run))
    if run.config.landscape:
        around = landscape(run.final)
        found["landscape"] = {"QK": around.terms}
        series |= around.trace
    judged = judge(run, found)
    return Outcome(
        found,
        judged.checks,
        status="diverged" if run.descent.diverged else "complete",
        bounds=judged.bounds,
        certificates=judged.certificates,
        conditions=judged.conditions,
        notes=_notes(run),
        trace=series,
        params=_params(run) if save else {},
        inputs={"X": run.problem.X, "y": run.problem.y},
    )


def _params(run: Trained) -> dict[str, np.ndarray]:
    """The weights at the end, as ``--initial`` takes them, and those at the start."""
    start = run.problem.start.arrays
    return run.final.weights.arrays | {f"initial.{name}": W for name, W in start.items()}


def _notes(run: Trained) -> list[str]:
    found = []
    if run.attainable is None:
        found.append("no attainable floor is known for this kernel: it is not marked as bounded")
    if run.spectrum.of_J is None:
        found.append("∂C/∂W_Q is too large to be decomposed: no rank, no Theorem 3")
    if run.descent.diverged:
        found.append(f"the loss ceased to be finite after step {run.steps}")
    return found
