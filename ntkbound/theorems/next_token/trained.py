"""One run in full: its data, its max-margin problems, and both stages of its descent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.core.tools import Progress
from ntkbound.theorems.next_token import embedded, first_kernel, kernel
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.first import FirstPlan, FirstStage, margins, train_first
from ntkbound.theorems.next_token.margin import MaxMargin, max_margin
from ntkbound.theorems.next_token.second import SecondPlan, SecondStage, train_second
from ntkbound.theorems.next_token.sentences import ABSENT, Sentences

Value = TypeVar("Value")


def known(value: Value | None, field: str) -> Value:
    """A field that resolution fills in. Raises InputError where the text has not been read."""
    if value is None:
        raise InputError("follows from the text, which has not been read", field=field)
    return value


@dataclass(frozen=True, eq=False)
class Trained:
    """Everything that measurements and bounds are about."""

    config: Config
    sentences: Sentences
    best: MaxMargin
    first: FirstStage
    second: SecondStage

    @property
    def eta0(self) -> float:
        return known(self.config.eta0, "eta0")

    @property
    def eta(self) -> float:
        return known(self.config.eta, "eta")

    @cached_property
    def W_kq(self) -> np.ndarray:
        """(V, V) column q belongs to query q."""
        return self.second.layout.matrix(self.second.logits, self.sentences.V)

    @cached_property
    def first_best(self) -> float:
        """‖W_ov*‖."""
        return float(np.linalg.norm(self.first.best))

    @cached_property
    def margins(self) -> tuple[float, float]:
        """Δ, the smallest margin of the trained W_ov, and its largest."""
        return margins(self.first.W, self.sentences)

    @cached_property
    def symmetric(self) -> bool:
        """Whether stage 1 treats all tokens that have a next one alike, from zero: then it walks
        straight along W_ov* (D1)."""
        weights = weights_of(self.config, self.sentences)
        used = weights[self.sentences.next != ABSENT]
        return self.config.ov_init == 0 and bool((used == used[0]).all())


def weights_of(config: Config, sentences: Sentences) -> np.ndarray:
    """(V,) ω_x of stage 1's loss; 0 for a token without a next one."""
    weights = {
        "uniform": np.ones(sentences.V),
        "zipf": 1 / (np.arange(sentences.V) + 1.0),
        "counts": sentences.openings(),
    }[config.ov_weights]
    return np.where(sentences.next != ABSENT, weights, 0.0)


def start_of(config: Config, sentences: Sentences) -> np.ndarray:
    """(V, V) W_ov before stage 1. Raises InputError where its norm is not finite."""
    shape = (sentences.V, sentences.V)
    if config.ov_init == 0:
        return np.zeros(shape)
    rng = streams.generator(config.seed, "next-token/ov")
    with np.errstate(over="ignore"):
        start = np.asarray(config.ov_init * rng.standard_normal(shape))
        if not np.isfinite(np.vdot(start, start)):
            told = "is so large that W_ov overflows; take a smaller one"
            raise InputError(told, field="ov_init")
    return start


def train(config: Config, sentences: Sentences, progress: Progress) -> Trained:
    """Both stages, one after the other.

    Raises InputError where the order of the sentences allows no margin.
    """
    best = max_margin(sentences)
    eta0, eta = known(config.eta0, "eta0"), known(config.eta, "eta")
    plan = FirstPlan(config.T0, eta0, weights_of(config, sentences), start_of(config, sentences))
    every = config.T0 + config.tau

    def in_first(step: int, _: int, loss: float) -> None:
        progress(step, every, loss)

    def in_second(step: int, _: int, loss: float) -> None:
        progress(config.T0 + step, every, loss)

    then = SecondPlan(config.tau, eta, config.method, config.batch or 1, config.seed)
    if config.embedding == "random":
        X = embedded.embeddings(sentences.V, config.seed)
        first = embedded.train_first(sentences, plan, X, in_first)
        _refuse_unusable(first, "eta0", "W_ov")
        _refuse_far(first, sentences)
        second = embedded.train_second(sentences, first, best, then, X, in_second)
    else:
        first = train_first(sentences, plan, in_first)
        _refuse_unusable(first, "eta0", "W_ov")
        _refuse_far(first, sentences)
        second = train_second(sentences, first.W, best, then, in_second)
    _refuse_unusable(second, "eta", "W_kq")
    return Trained(config, sentences, best, first, second)


def _refuse_unusable(stage: FirstStage | SecondStage, step: str, matrix: str) -> None:
    """Raises InputError for a stage that overflowed, that rounding kept at zero, or that had no
    gradient to begin with."""
    norm = stage.of(first_kernel.NORM if isinstance(stage, FirstStage) else kernel.NORM)
    if not np.isfinite(stage.series).all():
        raise InputError(f"is so large that {matrix} overflows; take a smaller one", field=step)
    if stage.steps == 0:
        told = "the gradient vanishes at the start of stage"
        if isinstance(stage, FirstStage):
            raise InputError(f"{told} 1; take a smaller one", field="ov_init")
        raise InputError(f"{told} 2, so far did stage 1 go; take a smaller one", field="eta0")
    if norm[1] == 0:
        raise InputError(f"is so small that {matrix} stays zero; take a larger one", field=step)


def _refuse_far(first: FirstStage, sentences: Sentences) -> None:
    """Raises InputError where stage 1 left another token so far above n(x) that e^x of it is
    nothing to sum in float64."""
    behind = -margins(first.W, sentences)[0]
    if behind > kernel.HUGE:
        told = f"is so large that n(x) is still {behind:.3g} below another token after stage 1"
        raise InputError(f"{told}; take a smaller one", field="ov_init")
