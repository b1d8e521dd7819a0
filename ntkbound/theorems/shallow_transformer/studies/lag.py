"""The published comparison on AR(L): Transformer and recurrence against the lag L."""

from __future__ import annotations

from ntkbound.runs.record import Record
from ntkbound.stats import Series, observe
from ntkbound.studies.growth import growth
from ntkbound.studies.measured import cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Quantity, Study, Terms
from ntkbound.theorems.shallow_transformer.config import build
from ntkbound.theorems.shallow_transformer.studies.shared import (
    FEATURE_NORM,
    LOSS_GRADIENT,
    NO_SEARCH,
    seeds,
)

VALIDATION = Quantity("best validation MSE", "optimization", "training", "min_validation_mse")
OVER_FLOOR = Quantity("… over the noise floor", "optimization_over_floor", "training", "ratio")
MEMORY = Quantity("context memory, numbers", "context", "model", "numbers")
TRAINING_MEMORY = Quantity("training memory, MB", "memory", "training", "megabytes")


def derive(record: Record) -> Terms:
    """Validation error over the best possible, context memory, and what training held."""
    from ntkbound.theorems.shallow_transformer.run import build_model

    config = build(record.data["config"])
    assert config.T is not None
    training = record.terms["optimization"]["training"]
    ratio = training["min_validation_mse"] / training["noise_floor"]
    numbers = build_model(config).context_numbers(config.T, config.m)
    held = record.data["environment"].get("training_bytes")  # older records have none
    memory = {} if held is None else {TRAINING_MEMORY.statistic: held / 1e6}
    return {
        TRAINING_MEMORY.term: {TRAINING_MEMORY.probe: memory},
        OVER_FLOOR.term: {OVER_FLOOR.probe: {OVER_FLOOR.statistic: float(ratio)}},
        MEMORY.term: {MEMORY.probe: {MEMORY.statistic: float(numbers)}},
    }


def judge(evidence: Evidence) -> Judgement:
    """The published statements: what grows with L, what does not, who is better at short lags."""
    findings = []
    for series in observe(evidence.rows, axes=("lag",)):
        for quantity in (VALIDATION, LOSS_GRADIENT):
            if (series.term, series.statistic) == (quantity.term, quantity.statistic):
                findings.append(_as_published(quantity, dict(series.arm)["model"], series))
    return Judgement([*findings, *_at_shortest(evidence)])


def _as_published(quantity: Quantity, model: str, series: Series) -> Finding:
    """Growing for the recurrence, flat for attention."""
    form = growth(series)
    wanted = model == "indrnn"
    statement = f"{model}: {quantity.label} {'grows' if wanted else 'does not grow'} with L"
    verdict = "inconclusive" if form.grows is None else "violated"
    return Finding(statement, "holds" if form.grows is wanted else verdict, form.reason)


def _at_shortest(evidence: Evidence) -> list[Finding]:
    found = cells(evidence, "lag", ("model",))
    shortest = min(cell.x for cell in found)
    by_model = {
        cell.arm: cell.values(VALIDATION) for cell in found if cell.x == shortest and cell.rows
    }
    if set(by_model) != {"transformer", "indrnn"}:
        return []
    recurrent, attention = by_model["indrnn"], by_model["transformer"]
    statement = f"IndRNN has the smaller validation error at the shortest lag, L = {shortest:g}"
    told = (
        f"IndRNN {three(recurrent.min())} … {three(recurrent.max())}, "
        f"Transformer {three(attention.min())} … {three(attention.max())} over seeds"
    )
    if recurrent.max() < attention.min():
        return [Finding(statement, "holds", told)]
    apart = attention.max() < recurrent.min()
    return [Finding(statement, "violated" if apart else "inconclusive", told)]


ATTENTION = {"model": ["transformer"], "positions": ["onehot"], "query_scale": [3.0]}
RECURRENCE = {"model": ["indrnn"], "positions": ["onehot"]}
SERIES = {"task": "ar", "method": "gd", **NO_SEARCH}

STUDY = Study(
    title="Lag",
    question="How do both models cope when the useful token lies L steps back?",
    reading=(
        "The task is x_t = 0.9 x_{t−L} + ε_t in windows of L + 1 values; no prediction has an "
        "expected squared error below the noise floor 0.19. At size small tokens carry a one-hot "
        "position and the Transformer's query is scaled by 3; smoke and paper use the published "
        "sine and cosine channels. The published statements are judged as such: Transformer flat "
        "in L, IndRNN's gradients and validation error growing, IndRNN better at short lags. "
        "Context memory counts the numbers kept to emit the next output; training memory is what "
        "this tool held for samples, parameters, gradients and the kernel's work arrays."
    ),
    sizes={
        "smoke": {
            "run": {**SERIES, "m": 8, "n": 80, "tau": 40, "eta": 0.5, "records": 6},
            "sweep": [
                {"lag": [2, 4, 8], "seed": seeds(3), "model": ["transformer", "indrnn"]},
            ],
        },
        "small": {
            "run": {**SERIES, "m": 32, "n": 600, "tau": 300, "eta": 0.5},
            "sweep": [
                {"lag": [2, 4, 16, 72, 96], "seed": seeds(3), **ATTENTION},
                {"lag": [2, 4, 16, 72, 96], "seed": seeds(3), **RECURRENCE},
            ],
        },
        "paper": {
            "run": {**SERIES, "m": 64, "n": 5000, "tau": 5000, "eta": 0.05},
            "sweep": {
                "lag": [4, 16, 72, 96],
                "seed": seeds(20),
                "model": ["transformer", "indrnn"],
            },
        },
    },
    axis="lag",
    arms=("model",),
    measured=(VALIDATION, OVER_FLOOR, LOSS_GRADIENT, FEATURE_NORM, MEMORY, TRAINING_MEMORY),
    derive=derive,
    judge=judge,
)
