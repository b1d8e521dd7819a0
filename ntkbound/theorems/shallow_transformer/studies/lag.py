"""The published comparison on AR(L): Transformer and recurrence against the lag L."""

from __future__ import annotations

from ntkbound.core.outcome import Terms
from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.core.registry import configure
from ntkbound.stats import Series
from ntkbound.studies.growth import growth, series_of
from ntkbound.studies.measured import cells, three
from ntkbound.studies.study import Evidence, Finding, Judgement, Study
from ntkbound.theorems.shallow_transformer.statement import (
    FEATURE_NORM,
    LOSS_GRADIENT,
    NAME,
    VALIDATION,
)

OVER_FLOOR = Quantity("optimization_over_floor", "training", "ratio", "best MSE / noise floor")
MEMORY = Quantity("context", "model", "numbers", "context memory, numbers")
TRAINING_MEMORY = Quantity("memory", "training", "megabytes", "training memory, MB")


def derive(record: Record) -> Terms:
    """Validation error over the best possible, context memory, and what training held."""
    from ntkbound.theorems.shallow_transformer.start import build_model

    config = configure(record.config)
    training = record.terms["optimization"]["training"]
    ratio = training["min_validation_mse"] / training["noise_floor"]
    numbers = build_model(config).context_numbers(config.T, config.m)
    held = record.environment.get("training_bytes")  # nobody knows where autograd holds a graph
    memory = {} if held is None else {TRAINING_MEMORY.statistic: held / 1e6}
    return {
        TRAINING_MEMORY.term: {TRAINING_MEMORY.probe: memory},
        OVER_FLOOR.term: {OVER_FLOOR.probe: {OVER_FLOOR.statistic: float(ratio)}},
        MEMORY.term: {MEMORY.probe: {MEMORY.statistic: float(numbers)}},
    }


def judge(evidence: Evidence) -> Judgement:
    """The published statements: what grows with L, what does not, who is better at short lags."""
    findings = [
        _as_published(quantity, model, series)
        for model in sorted({record.config["model"] for record in evidence.complete})
        for quantity, series in series_of(
            [record for record in evidence.complete if record.config["model"] == model],
            "lag",
            (VALIDATION, LOSS_GRADIENT),
        )
    ]
    return Judgement([*findings, *_at_shortest(evidence)])


def _as_published(quantity: Quantity, model: str, series: Series) -> Finding:
    """Growing for the recurrence, flat for attention."""
    form = growth(series)
    wanted = model == "indrnn"
    statement = f"{model}: {quantity.title} {'grows' if wanted else 'does not grow'} with L"
    verdict = "inconclusive" if form.grows is None else "violated"
    return Finding(statement, "holds" if form.grows is wanted else verdict, form.reason)


def _at_shortest(evidence: Evidence) -> list[Finding]:
    found = cells(evidence, "lag", ("model",))
    shortest = min(cell.x for cell in found)
    by_model = {
        cell.arm: cell.values(VALIDATION) for cell in found if cell.x == shortest and cell.records
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


STUDY = Study(
    title="Lag",
    question="How do both models cope when the useful token lies L steps back?",
    reading=(
        "The task is x_t = 0.9 x_{t−L} + ε_t in windows of L + 1 values; no prediction has an "
        "expected squared error below the noise floor 0.19. At size small tokens carry a one-hot "
        "position and the Transformer's query is scaled by 3; smoke and paper use the published "
        "sine and cosine channels. Two things differ from the published runs at every size. "
        "Windows are split in time, the last fifth held out; the authors split at random, which "
        "puts windows that share values on both sides. Tokens and targets are standardised alike, "
        "by the stationary variance; the authors standardise the targets only. So levels of the "
        "error are not comparable with theirs. The published statements are judged as such: "
        "Transformer flat in L, IndRNN's gradients and validation error growing, IndRNN better at "
        "short lags. Context memory counts the numbers kept to emit the next output; training "
        "memory is what this tool held for samples, parameters, gradients and the kernel's work "
        "arrays."
    ),
    theorem=NAME,
    axis="lag",
    arms=("model",),
    measured=(VALIDATION, OVER_FLOOR, LOSS_GRADIENT, FEATURE_NORM, MEMORY, TRAINING_MEMORY),
    derive=derive,
    judge=judge,
)
