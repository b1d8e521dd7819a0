"""Putting the theorem to the test: prepare the data, train, measure, set bounds beside."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ntkbound.core.config import digest
from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Outcome, Terms
from ntkbound.core.theorem import Prepared
from ntkbound.core.tools import Tools
from ntkbound.theorems.encoder_only import images, initial, tasks
from ntkbound.theorems.encoder_only.bounds import facts_of, judge
from ntkbound.theorems.encoder_only.config import Config, known
from ntkbound.theorems.encoder_only.descent import Plan, Series, descend
from ntkbound.theorems.encoder_only.measure import Trained, kernel_terms, terms, trace
from ntkbound.theorems.encoder_only.model import Objective
from ntkbound.theorems.encoder_only.opening import opening_terms
from ntkbound.theorems.encoder_only.start import Source, Start, start
from ntkbound.theorems.encoder_only.watch import observer, watch

NO_SOURCE = Source()


def prepare(config: Config) -> Prepared:
    """The config with its sizes known, and what its files held.

    Raises InputError for a file that cannot be used, or sizes that contradict it.
    """
    found, weights, digests = None, None, []
    if config.file is not None:
        found = tasks.read(config.file)
        digests.append(found.digest)
        sizes = dict(zip(("N", "ds", "d"), found.X.shape, strict=True))
        config = config.with_sizes(sizes, str(config.file))
        tasks.data(config, found)  # refused here where it cannot be used
    if config.initial_file is not None:
        weights, content = initial.read(config.initial_file)
        digests.append(hashlib.sha256(content).hexdigest())
        sizes = dict(zip(("dm", "d"), weights["W_Q"].shape, strict=True))
        config = config.with_sizes(sizes, str(config.initial_file))
    every = None if not digests else digests[0] if len(digests) == 1 else digest(digests)
    return Prepared(config, every, Source(found, weights))


def run(config: Config, tools: Tools) -> Outcome:
    """Trains a prepared config and measures it, in float64."""
    if config.images:
        return images.run(config, tools)
    return run_together([config], tools)[0]


def run_together(configs: Sequence[Config], tools: Tools) -> list[Outcome]:
    """``run`` of configs that share one descent; every number is that of a run alone."""
    source, workers = tools.data or NO_SOURCE, tools.workers
    starts = [start(config, source, workers) for config in configs]
    return [outcome_of(one, save=tools.save) for one in train(starts, tools)]


def train(starts: Sequence[Start], tools: Tools) -> list[Trained]:
    """The descent of all runs, watched.

    Raises InputError where a loss is no number before the first step.
    """
    first = starts[0]
    steps = known(first.config.tau, "tau")
    watches = [watch(one, steps) for one in starts]
    seen = {*watches[0].recorded, *watches[0].kernels}
    plan = Plan(steps, first.config.step == "adaptive", seen)
    objective = Objective([one.problem for one in starts], len(first.initial.O), first.workers)
    found = descend(
        objective,
        [one.initial for one in starts],
        [one.gamma for one in starts],
        plan,
        (observer(watches), lambda step, loss: tools.progress(step, steps, loss)),
    )
    return [Trained(*each) for each in zip(starts, map(_started, found), watches, strict=True)]


def _started(series: Series) -> Series:
    if not len(series.loss):
        raise InputError("the loss is no finite number before the first step; scale the data")
    return series


def outcome_of(run: Trained, *, save: bool = True) -> Outcome:
    """What one run has to say."""
    facts = facts_of(run)
    found = joined(terms(run), kernel_terms(run), opening_terms(run.start, facts))
    judged = judge(run, facts, found)
    return Outcome(
        found,
        judged.checks,
        bounds=judged.bounds,
        certificates=judged.certificates,
        conditions=judged.conditions,
        status="diverged" if run.series.diverged else "complete",
        notes=_notes(run),
        trace=trace(run),
        params=_params(run) if save else {},
        inputs={"X": run.start.problem.X.numpy(), "y": run.start.problem.y.numpy()},
    )


def joined(*groups: Terms) -> Terms:
    """Terms of several sources; those of one name have their probes side by side."""
    found: Terms = {}
    for group in groups:
        for term, probes in group.items():
            found[term] = {**found.get(term, {}), **probes}
    return found


def _params(run: Trained) -> dict[str, np.ndarray]:
    """``initial.W_Q`` … and, unless the run diverged, ``final.W_Q`` …"""
    ranks, end = run.start.workers.ranks, run.series.weights
    groups = {"initial": run.start.initial} | ({} if end is None else {"final": end})
    return {
        f"{group}.{name}": array
        for group, weights in groups.items()
        for name, array in initial.gathered(weights, ranks).items()
    }


def _notes(run: Trained) -> list[str]:
    if not run.series.diverged:
        return []
    return [f"the loss is no finite number after step {run.series.steps}: γ is too large"]
