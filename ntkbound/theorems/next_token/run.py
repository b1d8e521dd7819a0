"""Putting the theorem to the test: prepare the sentences, train, measure, set bounds beside."""

from __future__ import annotations

import numpy as np

from ntkbound.core.outcome import Outcome
from ntkbound.core.theorem import Prepared
from ntkbound.core.tools import Tools
from ntkbound.theorems.next_token.bounds import judge
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.measure import terms, trace
from ntkbound.theorems.next_token.sentences import Sentences
from ntkbound.theorems.next_token.tasks import sentences
from ntkbound.theorems.next_token.text import read_text
from ntkbound.theorems.next_token.trained import Trained, train


def prepare(config: Config) -> Prepared:
    """The config with its vocabulary known, and the sentences to train on.

    Raises InputError for a text, or sizes of a task, that the theorem is not about.
    """
    if config.file is None:
        return Prepared(config, None, sentences(config))
    found, digest = read_text(config.file)
    return Prepared(config.with_size(found.V), digest, found)


def run(config: Config, tools: Tools) -> Outcome:
    """Trains a prepared config and measures it, in float64."""
    trained = train(config, tools.data or sentences(config), tools.progress)
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
