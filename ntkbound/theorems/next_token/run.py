"""Putting the theorem to the test: train, measure, set bounds beside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ntkbound.core.outcome import Outcome
from ntkbound.core.tools import Tools
from ntkbound.theorems.next_token.bounds import judge
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.measure import terms, trace
from ntkbound.theorems.next_token.sentences import Sentences
from ntkbound.theorems.next_token.tasks import sentences
from ntkbound.theorems.next_token.trained import Trained, train


def run(config: Config, tools: Tools) -> Outcome:
    """Trains a prepared config and measures it, in float64."""
    return _outcome(config, tools.data or sentences(config), tools)


def run_together(configs: Sequence[Config], tools: Tools) -> list[Outcome]:
    """``run`` of configs that differ in their seed, as many side by side as there are threads.

    A text is that of all; other sentences each run draws by its own seed. Each descends by itself,
    so every number is that of a run alone.
    """

    def one(config: Config) -> Outcome:
        data = sentences(config) if config.file is None else tools.data
        return _outcome(config, data, tools)

    return list(tools.workers.map(one, configs))


def _outcome(config: Config, data: Sentences, tools: Tools) -> Outcome:
    trained = train(config, data, tools.progress)
    found = terms(trained)
    judged = judge(trained, found)
    return Outcome(
        found,
        judged.checks,
        bounds=judged.bounds,
        certificates=judged.certificates,
        conditions=judged.conditions,
        notes=_notes(trained),
        trace=trace(trained),
        params=_params(trained) if tools.save else {},
        inputs=_inputs(trained.sentences),
    )


def _params(run: Trained) -> dict[str, np.ndarray]:
    """Both matrices, and where stage 1 started."""
    return {"W_ov": run.first.W, "W_kq": run.W_kq, "start.W_ov": run.first.start}


def _inputs(data: Sentences) -> dict[str, np.ndarray]:
    """Inputs (N, L) with −1 after the end of the shorter ones, targets and counts (N,)."""
    rows = np.full((len(data.inputs), data.longest), -1)
    for row, sentence in zip(rows, data.inputs, strict=True):
        row[: len(sentence)] = sentence
    targets, counts = np.array(data.targets), np.array(data.counts)
    return {"inputs": rows, "targets": targets, "counts": counts}


def _notes(run: Trained) -> list[str]:
    found = []
    if run.symmetric:
        found.append(
            "stage 1 weighs all tokens alike and starts at zero: it walks straight along W_ov*, "
            "so Proposition 1 is trivial here (D1)"
        )
    for name, reached, asked in (
        ("stage 1", run.first.steps, run.config.T0), ("stage 2", run.second.steps, run.config.tau)
    ):  # fmt: skip
        if reached < asked:
            found.append(f"{name} stopped at step {reached} of {asked}: its gradient vanished")
    return found
